//! `reactions`: how people react to a message, told apart from its versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Chat, ChatId, MessageKey, Origin, Timestamp};

/// A record of `reactions`: what one person's reactions to a message are now, or all anonymous ones together. It takes the
/// place of what was said before of the same message by the same hand, and is no version of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Reactions {
    /// Record version: 1.
    pub v: u32,
    /// The message.
    pub id: MessageKey,
    /// The chat, as it was called then.
    pub chat: Chat,
    /// Whose reactions.
    pub of: ReactionsOf,
    /// When they changed, by Telegram. The latest counts, and of the same second the later record.
    pub at: Timestamp,
    /// By emoji (or `custom:<id>`, `paid`); empty where all were taken back.
    pub reactions: BTreeMap<String, u32>,
    /// The raw record it came from. Absent only before the screen stage has added it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "json-schema", schemars(required))]
    pub origin: Option<Origin>,
}

impl Reactions {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// Whose reactions a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReactionsOf {
    /// Of everybody, counted by Telegram: it does not say who.
    Everybody,
    /// Of one user, or of a chat that writes as itself.
    Actor(ChatId),
}
