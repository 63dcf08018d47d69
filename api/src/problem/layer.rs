//! Renders problems: adds the instance, logs the cause, and catches what layers answered with a bare status.

use std::any::Any;

use axum::{
    body::Body,
    http::{HeaderValue, Response as HttpResponse, header},
    response::Response,
};
use serde_json::{Value, json};

use super::{KeepBody, Problem};

/// Turns an error answer into `application/problem+json`. `request_id` is the occurrence: the same id stands in the
/// log beside the cause.
pub(crate) fn render(response: Response, request_id: &str) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<KeepBody>().is_some() {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None => Problem::from_status(status),
    };
    log(&problem, request_id);
    metrics::counter!(crate::telemetry::PROBLEMS, "code" => problem.code.as_str()).increment(1);

    let (mut parts, _) = response.into_parts();
    parts.status = problem.code.status();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = problem.retry_after_s {
        parts.headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(standing) = problem.limited_by {
        standing.put_on(&mut parts.headers);
    }
    if problem.code.status() == axum::http::StatusCode::UNAUTHORIZED {
        parts.headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"telesift\""),
        );
    }
    let body = serde_json::to_vec(&document(&problem, request_id)).unwrap_or_default();
    HttpResponse::from_parts(parts, Body::from(body))
}

fn document(problem: &Problem, request_id: &str) -> Value {
    let mut document = json!({
        "type": format!("/errors#{}", problem.code.as_str()),
        "title": problem.code.title(),
        "status": problem.code.status().as_u16(),
        "detail": problem.detail,
        "instance": format!("urn:telesift:request:{request_id}"),
        "code": problem.code.as_str(),
    });
    if let Some(members) = document.as_object_mut() {
        for (name, value) in &problem.extensions {
            members.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    document
}

fn log(problem: &Problem, request_id: &str) {
    let code = problem.code.as_str();
    match (&problem.cause, problem.code.status().is_server_error()) {
        (Some(cause), true) => tracing::error!(request_id, code, cause, "request failed"),
        (Some(cause), false) => tracing::info!(request_id, code, cause, "request refused"),
        (None, _) => tracing::debug!(request_id, code, "request refused"),
    }
}

/// The answer of a handler that panicked. A panic's words may quote message text, so they are not logged here.
pub(crate) fn on_panic(_: Box<dyn Any + Send + 'static>) -> Response {
    use axum::response::IntoResponse;
    Problem::internal("a handler panicked").into_response()
}
