//! The gate every route stands behind: limits, key, right, record; then the handler.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use super::{
    Access, Deed, Route,
    audit::{Ended, Pending},
    methods_of, route_of,
};
use crate::{
    address,
    auth::{self, Viewer},
    limits::Standing,
    problem::{Code, Problem, Result},
    state::App,
};

/// Lets a request through to its handler if it may.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let address = address::client(
        request.extensions(),
        request.headers(),
        &app.config.trusted_proxies,
    );
    let pattern = request.extensions().get::<MatchedPath>().cloned();
    let pattern = pattern.as_ref().map_or("", MatchedPath::as_str);
    let Some(route) = route_of(request.method(), pattern) else {
        return unclassified(pattern);
    };
    let mut request = request;
    let mut standing = None;
    let mut response = match admit(&app, route, &mut request, address, &mut standing).await {
        Ok(record) => handle(request, next, record).await,
        Err(problem) => problem.into_response(),
    };
    if route.access == Access::Webhook
        && response.status() == StatusCode::UNAUTHORIZED
        && let Err(problem) = app.limits.failed_auth(address)
    {
        response = problem.into_response();
    }
    if let Some(standing) = standing {
        standing.put_on(response.headers_mut());
    }
    response
}

/// Everything that can be refused before the handler runs. Gives the record to be completed, of administration.
async fn admit(
    app: &Arc<App>,
    route: &Route,
    request: &mut Request,
    address: Option<IpAddr>,
    standing: &mut Option<Standing>,
) -> Result<Option<Pending>> {
    // Telegram brings what it has, as fast as it likes; only wrong secrets are counted, below.
    if route.access == Access::Webhook {
        return Ok(None);
    }
    app.limits.address(address)?;
    check_announced_length(app, route, request)?;
    let is_open = match route.access {
        Access::Open => true,
        Access::Metrics => app.config.open_metrics,
        _ => false,
    };
    if is_open {
        return Ok(None);
    }
    let viewer = auth::authenticate(app, request, address, route.access == Access::Stream).await?;
    *standing = app.limits.key(&viewer.key.id)?;
    let may = right(&viewer, route.access);
    let record = match route.deed {
        Deed::Audited(action) if may.is_ok() || app.limits.note_denial(&viewer.key.id) => Some(
            Pending::new(app, &viewer, action, request, route.path, address),
        ),
        _ => None,
    };
    if let Some(record) = &record {
        record.begin().await?;
    }
    if let Err(problem) = may {
        if let Some(record) = record {
            let ended = Ended::of(&problem.clone().into_response());
            record.end(ended).await;
        }
        return Err(problem);
    }
    request.extensions_mut().insert(viewer);
    Ok(record)
}

/// What nobody classified answers nobody: a method of a path that has others, or a path that should have been.
fn unclassified(pattern: &str) -> Response {
    let methods = methods_of(pattern);
    if methods.is_empty() {
        let cause = format!("`{pattern}` is not classified in `access::ROUTES`");
        return Problem::internal(cause).into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, methods)]).into_response()
}

fn right(viewer: &Viewer, access: Access) -> Result<()> {
    viewer.require_any(access.scopes())?;
    match access.takes_limited_keys() {
        true => Ok(()),
        false => viewer.require_unlimited(),
    }
}

/// A body that says it is too large is not waited for.
fn check_announced_length(app: &App, route: &Route, request: &Request) -> Result<()> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let n_bytes = announced.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let limit = app.config.max_body_bytes;
    match n_bytes {
        Some(n) if n > limit as u64 && !route.takes_files() => Err(Problem::new(
            Code::TooLarge,
            format!("the body is larger than {limit} bytes"),
        )),
        _ => Ok(()),
    }
}

/// Runs the handler. Administration goes on to its end and its record even if the client hangs up.
async fn handle(request: Request, next: Next, record: Option<Pending>) -> Response {
    let Some(record) = record else {
        return next.run(request).await;
    };
    let deed = async move {
        let response = next.run(request).await;
        let ended = Ended::of(&response);
        record.end(ended).await;
        response
    };
    match tokio::spawn(deed.in_current_span()).await {
        Ok(response) => response,
        Err(error) => Problem::internal(error).into_response(),
    }
}
