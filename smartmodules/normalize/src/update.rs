//! A Bot API update to a message.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use telesift_schemas::{Normalized, SkipReason};

use crate::{NormalizeError, Place, json::Text, skip};

mod content;
mod media;
mod message;
mod parties;
mod rich;
mod service;
mod text;

/// Updates that hold a message of a chat the bot follows.
const WITH_MESSAGE: &[&str] = &[
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_message",
    "edited_business_message",
];

/// Updates that are known to bear no message of their own. Deletions and reactions will get their own handling.
const WITHOUT_MESSAGE: &[&str] = &[
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
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

pub(crate) fn normalize(payload: &str) -> Result<Normalized, NormalizeError> {
    let update: Update<'_> =
        serde_json::from_str(payload).map_err(|e| NormalizeError::Payload(Place::of(&e)))?;
    match update {
        // An object without an update id is none: a bare message or something else.
        Update { has_id: false, .. } => Ok(skip(SkipReason::UnknownUpdate)),
        Update {
            message: Some(message),
            ..
        } => message::normalize(message),
        Update { is_known: true, .. } => Ok(skip(SkipReason::NoMessage)),
        Update { .. } => Ok(skip(SkipReason::UnknownUpdate)),
    }
}

/// As much of an update as decides what to do with it.
#[derive(Default)]
struct Update<'a> {
    has_id: bool,
    message: Option<&'a RawValue>,
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
                    if WITH_MESSAGE.contains(&key) {
                        // `null` is as good as absent.
                        update.message = map
                            .next_value::<Option<&'de RawValue>>()?
                            .or(update.message);
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
