//! A `Message` object of the Bot API, read in one pass: its fields, and the one thing it carries or reports.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{media, parties::ForwardFields, service};
use crate::json::{Int, Text};

/// What counts of a message. Nested objects stay raw until they are needed.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) message_id: Int,
    pub(super) thread: Int,
    pub(super) date: Int,
    pub(super) edit_date: Int,
    pub(super) chat: Option<&'a RawValue>,
    pub(super) from: Option<&'a RawValue>,
    pub(super) sender_chat: Option<&'a RawValue>,
    pub(super) forward: ForwardFields<'a>,
    pub(super) is_automatic_forward: bool,
    pub(super) reply_to_message: Option<&'a RawValue>,
    pub(super) quote: Option<&'a RawValue>,
    pub(super) media_group_id: Text<'a>,
    /// The text or the caption, and its entities.
    pub(super) text: Text<'a>,
    pub(super) caption: Text<'a>,
    pub(super) entities: Option<&'a RawValue>,
    pub(super) caption_entities: Option<&'a RawValue>,
    pub(super) rich: Option<&'a RawValue>,
    /// The medium, by its rank in [`media::KINDS`].
    pub(super) medium: Option<(usize, &'a RawValue)>,
    /// The event reported, by its place in [`service::EVENTS`].
    pub(super) event: Option<(usize, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'de>, A::Error> {
        let mut c = Content::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.as_str() {
                "message_id" => c.message_id = map.next_value()?,
                "message_thread_id" => c.thread = map.next_value()?,
                "date" => c.date = map.next_value()?,
                "edit_date" => c.edit_date = map.next_value()?,
                "chat" => c.chat = map.next_value()?,
                "from" => c.from = map.next_value()?,
                "sender_chat" => c.sender_chat = map.next_value()?,
                "forward_origin" => c.forward.origin = map.next_value()?,
                "forward_from" => c.forward.from = map.next_value()?,
                "forward_from_chat" => c.forward.from_chat = map.next_value()?,
                "forward_from_message_id" => c.forward.from_message_id = map.next_value()?,
                "forward_sender_name" => c.forward.sender_name = map.next_value()?,
                "forward_date" => c.forward.date = map.next_value()?,
                "is_automatic_forward" => {
                    c.is_automatic_forward = map.next_value::<&'de RawValue>()?.get() == "true";
                }
                "reply_to_message" => c.reply_to_message = map.next_value()?,
                "quote" => c.quote = map.next_value()?,
                "media_group_id" => c.media_group_id = map.next_value()?,
                "text" => c.text = map.next_value()?,
                "caption" => c.caption = map.next_value()?,
                "entities" => c.entities = map.next_value()?,
                "caption_entities" => c.caption_entities = map.next_value()?,
                "rich_message" => c.rich = map.next_value()?,
                key => {
                    if let Some(rank) = media::rank(key) {
                        let raw = map.next_value::<Option<&'de RawValue>>()?;
                        keep_first(&mut c.medium, rank, raw);
                    } else if let Some(place) = service::place(key) {
                        let raw = map.next_value::<Option<&'de RawValue>>()?;
                        keep_first(&mut c.event, place, raw);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
        }
        Ok(c)
    }
}

/// Keeps the entry of the lowest rank.
fn keep_first<'a>(
    slot: &mut Option<(usize, &'a RawValue)>,
    rank: usize,
    raw: Option<&'a RawValue>,
) {
    if let Some(raw) = raw
        && slot.is_none_or(|(kept, _)| rank < kept)
    {
        *slot = Some((rank, raw));
    }
}
