//! Cross-origin requests: refused by browsers unless the configuration names the page's origin.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::state::App;

/// How long a browser may remember that it may, in seconds.
const REMEMBER: HeaderValue = HeaderValue::from_static("600");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, last-event-id, x-request-id");
/// What pages may read of an answer besides its body and type.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("location, ratelimit, ratelimit-policy, retry-after, x-request-id");

/// Answers preflights of allowed origins, and marks answers to them. Cookies play no part: keys travel in a header.
pub(crate) async fn cors(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let allowed = match request.headers().get(header::ORIGIN) {
        Some(origin) if is_allowed(origin, &app.config.allowed_origins) => Some(origin.clone()),
        _ => None,
    };
    let Some(origin) = allowed else {
        return next.run(request).await;
    };
    let mut response = match is_preflight(&request) {
        true => preflight(),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// Whether `origin` is one of `allowed`.
pub(crate) fn is_allowed(origin: &HeaderValue, allowed: &[String]) -> bool {
    allowed
        .iter()
        .any(|a| a.trim_end_matches('/').as_bytes() == origin.as_bytes())
}

fn is_preflight(request: &Request) -> bool {
    let asks = header::ACCESS_CONTROL_REQUEST_METHOD;
    request.method() == Method::OPTIONS && request.headers().contains_key(asks)
}

fn preflight() -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBER);
    let varies = "access-control-request-method, access-control-request-headers";
    headers.insert(header::VARY, HeaderValue::from_static(varies));
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Says of an answer that it is for pages of its own origin, unless somebody else is named.
pub(crate) const RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
