//! JSON bodies: read whole within the limit, refused with the place of the fault.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    params::reject_unknown_fields,
    problem::{Code, Problem, Result},
    state::App,
};

/// A body that is one JSON object. An empty body is an empty object.
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

impl FromRequest<Arc<App>> for JsonObject {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let bytes = Bytes::from_request(request, app)
            .await
            .map_err(|rejection| match rejection.status() {
                axum::http::StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                    Code::TooLarge,
                    format!(
                        "the body is larger than {} bytes",
                        app.config.max_body_bytes
                    ),
                ),
                _ => Problem::new(Code::MalformedRequest, "the body could not be read")
                    .because(rejection),
            })?;
        if bytes.is_empty() {
            return Ok(JsonObject(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(JsonObject(object)),
            Ok(_) => Err(Problem::new(
                Code::MalformedRequest,
                "the body must be a JSON object",
            )),
            Err(error) => Err(Problem::new(
                Code::MalformedRequest,
                format!("the body is no valid JSON: {error}"),
            )),
        }
    }
}

impl JsonObject {
    /// The object as a `T`, which knows the members `known`.
    ///
    /// # Errors
    /// 400 naming unknown members, or the fault in a known one.
    pub(crate) fn into<T: DeserializeOwned>(self, known: &[&'static str]) -> Result<T> {
        reject_unknown_fields(&self.0, known)?;
        serde_json::from_value(Value::Object(self.0)).map_err(|error| {
            Problem::new(
                Code::InvalidParameter,
                format!("the body is not as documented: {error}"),
            )
        })
    }
}
