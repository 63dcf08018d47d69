//! Errors on their way out: ports' errors and bad requests come in, RFC 9457 problems leave.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::limits::Standing;

mod code;
pub(crate) mod from_ports;
mod from_rules;
mod layer;

pub use code::Code;
pub(crate) use layer::{on_panic, render};

/// Marks an error answer whose body says more than a problem could, and stays.
#[derive(Clone, Copy)]
pub(crate) struct KeepBody;

/// Result of a handler.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// An error answer in the making. [`render`] turns it into `application/problem+json`, adds the instance and logs the
/// cause; a handler only says what happened.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// For the client. Holds nothing of other users and no cause from inside.
    pub(crate) detail: String,
    /// Further members, such as `byte_offset`.
    pub(crate) extensions: Map<String, Value>,
    /// For the server's log only.
    pub(crate) cause: Option<String>,
    pub(crate) retry_after_s: Option<u32>,
    /// The limit that was hit.
    pub(crate) limited_by: Option<Standing>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem {
            code,
            detail: detail.into(),
            extensions: Map::new(),
            cause: None,
            retry_after_s: None,
            limited_by: None,
        }
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Notes the cause for the server's log.
    pub(crate) fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Says when to try again.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Names the limit that was hit.
    pub(crate) fn limited_by(mut self, standing: Standing) -> Self {
        self.limited_by = Some(standing);
        self
    }

    /// Something is not there, or not for this key: the two must look the same.
    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Problem::new(Code::NotFound, format!("{what} `{id}` not found"))
    }

    /// A value that is not valid for a parameter or field.
    pub(crate) fn invalid(parameter: &str, detail: impl Into<String>) -> Self {
        Problem::new(Code::InvalidParameter, detail).with("parameter", parameter)
    }

    pub(crate) fn internal(cause: impl ToString) -> Self {
        Problem::new(
            Code::Internal,
            "the server could not answer; its log names the cause under this instance",
        )
        .because(cause)
    }

    pub(crate) fn unavailable(what: &str, cause: impl ToString) -> Self {
        Problem::new(
            Code::Unavailable,
            format!("{what} is unavailable; try again"),
        )
        .because(cause)
        .retry_after(2)
    }

    /// The problem of an answer that some layer gave with a bare status.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Problem::new(
                Code::RouteNotFound,
                "no such route; /openapi.json lists them",
            ),
            StatusCode::METHOD_NOT_ALLOWED => Problem::new(
                Code::MethodNotAllowed,
                "this route does not know the method; see the header `Allow`",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(Code::TooLarge, "the body is larger than allowed")
            }
            s if s.is_client_error() => Problem::new(
                Code::MalformedRequest,
                format!("the request cannot be read ({s})"),
            ),
            s => Problem::internal(format!("a layer answered {s}")),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
