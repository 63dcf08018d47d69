//! JSON bodies: read whole within the limit, refused with the place of the fault.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    params::{Params, reject_unknown_fields},
    problem::{Code, Problem, Result},
    state::App,
};

/// A body that is one JSON object. An empty body is an empty object. Everything stands in it: such a route takes no parameter.
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

impl FromRequest<Arc<App>> for JsonObject {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        Params::parse(request.uri().query())?.finish()?;
        let bytes = read_whole(request, app).await?;
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

/// A body that is a rule set: JSON if its type says so or, where it has none, if it begins with `{`; else TOML.
pub(crate) struct RuleText {
    pub(crate) text: String,
    pub(crate) is_json: bool,
}

impl FromRequest<Arc<App>> for RuleText {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_json = content_type
            .and_then(|v| v.to_str().ok())
            .map(|v| v.to_ascii_lowercase().contains("json"));
        let bytes = read_whole(request, app).await?;
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Problem::new(Code::MalformedRequest, "the body is no UTF-8"))?;
        Ok(RuleText {
            is_json: is_json.unwrap_or_else(|| text.trim_start().starts_with('{')),
            text,
        })
    }
}

async fn read_whole(request: Request, app: &Arc<App>) -> Result<Bytes> {
    Bytes::from_request(request, app)
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
        })
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
