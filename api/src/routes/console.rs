//! The console's static files and the page of error codes. Open: they hold nothing of anybody.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::state::App;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The console may run its own script and talk to its own server, nothing else.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything served without a handler's work.
pub(crate) fn static_files() -> Router<Arc<App>> {
    let file = |mime, text: &'static str| get(move || async move { page(mime, text) });
    Router::new()
        .route("/", file(HTML, include_str!("../../console/index.html")))
        .route(
            "/console.css",
            file(CSS, include_str!("../../console/console.css")),
        )
        .route(
            "/console.js",
            file(JS, include_str!("../../console/console.js")),
        )
        .route(
            "/errors",
            file(TEXT, include_str!("../../../docs/errors.md")),
        )
}

fn page(mime: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(mime)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONSOLE_POLICY),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
