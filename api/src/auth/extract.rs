//! Extractors: a handler names the right it needs in its signature, and runs only with it.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use telesift_ports::catalog::Scope;
use tokio_util::sync::CancellationToken;

use super::{LiveKey, Viewer, unauthorized};
use crate::{
    params::Params,
    problem::{Problem, Result},
    state::App,
};

/// May read what its key can see.
pub(crate) struct Reader(pub(crate) Viewer);
/// May read across all chats: statistics, dead letters, metrics.
pub(crate) struct Auditor(pub(crate) Viewer);
/// May label, and read labels, of what its key can see.
pub(crate) struct Reviewer(pub(crate) Viewer);
/// May import.
pub(crate) struct Importer;
/// May do everything; who it is stands beside what they decide.
pub(crate) struct Admin(pub(crate) Viewer);

/// The scopes that include reading.
const READING: [Scope; 2] = [Scope::Read, Scope::Review];

async fn viewer(parts: &Parts, app: &App) -> Result<Viewer> {
    let secret = bearer(&parts.headers).ok_or_else(unauthorized)?;
    app.keys.viewer(secret).await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(secret.trim())
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts, app).await?;
        viewer.require_any(&READING)?;
        Ok(Reader(viewer))
    }
}

impl FromRequestParts<Arc<App>> for Auditor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts, app).await?;
        viewer.require_any(&READING)?;
        viewer.require_unlimited()?;
        Ok(Auditor(viewer))
    }
}

impl FromRequestParts<Arc<App>> for Reviewer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts, app).await?;
        viewer.require_any(&[Scope::Review])?;
        Ok(Reviewer(viewer))
    }
}

impl FromRequestParts<Arc<App>> for Importer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts, app).await?;
        viewer.require_any(&[Scope::Ingest])?;
        viewer.require_unlimited()?;
        Ok(Importer)
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts, app).await?;
        viewer.require_any(&[Scope::Admin])?;
        viewer.require_unlimited()?;
        Ok(Admin(viewer))
    }
}

/// May follow a topic, by key or by ticket.
pub(crate) struct Follower {
    pub(crate) viewer: Viewer,
    /// Ends when the key does.
    pub(crate) live_key: Arc<LiveKey>,
    /// Cancelled when the ticket takes its stream up elsewhere; never without a ticket.
    pub(crate) replaced: CancellationToken,
}

impl FromRequestParts<Arc<App>> for Follower {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let ticket = match bearer(&parts.headers) {
            Some(_) => None,
            None => Params::parse(parts.uri.query())?.one("ticket")?,
        };
        let (viewer, replaced) = match ticket {
            None => (viewer(parts, app).await?, CancellationToken::new()),
            Some(ticket) => {
                let target = parts.uri.path_and_query().map_or("", |t| t.as_str());
                let resumes = parts.headers.contains_key("last-event-id");
                let (key, replaced) = app.tickets.redeem(&ticket, target, resumes)?;
                (app.keys.by_hash(key).await?, replaced)
            }
        };
        viewer.require_any(&READING)?;
        Ok(Follower {
            live_key: app.live_keys.watch(viewer.hash, &app.catalog, &app.clock),
            viewer,
            replaced,
        })
    }
}
