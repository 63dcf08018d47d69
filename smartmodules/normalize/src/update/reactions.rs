//! Reactions to a message: they change nothing of the message and are a record of their own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_schemas::{MessageKey, Normalized, Reactions, ReactionsOf, Timestamp};

use super::parties::Party;
use crate::{
    NormalizeError, Place,
    json::{Int, Text},
    read,
};

/// `message_reaction` and `message_reaction_count` of the Bot API; their fields do not collide.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Update<'a> {
    #[serde(borrow)]
    chat: Option<Party<'a>>,
    message_id: Int,
    date: Int,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    actor_chat: Option<&'a RawValue>,
    #[serde(borrow)]
    new_reaction: Option<Vec<Reaction<'a>>>,
    #[serde(borrow)]
    reactions: Option<Vec<Counted<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reaction<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    emoji: Text<'a>,
    #[serde(borrow)]
    custom_emoji_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counted<'a> {
    #[serde(borrow, rename = "type")]
    reaction: Option<Reaction<'a>>,
    total_count: Int,
}

impl Reaction<'_> {
    /// The emoji, `custom:<id>`, or the kind of what has neither (`paid`).
    fn name(&self) -> Option<String> {
        if let Some(id) = self.custom_emoji_id.non_empty() {
            return Some(format!("custom:{id}"));
        }
        self.emoji.owned().or_else(|| self.kind.owned())
    }
}

/// What one user, or a chat writing as itself, reacts with now.
pub(super) fn of_one(payload: &RawValue) -> Result<Normalized, NormalizeError> {
    let update = parse(payload)?;
    let actor = read::<Party<'_>>(update.user)
        .or_else(|| read(update.actor_chat))
        .and_then(|p| p.id())
        .ok_or(NormalizeError::Missing("user"))?;
    let now = update.new_reaction.as_deref();
    let now = now.ok_or(NormalizeError::Missing("new_reaction"))?;
    let reactions = now.iter().filter_map(Reaction::name);
    let reactions = reactions.map(|name| (name, 1)).collect();
    record(update, ReactionsOf::Actor(actor), reactions)
}

/// How often everybody together reacts with what, where Telegram does not say who.
pub(super) fn of_everybody(payload: &RawValue) -> Result<Normalized, NormalizeError> {
    let update = parse(payload)?;
    let counts = update.reactions.as_deref();
    let counts = counts.ok_or(NormalizeError::Missing("reactions"))?;
    let mut reactions = BTreeMap::new();
    for counted in counts {
        let name = counted.reaction.as_ref().and_then(Reaction::name);
        let n = counted.total_count.0.and_then(|n| u32::try_from(n).ok());
        if let (Some(name), Some(n @ 1..)) = (name, n) {
            reactions.insert(name, n);
        }
    }
    record(update, ReactionsOf::Everybody, reactions)
}

fn parse(payload: &RawValue) -> Result<Update<'_>, NormalizeError> {
    serde_json::from_str(payload.get()).map_err(|e| NormalizeError::Payload(Place::of(&e)))
}

fn record(
    update: Update<'_>,
    of: ReactionsOf,
    reactions: BTreeMap<String, u32>,
) -> Result<Normalized, NormalizeError> {
    let message_id = update
        .message_id
        .0
        .ok_or(NormalizeError::Missing("message_id"))?;
    let at = update
        .date
        .0
        .and_then(|s| Timestamp::from_second(s).ok())
        .ok_or(NormalizeError::Missing("date"))?;
    let chat = update.chat.and_then(|c| c.to_chat());
    let chat = chat.ok_or(NormalizeError::Missing("chat"))?;
    Ok(Normalized::Reacted {
        reacted: Box::new(Reactions {
            v: Reactions::VERSION,
            id: MessageKey {
                chat: chat.id,
                message_id,
            },
            chat,
            of,
            at,
            reactions,
            origin: None,
        }),
    })
}
