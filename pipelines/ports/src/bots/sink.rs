//! Where updates go: one door into `telegram-raw`, whether Telegram calls or is asked.

use async_trait::async_trait;
use bytes::Bytes;
use telesift_schemas::ChatId;

use super::Delivery;
use crate::record_log;

/// Appends updates, untouched and durable. Validates and appends; nothing else happens to an update here.
#[async_trait]
pub trait UpdateSink: Send + Sync + 'static {
    /// Appends `updates` of one bot in one transaction, durable on return, together with `position`: the next update to be
    /// asked for, where the bot is polled. Updates seen before are refused, those of chats outside the bot's list dropped;
    /// both are counted.
    ///
    /// # Errors
    /// [`TakeError`]; nothing was appended unless the log says that it may have been.
    async fn take(
        &self,
        bot: &BotSource,
        updates: Vec<Bytes>,
        position: Option<i64>,
    ) -> Result<Taken, TakeError>;

    /// The position last committed for the bot with this id; `None` if there was none.
    ///
    /// # Errors
    /// If the log cannot say.
    async fn position(&self, bot_id: i64) -> record_log::Result<Option<i64>>;
}

/// Whose updates these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotSource {
    /// The bot's name here.
    pub name: String,
    /// Its user id at Telegram: what identifies its updates, under whatever name.
    pub id: i64,
    /// How they came.
    pub delivery: Delivery,
    /// The only chats whose updates are taken; empty = all.
    pub chats: Vec<ChatId>,
}

/// What became of updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Appended.
    pub n_new: u64,
    /// Seen before.
    pub n_duplicate: u64,
    /// Of chats outside the bot's list.
    pub n_dropped: u64,
}

/// Why updates were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Not a JSON object.
    #[error("{0}")]
    Malformed(String),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] record_log::Error),
}
