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
    /// That `viewer` asks for `action` by `request`, of a route with this pattern.
    pub(super) fn new(
        app: &Arc<App>,
        viewer: &Viewer,
        action: &str,
        request: &Request,
        pattern: &str,
        address: Option<IpAddr>,
    ) -> Pending {
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
        Pending {
            app: app.clone(),
            record,
        }
    }

    /// Stores it: nothing is administered without.
    pub(super) async fn begin(&self) -> catalog::Result<()> {
        self.app.catalog.begin_audit(&self.record).await
    }

    /// Completes it. The deed is done: if that fails, the record stays without an outcome, and the log says so.
    pub(super) async fn end(self, ended: Ended) {
        let Ended { outcome, made } = ended;
        let (id, action) = (&self.record.id, &self.record.action);
        let stored = self.app.catalog.end_audit(id, made.as_deref(), &outcome);
        if let Err(error) = stored.await {
            let status = outcome.status;
            tracing::error!(%error, id, action, status, "an audit record stays without its outcome");
        }
    }
}

/// What an answer says of the deed.
pub(super) struct Ended {
    outcome: AuditOutcome,
    made: Option<String>,
}

impl Ended {
    pub(super) fn of(response: &Response) -> Ended {
        let extensions = response.extensions();
        let code = extensions.get::<Problem>().map(|p| p.code);
        let status = code.map_or(response.status(), Code::status);
        let made = extensions.get::<Target>().map(|t| t.0.as_str());
        Ended {
            outcome: AuditOutcome {
                status: status.as_u16(),
                code: code.map(|c| c.as_str().to_owned()),
            },
            made: made
                .or_else(|| last_of_location(response))
                .map(str::to_owned),
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
