//! Records of administration: written before the deed, completed after it, whichever route it is.

use std::{net::IpAddr, sync::Arc};

use axum::{extract::Request, http::header, response::Response};
use telesift_ports::catalog::{self, AuditOutcome, AuditRecord};
use uuid::Uuid;

use crate::{
    auth::Viewer,
    middleware::RequestId,
    params,
    problem::{Code, Problem},
    state::App,
};

/// Longest target noted, in characters: clients write what they like in a path.
const MAX_TARGET: usize = 300;

/// What came into being, as a handler says beside its answer where `Location` does not. A target in the path is known
/// already.
#[derive(Clone, Debug)]
pub(crate) struct Target(pub(crate) String);

/// A record without an outcome.
pub(super) struct Pending {
    app: Arc<App>,
    record: AuditRecord,
}

impl Pending {
    /// Stores that `viewer` asks for `action`.
    pub(super) async fn begin(
        app: &Arc<App>,
        viewer: &Viewer,
        action: &str,
        request: &Request,
        pattern: &str,
        address: Option<IpAddr>,
    ) -> catalog::Result<Pending> {
        let id = request.extensions().get::<RequestId>();
        let record = AuditRecord {
            id: Uuid::now_v7().simple().to_string(),
            at: app.clock.now(),
            actor: Some(viewer.key.id.clone()),
            actor_name: viewer.key.name.clone(),
            action: action.to_owned(),
            target: named_in(pattern, request.uri().path()),
            address: address.map(|a| a.to_string()),
            request: id.map(|id| id.0.clone()),
            outcome: None,
        };
        app.catalog.begin_audit(&record).await?;
        Ok(Pending {
            app: app.clone(),
            record,
        })
    }

    /// Completes it. The deed is done: if that fails, the record stays without an outcome, and the log says so.
    pub(super) async fn end(self, response: &Response) {
        let extensions = response.extensions();
        let code = extensions.get::<Problem>().map(|p| p.code);
        let status = code.map_or(response.status(), Code::status);
        let outcome = AuditOutcome {
            status: status.as_u16(),
            code: code.map(|c| c.as_str().to_owned()),
        };
        let made = extensions.get::<Target>().map(|t| t.0.as_str());
        let target = made.or_else(|| last_of_location(response));
        let ended = self
            .app
            .catalog
            .end_audit(&self.record.id, target, &outcome)
            .await;
        if let Err(error) = ended {
            let (id, action) = (&self.record.id, &self.record.action);
            tracing::error!(%error, id, action, status = outcome.status, "an audit record stays without its outcome");
        }
    }
}

/// The id at the end of `Location`.
fn last_of_location(response: &Response) -> Option<&str> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    location.rsplit('/').next()
}

/// The values that stand in `path` where `pattern` has names, such as `default@3` for `/v1/rules/{version}`.
fn named_in(pattern: &str, path: &str) -> Option<String> {
    let named = pattern.split('/').zip(path.split('/'));
    let values: Vec<String> = named
        .filter(|(name, _)| name.starts_with('{'))
        .map(|(_, value)| params::decoded(value).unwrap_or_else(|| value.to_owned()))
        .collect();
    let named: String = values.join("/").chars().take(MAX_TARGET).collect();
    (!values.is_empty()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_what_the_path_names() {
        let target = |pattern, path| named_in(pattern, path);
        assert_eq!(target("/v1/keys", "/v1/keys"), None);
        assert_eq!(
            target(
                "/v1/rules/{version}/activate",
                "/v1/rules/default%403/activate"
            )
            .as_deref(),
            Some("default@3")
        );
    }
}
