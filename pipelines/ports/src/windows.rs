//! The rows that questions over time windows are answered from: filled from the topic `messages`, rebuilt from it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Generation, MessageKey, Offset, Timestamp};
use telesift_windows::{MinuteChange, Sums, Told};

use crate::{
    catalog::Result,
    leases::Fence,
    ledger::{StageKey, StageState},
};

/// What of each message the windows go by, and the sums of each chat and minute; in each generation (`of`: the one that made
/// the rows) for itself.
///
/// Every question is asked for some chats (`None`: all): what is in no other chat counts, as if the others did not exist.
#[async_trait]
pub trait WindowCatalog: Send + Sync + 'static {
    /// The stored rows of those of `messages` that have one, in no particular order.
    async fn told(&self, of: Generation, messages: &[MessageKey]) -> Result<Vec<Told>>;

    /// Of each of `chats` that has rows, the message with the greatest number: what is beyond it has none.
    async fn newest_told(&self, of: Generation, chats: &[ChatId]) -> Result<Vec<MessageKey>>;

    /// Stores rows, changes minutes, and moves the stage, all in one transaction or not at all: a batch delivered again
    /// finds itself stored, and no minute counts it twice.
    ///
    /// # Errors
    /// Those of [`crate::Catalog::put_stage_state`], under the same conditions.
    async fn put_windows(&self, commit: WindowCommit<'_>) -> Result<()>;

    /// Rows of messages that are not deleted, oldest first (event time, chat, message id), after `after` if given.
    async fn told_between(
        &self,
        of: Generation,
        filter: &ToldFilter,
        after: Option<&ToldPosition>,
        limit: usize,
    ) -> Result<Vec<Told>>;

    /// Sums of minutes, put together as the filter says, ascending; what has no messages is left out.
    async fn minute_sums(&self, of: Generation, filter: &SumsFilter) -> Result<Vec<SumsRow>>;

    /// Removes all rows of a generation; doing so again changes nothing.
    async fn remove_windows(&self, of: Generation) -> Result<()>;
}

/// What a batch changes, and how far the stage is with it.
#[derive(Clone, Copy, Debug)]
pub struct WindowCommit<'a> {
    /// Whose rows.
    pub generation: Generation,
    /// The stage.
    pub key: &'a StageKey,
    /// Where it must be stored to be.
    pub expected: Option<Offset>,
    /// Where it is then.
    pub state: &'a StageState,
    /// The lease under which this is done.
    pub fence: &'a Fence,
    /// Rows to store, one per message at most.
    pub told: &'a [Told],
    /// What changes in the minutes, once per chat and minute.
    pub minutes: &'a [MinuteChange],
}

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldFilter {
    /// Sent at or after.
    pub since: Option<Timestamp>,
    /// Sent before.
    pub until: Option<Timestamp>,
    /// Only those that are no noise: what trends is counted on.
    pub without_noise: bool,
    /// The only chats; `None` = all.
    pub chats: Option<Vec<ChatId>>,
}

/// A place in the list of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ToldPosition {
    /// When the message was sent.
    pub event_time: Timestamp,
    /// The message.
    pub message: MessageKey,
}

impl From<&Told> for ToldPosition {
    fn from(told: &Told) -> Self {
        ToldPosition {
            event_time: told.event_time,
            message: told.key,
        }
    }
}

/// Which minutes, and how they are put together. Minutes are numbered since the unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SumsFilter {
    /// From this minute on.
    pub from: Option<i64>,
    /// Before this one.
    pub to: Option<i64>,
    /// Minutes per sum, aligned to the unix epoch; `None` = all in one.
    pub width: Option<i64>,
    /// A sum per chat instead of one over all.
    pub per_chat: bool,
    /// The only chats; `None` = all.
    pub chats: Option<Vec<ChatId>>,
}

/// Sums over some minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumsRow {
    /// The chat; `None` over all.
    pub chat: Option<ChatId>,
    /// The number of the sum: its minutes by the filter's width; 0 without.
    pub number: i64,
    /// Over its messages.
    pub sums: Sums,
    /// The last minute with messages.
    pub last_minute: i64,
}
