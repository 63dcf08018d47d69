//! Bots: who they are, how their updates reach us, and what Telegram says of them.

mod catalog;
mod sink;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use telesift_schemas::{ChatId, Timestamp};

use crate::secret::Secret;

pub use catalog::{BotCatalog, BotRow, BotSecrets, Delivery};
pub use sink::{BotSource, TakeError, Taken, UpdateSink};

/// Keeps bots: their webhooks, their polling, their updates on the way into `telegram-raw`.
#[async_trait]
pub trait Bots: Send + Sync + 'static {
    /// Who calls the webhook of `bot`. Without IO, and as fast for an unknown bot as for a wrong secret.
    fn admit(&self, bot: &str, secret: &[u8]) -> Admission;

    /// Looks whether another process added or changed bots; for a caller that was refused, who is to be asked again then.
    /// `false` if nobody looked, because somebody did a moment ago or the catalog does not say: whoever calls with wrong
    /// secrets must not wear it out.
    async fn look_again(&self) -> bool {
        false
    }

    /// Appends an update of a bot that [`Bots::admit`] let in; durable on return.
    ///
    /// # Errors
    /// [`TakeError`]: nothing was appended, or it is not known whether it was.
    async fn take(&self, bot: &BotSource, payload: Bytes) -> Result<Taken, TakeError>;

    /// Adds a bot: sets its webhook at Telegram, or starts to poll.
    ///
    /// # Errors
    /// [`BotError`]: nothing was added.
    async fn add(&self, bot: NewBot) -> Result<BotInfo, BotError>;

    /// All bots, by name.
    async fn list(&self) -> Result<Vec<BotInfo>, BotError>;

    /// One bot, with what Telegram says of its webhook.
    async fn report(&self, name: &str) -> Result<Option<BotReport>, BotError>;

    /// Removes a bot; `false` if there is none of that name. What was taken of it stays. The webhook that was set for it is
    /// taken back at Telegram; should that fail, the bot is gone here all the same, and Telegram is refused.
    async fn remove(&self, name: &str) -> Result<bool, BotError>;
}

/// An answer to who calls a webhook.
#[derive(Clone, Debug)]
pub enum Admission {
    /// No such bot, or not its secret.
    Refused,
    /// Nobody can tell: the bot's secrets cannot be read, and `reason` says why.
    Unknown {
        /// For the operator.
        reason: String,
    },
    /// It is Telegram.
    Admitted(Arc<BotSource>),
}

/// A bot to be added.
#[derive(Clone, Debug)]
pub struct NewBot {
    /// Its name here.
    pub name: String,
    /// The token that BotFather gave.
    pub token: Secret,
    /// What Telegram shall send with each update: 1 to 256 of `A-Z a-z 0-9 _ -`. `None`: one is made, where Telegram is told.
    pub secret: Option<Secret>,
    /// The only chats whose updates are taken; empty = all.
    pub chats: Vec<ChatId>,
    /// How its updates shall reach us.
    pub delivery: Delivery,
    /// Whether Telegram is told: to send here, or (for polling) to send nowhere else.
    pub register: bool,
}

/// A bot, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BotInfo {
    /// Its name here.
    pub name: String,
    /// Its user id at Telegram, as a text.
    pub id: String,
    /// How its updates reach us.
    pub delivery: Delivery,
    /// Whether telesift set this up at Telegram.
    pub registered: bool,
    /// The only chats whose updates are taken; empty = all.
    pub chats: Vec<ChatId>,
    /// When it was added.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: BotState,
    /// More about the state, in words.
    pub detail: Option<String>,
    /// Nothing is asked of Telegram before this time.
    pub waiting_until: Option<Timestamp>,
    /// Since when it stands so.
    pub since: Timestamp,
}

/// How a bot stands, as this process knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BotState {
    /// Waits for Telegram to call its webhook.
    Listening,
    /// Is about to be polled.
    Starting,
    /// Is polled.
    Polling,
    /// Telegram or the log could not be reached, or asked for patience: polled again at `waiting_until`.
    Waiting,
    /// Another poller, or a webhook, takes the updates: tried again slowly.
    Conflict,
    /// Telegram does not know the token any more: polling has stopped.
    Revoked,
    /// Its secrets cannot be read.
    Locked,
}

impl BotState {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Starting => "starting",
            Self::Polling => "polling",
            Self::Waiting => "waiting",
            Self::Conflict => "conflict",
            Self::Revoked => "revoked",
            Self::Locked => "locked",
        }
    }
}

/// A bot, with what Telegram says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BotReport {
    /// The bot.
    #[serde(flatten)]
    pub bot: BotInfo,
    /// What `getWebhookInfo` gave; `None` where Telegram could not be asked.
    pub webhook: Option<WebhookInfo>,
    /// Why Telegram could not be asked.
    pub error: Option<String>,
    /// What all that means and what to do, in plain words; empty where all is well.
    pub advice: Vec<String>,
}

/// What Telegram knows of a bot's webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebhookInfo {
    /// Where Telegram sends updates; empty = nowhere.
    pub url: String,
    /// Updates that wait at Telegram.
    pub pending_updates: u64,
    /// The last failure to deliver one, in Telegram's words.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// The kinds of updates asked for; empty = Telegram's default, without reactions.
    pub allowed_updates: Vec<String>,
}

/// Why something cannot be done with a bot.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// A field that cannot be used.
    #[error("`{field}`: {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why, without the value of a secret.
        reason: String,
    },
    /// There is one of that name or token.
    #[error("{0}")]
    Exists(String),
    /// Telegram refused, or could not be reached.
    #[error("{reason}")]
    Telegram {
        /// In words, without secrets.
        reason: String,
        /// Whether the same call may succeed later.
        is_retryable: bool,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] crate::catalog::Error),
}
