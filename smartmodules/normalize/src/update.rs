//! A Bot API update to a message.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use telesift_schemas::{Normalized, SkipReason, update_kinds};

use crate::{NormalizeError, Place, json::Text, skip};

mod content;
mod deletion;
mod media;
mod message;
mod parties;
mod reactions;
mod rich;
mod service;
mod text;

/// Updates that are known to say nothing of a message.
const WITHOUT_MESSAGE: &[&str] = &[
    "business_connection",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
    "managed_bot",
];

/// Reads an update. `received` and `part` are those of the raw record.
pub(crate) fn normalize(
    payload: &str,
    received: Option<i64>,
    part: Option<u32>,
) -> Result<Normalized, NormalizeError> {
    let update: Update<'_> =
        serde_json::from_str(payload).map_err(|e| NormalizeError::Payload(Place::of(&e)))?;
    match update.says {
        // An object without an update id is none: a bare message or something else.
        _ if !update.has_id => Ok(skip(SkipReason::UnknownUpdate)),
        Some((Says::Message, raw)) => message::normalize(raw),
        Some((Says::Deleted, raw)) => deletion::normalize(raw, received, part),
        Some((Says::Reaction, raw)) => reactions::of_one(raw),
        Some((Says::ReactionCount, raw)) => reactions::of_everybody(raw),
        None if update.is_known => Ok(skip(SkipReason::NoMessage)),
        None => Ok(skip(SkipReason::UnknownUpdate)),
    }
}

/// What an update says of messages.
#[derive(Clone, Copy)]
enum Says {
    Message,
    Deleted,
    Reaction,
    ReactionCount,
}

impl Says {
    fn named(field: &str) -> Option<Self> {
        match field {
            update_kinds::DELETED => Some(Says::Deleted),
            update_kinds::REACTION => Some(Says::Reaction),
            update_kinds::REACTION_COUNT => Some(Says::ReactionCount),
            field => update_kinds::MESSAGES
                .contains(&field)
                .then_some(Says::Message),
        }
    }
}

/// As much of an update as decides what to do with it.
#[derive(Default)]
struct Update<'a> {
    has_id: bool,
    says: Option<(Says, &'a RawValue)>,
    is_known: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Update<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Update<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an update")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Update<'de>, A::Error> {
                let mut update = Update::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    let key = key.as_str();
                    if let Some(says) = Says::named(key) {
                        // `null` is as good as absent.
                        let raw = map.next_value::<Option<&'de RawValue>>()?;
                        update.says = raw.map(|raw| (says, raw)).or(update.says);
                    } else {
                        update.has_id |= key == "update_id";
                        update.is_known |= WITHOUT_MESSAGE.contains(&key);
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(update)
            }
        }
        d.deserialize_map(Fields)
    }
}
