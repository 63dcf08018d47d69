//! Why a call failed, in words without secrets and without anything of what was sent.

use std::time::Duration;

use reqwest::{Response, StatusCode, header};
use serde::Deserialize;

/// The longest code of an error that is passed on.
const MAX_CODE: usize = 48;
/// How much of a refusal is read for its code.
const MAX_REFUSAL_BYTES: usize = 16 << 10;

/// Why a call to a provider failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It took too long.
    #[error("no answer in time")]
    Timeout {
        /// Whether the call had been sent by then.
        was_sent: bool,
    },
    /// There is no connection, or it broke.
    #[error("{reason}")]
    Connection {
        /// What happened.
        reason: &'static str,
        /// Whether the call had been sent by then.
        was_sent: bool,
    },
    /// It answered with an error.
    #[error("status {status}{}", code.as_ref().map(|c| format!(" ({c})")).unwrap_or_default())]
    Status {
        /// The HTTP status.
        status: u16,
        /// The provider's own code for the error, such as `model_not_found`.
        code: Option<String>,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is larger than allowed.
    #[error("the answer exceeds {limit} bytes")]
    AnswerTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is not what was asked for.
    #[error("the answer does not fit: {reason}")]
    Answer {
        /// What is wrong with it.
        reason: String,
    },
    /// The breaker is open: the provider failed too often just now.
    #[error("held back for {} s after repeated failures", wait.as_secs().max(1))]
    Held {
        /// How long.
        wait: Duration,
    },
    /// This machine cannot make such calls.
    #[error("no HTTP client can be set up")]
    Setup,
}

impl CallError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            CallError::Timeout { .. } | CallError::Connection { .. } | CallError::Held { .. } => {
                true
            }
            CallError::Status { status, .. } => matches!(status, 408 | 409 | 425 | 429 | 500..),
            CallError::AnswerTooLarge { .. } | CallError::Answer { .. } | CallError::Setup => false,
        }
    }

    /// A label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            CallError::Timeout { .. } => "timeout",
            CallError::Connection { .. } => "connection",
            CallError::Status { status: 429, .. } => "rate_limited",
            CallError::Status { status: 500.., .. } => "server_error",
            CallError::Status { .. } => "refused",
            CallError::AnswerTooLarge { .. } | CallError::Answer { .. } => "bad_answer",
            CallError::Held { .. } => "held",
            CallError::Setup => "setup",
        }
    }

    /// Whether the provider failed; a limit or a refusal is an answer.
    pub(super) fn counts_against_provider(&self) -> bool {
        match self {
            CallError::Timeout { .. } | CallError::Connection { .. } => true,
            CallError::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the provider may have done, and may charge for, what was asked.
    pub(crate) fn may_have_been_done(&self) -> bool {
        match self {
            CallError::Timeout { was_sent } | CallError::Connection { was_sent, .. } => *was_sent,
            CallError::AnswerTooLarge { .. } | CallError::Answer { .. } => true,
            CallError::Status { .. } | CallError::Held { .. } | CallError::Setup => false,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self, CallError::Held { .. })
    }

    /// How long the provider asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::Status { retry_after, .. } => *retry_after,
            CallError::Held { wait } => Some(*wait),
            _ => None,
        }
    }

    pub(super) fn of(error: reqwest::Error) -> Self {
        let was_sent = !error.is_connect();
        let reason = match was_sent {
            true => "the connection broke",
            false => "cannot connect",
        };
        match error.is_timeout() {
            true => CallError::Timeout { was_sent },
            false => CallError::Connection { reason, was_sent },
        }
    }

    /// What a response that is no success says. Of its body only a short code is kept: the rest may repeat what was sent.
    pub(super) async fn refused(mut response: Response) -> Self {
        let status = response.status().as_u16();
        let retry_after = retry_after_of(&response);
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_REFUSAL_BYTES {
                break;
            }
        }
        CallError::Status {
            status,
            code: code_of(&body),
            retry_after,
        }
    }
}

/// The header `Retry-After` in seconds; a date is rare among these providers, and an own delay does as well.
fn retry_after_of(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: f64 = value.trim().parse().ok()?;
    let is_asked_for = matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    (is_asked_for && (0.0..=86_400.0).contains(&seconds)).then(|| Duration::from_secs_f64(seconds))
}

/// `error.code`, else `error.type`, where it is one short word.
fn code_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(default)]
        code: Option<serde_json::Value>,
        #[serde(default)]
        r#type: Option<String>,
    }
    let detail = serde_json::from_slice::<Refusal>(body).ok()?.error;
    let code = detail.code.and_then(|c| c.as_str().map(str::to_owned));
    let is_word = |c: &String| {
        let mut bytes = c.bytes();
        !c.is_empty()
            && c.len() <= MAX_CODE
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    code.filter(is_word).or(detail.r#type.filter(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_only_a_short_code_is_kept() {
        let body = br#"{"error": {"message": "your text: secret", "type": "invalid_request_error", "code": "model_not_found"}}"#;
        assert_eq!(code_of(body).as_deref(), Some("model_not_found"));
        let body = br#"{"error": {"type": "overloaded_error", "code": "a text with spaces"}}"#;
        assert_eq!(code_of(body).as_deref(), Some("overloaded_error"));
        assert_eq!(code_of(br#"{"error": "plain"}"#), None);
        assert_eq!(code_of(b"<html>"), None);
    }
}
