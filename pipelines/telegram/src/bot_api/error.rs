//! Why the Bot API did not do what it was asked. No variant holds a URL: URLs hold the token.

use std::time::Duration;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// No such token, or it was revoked.
    #[error("Telegram does not know the token: ask BotFather for the current one")]
    Unauthorized,
    /// Somebody else takes the updates.
    #[error("another poller runs for this bot, or a webhook is set ({0})")]
    Conflict(String),
    /// Too many calls.
    #[error("Telegram asks to wait {} s", retry_after.as_secs())]
    TooMany {
        /// How long.
        retry_after: Duration,
    },
    /// Any other refusal.
    #[error("Telegram refused ({code}): {words}")]
    Refused {
        /// Its code.
        code: u16,
        /// Its words.
        words: String,
    },
    /// The server is in trouble.
    #[error("Telegram is in trouble: {0}")]
    Server(String),
    /// No answer.
    #[error("Telegram cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that makes no sense.
    #[error("Telegram's answer cannot be read: {0}")]
    Unreadable(String),
}

impl CallError {
    /// The failure of the connection, in words without the URL.
    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        let what = match &error {
            e if e.is_timeout() => "no answer in time",
            e if e.is_connect() => "no connection",
            e if e.is_body() || e.is_decode() => "the answer broke off",
            _ => "the connection failed",
        };
        tracing::debug!(error = %error.without_url(), "a call of the Bot API failed");
        CallError::Unreachable(what.to_owned())
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            CallError::Conflict(_)
            | CallError::TooMany { .. }
            | CallError::Server(_)
            | CallError::Unreachable(_)
            | CallError::Unreadable(_) => true,
            CallError::Configuration(_) | CallError::Unauthorized | CallError::Refused { .. } => {
                false
            }
        }
    }

    /// For metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            CallError::Configuration(_) => "configuration",
            CallError::Unauthorized => "unauthorized",
            CallError::Conflict(_) => "conflict",
            CallError::TooMany { .. } => "too_many",
            CallError::Refused { .. } => "refused",
            CallError::Server(_) => "server",
            CallError::Unreachable(_) => "unreachable",
            CallError::Unreadable(_) => "unreadable",
        }
    }
}
