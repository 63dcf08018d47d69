//! Who asks: a key or ticket becomes a [`Viewer`] at the gate; extractors hand it to the handler that names the right it
//! needs in its signature.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use telesift_ports::catalog::Scope;
use tokio_util::sync::CancellationToken;

use super::{LiveKey, Viewer, hash, unauthorized};
use crate::{
    params::Params,
    problem::{Code, Problem, Result},
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

/// Cancelled when the ticket takes its stream up elsewhere.
#[derive(Clone)]
struct Replaced(Arc<CancellationToken>);

/// The owner of the key that `request` carries or, where `by_ticket` allows that, of the key behind its ticket.
///
/// # Errors
/// 401 without a valid one; 429 if too many invalid ones came from `address`.
pub(crate) async fn authenticate(
    app: &App,
    request: &mut Request,
    address: Option<IpAddr>,
    by_ticket: bool,
) -> Result<Viewer> {
    match find(app, request, address, by_ticket).await {
        Ok(Some(viewer)) => Ok(viewer),
        // Nothing was presented: nobody guesses by that.
        Ok(None) => Err(unauthorized()),
        Err(problem) if matches!(problem.code, Code::Unauthorized | Code::InvalidTicket) => {
            app.limits.failed_auth(address)?;
            Err(problem)
        }
        Err(problem) => Err(problem),
    }
}

/// `None` if the request carries neither.
async fn find(
    app: &App,
    request: &mut Request,
    address: Option<IpAddr>,
    by_ticket: bool,
) -> Result<Option<Viewer>> {
    if let Some(secret) = bearer(request.headers()) {
        if !app.keys.knows(&hash(secret)) {
            app.limits.may_fail_auth(address)?;
        }
        return app.keys.viewer(secret).await.map(Some);
    }
    let ticket = match by_ticket {
        true => Params::parse(request.uri().query())?.one("ticket")?,
        false => None,
    };
    let Some(ticket) = ticket else {
        return Ok(None);
    };
    let target = request.uri().path_and_query().map_or("", |t| t.as_str());
    let resumes = request.headers().contains_key("last-event-id");
    app.limits.may_fail_auth(address)?;
    let (key, replaced) = app.tickets.redeem(&ticket, target, resumes).await?;
    request.extensions_mut().insert(Replaced(replaced));
    app.keys.by_hash(key).await.map(Some)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(secret.trim())
}

/// Whom the gate let through.
fn viewer(parts: &Parts) -> Result<Viewer> {
    parts
        .extensions
        .get::<Viewer>()
        .cloned()
        .ok_or_else(unauthorized)
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts)?;
        viewer.require_any(&READING)?;
        Ok(Reader(viewer))
    }
}

impl FromRequestParts<Arc<App>> for Auditor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts)?;
        viewer.require_any(&READING)?;
        viewer.require_unlimited()?;
        Ok(Auditor(viewer))
    }
}

impl FromRequestParts<Arc<App>> for Reviewer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts)?;
        viewer.require_any(&[Scope::Review])?;
        Ok(Reviewer(viewer))
    }
}

impl FromRequestParts<Arc<App>> for Importer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts)?;
        viewer.require_any(&[Scope::Ingest])?;
        viewer.require_unlimited()?;
        Ok(Importer)
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts)?;
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
    pub(crate) replaced: Arc<CancellationToken>,
}

impl FromRequestParts<Arc<App>> for Follower {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let viewer = viewer(parts)?;
        viewer.require_any(&READING)?;
        let replaced = parts.extensions.get::<Replaced>();
        Ok(Follower {
            live_key: app.live_keys.watch(viewer.hash, &app.catalog, &app.clock),
            replaced: replaced.map(|r| r.0.clone()).unwrap_or_default(),
            viewer,
        })
    }
}
