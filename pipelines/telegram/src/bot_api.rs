//! The Bot API as far as telesift needs it: one method per call, no URL with a token in any error.

mod answer;
mod error;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use telesift_ports::{Secret, bots::WebhookInfo};
use telesift_schemas::{Timestamp, update_kinds};

use crate::telemetry;
use answer::Answer;
pub use error::CallError;

/// How long a call may take, a long poll apart.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// What a long poll may take beyond the time Telegram was asked to hold it.
const POLL_GRACE: Duration = Duration::from_secs(15);
/// Updates one poll asks for: as many as Telegram gives.
const POLL_LIMIT: u32 = 100;
/// Largest answer taken.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Tries of a call that is not a poll.
const ATTEMPTS: u32 = 3;
/// The longest pause that a call waits out by itself.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A client of one Bot API server.
#[derive(Clone, Debug)]
pub struct BotApi {
    http: reqwest::Client,
    base: String,
}

/// Updates as they were fetched, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Each update, byte for byte.
    pub(crate) updates: Vec<Bytes>,
    /// The next one to ask for; `None` if none came.
    pub(crate) next: Option<i64>,
}

impl BotApi {
    /// A client of the server at `base`, such as `https://api.telegram.org`.
    ///
    /// # Errors
    /// If `base` is no http URL, or the TLS library does not start.
    pub fn new(base: &str) -> Result<Self, CallError> {
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(CallError::Configuration(
                "telegram.api_base is no http URL".to_owned(),
            ));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("telesift/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| CallError::Configuration(e.without_url().to_string()))?;
        Ok(BotApi {
            http,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// The bot's own id.
    pub(crate) async fn me(&self, token: &Secret) -> Result<i64, CallError> {
        #[derive(Deserialize)]
        struct User {
            id: i64,
        }
        let answer = self.call(token, "getMe", &json!({})).await?;
        Ok(answer.result::<User>()?.id)
    }

    /// Has Telegram send updates to `url`, each with `secret`.
    pub(crate) async fn set_webhook(
        &self,
        token: &Secret,
        url: &str,
        secret: &Secret,
    ) -> Result<(), CallError> {
        let params = json!({
            "url": url,
            "secret_token": secret.expose(),
            "allowed_updates": update_kinds::SUBSCRIBED,
        });
        self.call(token, "setWebhook", &params).await.map(drop)
    }

    /// Has Telegram keep updates until they are asked for. None is lost by that.
    pub(crate) async fn delete_webhook(&self, token: &Secret) -> Result<(), CallError> {
        let params = json!({"drop_pending_updates": false});
        self.call(token, "deleteWebhook", &params).await.map(drop)
    }

    /// What Telegram knows of the webhook.
    pub(crate) async fn webhook_info(&self, token: &Secret) -> Result<WebhookInfo, CallError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Info {
            url: String,
            pending_update_count: u64,
            last_error_message: Option<String>,
            last_error_date: Option<i64>,
            allowed_updates: Vec<String>,
        }
        let answer = self.call(token, "getWebhookInfo", &json!({})).await?;
        let info: Info = answer.result()?;
        let seconds = info.last_error_date;
        Ok(WebhookInfo {
            url: info.url,
            pending_updates: info.pending_update_count,
            last_error: info.last_error_message,
            last_error_at: seconds.and_then(|s| Timestamp::from_second(s).ok()),
            allowed_updates: info.allowed_updates,
        })
    }

    /// Waits up to `hold` for updates from `offset` on. Asking for an offset tells Telegram to forget what lies before it.
    pub(crate) async fn updates(
        &self,
        token: &Secret,
        offset: Option<i64>,
        hold: Duration,
    ) -> Result<Fetched, CallError> {
        let mut params = json!({
            "limit": POLL_LIMIT,
            "timeout": hold.as_secs(),
            "allowed_updates": update_kinds::SUBSCRIBED,
        });
        if let Some(offset) = offset {
            params["offset"] = offset.into();
        }
        let answer = self
            .once(token, "getUpdates", &params, hold + POLL_GRACE)
            .await?;
        fetched(&answer)
    }

    /// Calls, repeating a few times what may succeed a moment later.
    async fn call(
        &self,
        token: &Secret,
        method: &'static str,
        params: &Value,
    ) -> Result<Answer, CallError> {
        let mut attempt = 1;
        loop {
            let error = match self.once(token, method, params, CALL_TIMEOUT).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error {
                CallError::TooMany { retry_after } => *retry_after,
                CallError::Unreachable(_) | CallError::Server(_) => {
                    Duration::from_millis(300 * u64::from(attempt) + rand::random_range(0..300))
                }
                _ => return Err(error),
            };
            if attempt == ATTEMPTS || pause > MAX_PAUSE {
                return Err(error);
            }
            metrics::counter!(telemetry::RETRIES, "method" => method).increment(1);
            attempt += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// One request, one answer.
    async fn once(
        &self,
        token: &Secret,
        method: &'static str,
        params: &Value,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let outcome = self.exchange(token, method, params, timeout).await;
        let label = outcome.as_ref().map_or_else(CallError::label, |_| "ok");
        metrics::counter!(telemetry::CALLS, "method" => method, "outcome" => label).increment(1);
        outcome
    }

    async fn exchange(
        &self,
        token: &Secret,
        method: &'static str,
        params: &Value,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let url = format!("{}/bot{}/{method}", self.base, token.expose());
        let request = self.http.post(url).timeout(timeout).json(params);
        let mut response = request.send().await.map_err(CallError::unreachable)?;
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(CallError::unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(CallError::Unreadable(format!(
                    "the answer is larger than {MAX_ANSWER_BYTES} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Answer::read(status, body.freeze())
    }
}

/// The updates of an answer, each as its own bytes.
fn fetched(answer: &Answer) -> Result<Fetched, CallError> {
    #[derive(Deserialize)]
    struct Id {
        update_id: i64,
    }
    let raw: Vec<&RawValue> = answer.result()?;
    let mut fetched = Fetched::default();
    for update in raw {
        let id: Id = serde_json::from_str(update.get())
            .map_err(|e| CallError::Unreadable(format!("an update without id: {}", e.column())))?;
        fetched.next = fetched.next.max(Some(id.update_id.saturating_add(1)));
        fetched.updates.push(answer.slice(update));
    }
    Ok(fetched)
}
