//! The catalog's part: bots as rows. Credentials live here alone, sealed where the catalog outlives the process.

use async_trait::async_trait;
use serde::Serialize;
use telesift_schemas::{ChatId, Timestamp};

use crate::{catalog::Result, secret::Secret};

/// The bots of the catalog.
#[async_trait]
pub trait BotCatalog: Send + Sync + 'static {
    /// Stores a bot.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Conflict`] if one of that name or id is there; [`crate::catalog::Error::SecretKey`] if its
    /// secrets cannot be sealed.
    async fn add_bot(&self, bot: &BotRow) -> Result<()>;

    /// All bots, by name; those too whose secrets cannot be read.
    async fn bots(&self) -> Result<Vec<BotRow>>;

    /// Removes a bot; `false` if there is none of that name.
    async fn remove_bot(&self, name: &str) -> Result<bool>;
}

/// A bot as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotRow {
    /// Its name here.
    pub name: String,
    /// Its user id at Telegram.
    pub id: i64,
    /// Its secrets; if they cannot be read, why, and what to do.
    pub secrets: std::result::Result<BotSecrets, String>,
    /// How its updates reach us.
    pub delivery: Delivery,
    /// Whether telesift set this up at Telegram, and takes it back on removal.
    pub registered: bool,
    /// The only chats whose updates are taken; empty = all.
    pub chats: Vec<ChatId>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What must not be seen of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotSecrets {
    /// The token that BotFather gave.
    pub token: Secret,
    /// What Telegram sends with each update to the webhook; `None` for bots that are polled.
    pub webhook: Option<Secret>,
}

/// How updates of a bot reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Telegram calls our webhook.
    Webhook,
    /// We ask Telegram.
    Polling,
}

impl Delivery {
    /// Both.
    pub const ALL: [Delivery; 2] = [Delivery::Webhook, Delivery::Polling];

    /// The name in JSON and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Polling => "polling",
        }
    }
}
