//! What every request passes: an id, a span, limits, headers; every error leaves as a problem.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    problem::{self, Code, Problem},
    state::App,
    telemetry,
};

/// The request's id, for whoever handles it.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client.
const MAX_ID: usize = 64;

/// The outermost layer: id, span, metrics, headers, problems.
pub(crate) async fn outermost(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    // The matched pattern, never the path or the query: those hold ids of chats, and tickets.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |p| p.as_str().to_owned());
    let span = tracing::info_span!("request", id, %method, route);
    let started = std::time::Instant::now();
    let response = async {
        let response = next.run(request).await;
        let response = problem::render(response, &id);
        let (status, took_ms) = (response.status().as_u16(), started.elapsed().as_millis());
        tracing::debug!(status, took_ms, "answered");
        response
    }
    .instrument(span)
    .await;
    let status = response.status().as_u16().to_string();
    metrics::counter!(telemetry::REQUESTS, "method" => method.to_string(), "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!(telemetry::REQUEST_SECONDS, "route" => route)
        .record(started.elapsed().as_secs_f64());
    with_headers(response, &id)
}

/// The client's id if it is a plain one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    headers
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(plain))
        .map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned)
}

fn with_headers(mut response: Response, id: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::REFERRER_POLICY, "no-referrer");
    default(crate::cors::RESOURCE_POLICY, "same-origin");
    default(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    default(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    default(header::CACHE_CONTROL, "no-store");
    response
}

/// Bounds the requests worked on at the same time, and how long each may take. A request over the bound is told so at
/// once: a queue without end would answer nobody.
pub(crate) async fn bounded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = app.requests.try_acquire() else {
        return Problem::new(
            Code::Overloaded,
            "too many requests at the same time; try again",
        )
        .retry_after(1)
        .into_response();
    };
    let limit = Duration::from_secs(app.config.request_timeout_s.max(1));
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::TimedOut,
            format!("no answer within {} s; narrow the request", limit.as_secs()),
        )
        .retry_after(5)
        .into_response(),
    }
}

/// Swagger UI sets styles from its script, and its icons are `data:` images. It loads nothing from elsewhere.
pub(crate) async fn for_docs(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
    );
    response
}
