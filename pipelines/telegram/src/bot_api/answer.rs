//! An answer of the Bot API: `{"ok", "result"}`, or why not.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::CallError;

/// A successful answer, as it came.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Bytes,
    /// Where `result` stands in it.
    result: std::ops::Range<usize>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    ok: bool,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error_code: Option<u16>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    retry_after: Option<u64>,
}

impl Answer {
    pub(super) fn read(status: u16, bytes: Bytes) -> Result<Self, CallError> {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&bytes) else {
            return Err(match status {
                // Proxies and overloaded servers answer in HTML.
                500..=599 => CallError::Server(format!("it answered {status}")),
                429 => CallError::TooMany {
                    retry_after: Duration::from_secs(1),
                },
                _ => CallError::Unreadable(format!("it answered {status} without JSON")),
            });
        };
        if let (true, Some(result)) = (envelope.ok, envelope.result) {
            let result = place(&bytes, result);
            return Ok(Answer { bytes, result });
        }
        let words = envelope.description.unwrap_or_default();
        Err(match envelope.error_code.unwrap_or(status) {
            // An unknown bot is a 404 for the method's path.
            401 | 404 => CallError::Unauthorized,
            409 => CallError::Conflict(words),
            429 => CallError::TooMany {
                retry_after: Duration::from_secs(
                    envelope.parameters.and_then(|p| p.retry_after).unwrap_or(1),
                ),
            },
            code @ 500..=599 => CallError::Server(format!("it answered {code}: {words}")),
            code => CallError::Refused { code, words },
        })
    }

    pub(super) fn result<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        serde_json::from_slice(&self.bytes[self.result.clone()]).map_err(|e| {
            CallError::Unreadable(format!(
                "its result is not what was expected, at {}:{}",
                e.line(),
                e.column()
            ))
        })
    }

    /// A part of the result without a copy.
    pub(super) fn slice(&self, part: &RawValue) -> Bytes {
        self.bytes.slice(place(&self.bytes, part))
    }
}

/// Where a part that was read from `bytes` stands in it.
fn place(bytes: &Bytes, part: &RawValue) -> std::ops::Range<usize> {
    let start = part.get().as_ptr() as usize - bytes.as_ptr() as usize;
    start..start + part.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, text: &str) -> Result<Answer, CallError> {
        Answer::read(status, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn updates_keep_their_bytes() {
        let body =
            "{\"ok\":true,\"result\": [ {\"update_id\":7, \"x\" : \"\\u0041\"},{\"update_id\":6}]}";
        let fetched = super::super::fetched(&read(200, body).unwrap()).unwrap();
        assert_eq!(
            fetched.updates[0],
            &b"{\"update_id\":7, \"x\" : \"\\u0041\"}"[..]
        );
        assert_eq!(fetched.updates[1], &b"{\"update_id\":6}"[..]);
        assert_eq!(fetched.next, Some(8));
    }

    #[test]
    fn failures_are_told_apart() {
        let error = |status, text| read(status, text).unwrap_err();
        let wait =
            r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":17}}"#;
        assert!(
            matches!(error(429, wait), CallError::TooMany { retry_after } if retry_after.as_secs() == 17)
        );
        for (status, text) in [
            (
                401,
                r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            ),
            (
                404,
                r#"{"ok":false,"error_code":404,"description":"Not Found"}"#,
            ),
        ] {
            assert!(matches!(error(status, text), CallError::Unauthorized));
        }
        let conflict = r#"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}"#;
        assert!(
            matches!(error(409, conflict), CallError::Conflict(words) if words.contains("other"))
        );
        assert!(matches!(error(502, "<html>"), CallError::Server(_)));
        assert!(matches!(error(200, "<html>"), CallError::Unreadable(_)));
        let refused = r#"{"ok":false,"error_code":400,"description":"Bad Request: bad webhook"}"#;
        assert!(matches!(
            error(400, refused),
            CallError::Refused { code: 400, .. }
        ));
    }
}
