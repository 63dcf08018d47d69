//! How people react to messages: a projection of the topic `reactions`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_schemas::{ChatId, MessageKey, Offset, ReactionsOf, Timestamp};

use super::Result;

/// The stage that keeps the reactions up to `reactions`, by its name in the ledger.
pub const REACTIONS_STAGE: &str = "reactions";

/// The reactions of the catalog: one row per message and hand.
#[async_trait]
pub trait ReactionCatalog: Send + Sync + 'static {
    /// Stores each row unless a later one of the same message and hand is stored already. Idempotent; the order does not
    /// matter, and neither does whether the message is known.
    async fn put_reactions(&self, rows: &[ReactionRow]) -> Result<()>;

    /// The rows of these messages, in no particular order.
    async fn reactions_of(&self, messages: &[MessageKey]) -> Result<Vec<ReactionRow>>;

    /// Whether any was ever stored.
    async fn has_reactions(&self) -> Result<bool>;
}

/// What one hand reacts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionRow {
    /// The message.
    pub message: MessageKey,
    /// Whose reactions.
    pub of: ReactionsOf,
    /// When they changed.
    pub at: Timestamp,
    /// The offset of the raw record: the order within a second.
    pub offset: Offset,
    /// By emoji; empty where all were taken back.
    pub reactions: BTreeMap<String, u32>,
}

impl ReactionRow {
    /// Order of rows of one message and hand: the greatest counts.
    pub fn rank(&self) -> (Timestamp, Offset) {
        (self.at, self.offset)
    }
}

/// Takes the rows of each message together. Telegram counts for everybody or tells of each, by the kind of chat; where both
/// are there, its count is the whole.
pub fn reaction_counts(
    rows: impl IntoIterator<Item = ReactionRow>,
) -> BTreeMap<MessageKey, BTreeMap<String, u32>> {
    let mut messages: BTreeMap<MessageKey, Vec<ReactionRow>> = BTreeMap::new();
    for row in rows {
        messages.entry(row.message).or_default().push(row);
    }
    let counted = messages.into_iter().map(|(message, rows)| {
        let everybody = rows.iter().find(|r| r.of == ReactionsOf::Everybody);
        if let Some(row) = everybody {
            return (message, row.reactions.clone());
        }
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for (name, n) in rows.into_iter().flat_map(|r| r.reactions) {
            let sum = counts.entry(name).or_default();
            *sum = sum.saturating_add(n);
        }
        (message, counts)
    });
    counted.collect()
}

/// Chats that go on as others.
#[async_trait]
pub trait ChatLinks: Send + Sync + 'static {
    /// Notes that the basic group `from` goes on as the supergroup `to`. Idempotent.
    async fn link_chats(&self, from: ChatId, to: ChatId) -> Result<()>;

    /// Every link, by the old chat.
    async fn chat_links(&self) -> Result<Vec<(ChatId, ChatId)>>;
}
