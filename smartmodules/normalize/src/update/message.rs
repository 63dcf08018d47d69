//! A `Message` of the Bot API to a message of ours.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_schemas::{Chat, ChatId, Message, MessageKey, MessageKind, Normalized, Timestamp};

use super::{
    content::Content,
    media,
    parties::{Party, author},
    rich, service, text,
};
use crate::{
    NormalizeError, Place, finish,
    json::{Int, Text},
    read,
};

pub(super) fn normalize(payload: &RawValue) -> Result<Normalized, NormalizeError> {
    let content: Content<'_> =
        serde_json::from_str(payload.get()).map_err(|e| NormalizeError::Payload(Place::of(&e)))?;
    let message_id = content
        .message_id
        .0
        .ok_or(NormalizeError::Missing("message_id"))?;
    let event_time = content
        .date
        .0
        .and_then(|s| Timestamp::from_second(s).ok())
        .ok_or(NormalizeError::Missing("date"))?;
    let chat = read::<Party<'_>>(content.chat)
        .and_then(|c| c.to_chat())
        .ok_or(NormalizeError::Missing("chat"))?;
    let body = body(&content);
    let message = Message {
        v: Message::VERSION,
        id: MessageKey {
            chat: chat.id,
            message_id,
        },
        message_id,
        edit: content.edit_date.0.filter(|&e| e > 0).unwrap_or(0),
        event_time,
        author: author(content.from, content.sender_chat, &chat),
        kind: body.kind,
        text: body.text,
        lang: String::new(),
        reply_to: reply_to(&content, &chat),
        thread: content.thread.0,
        forward: content.forward.read(),
        links: body.links,
        media: content
            .medium
            .map(|(rank, raw)| media::read_medium(rank, raw)),
        reactions: BTreeMap::new(),
        quote: read::<Quote<'_>>(content.quote).and_then(|q| q.text.owned()),
        media_group: content.media_group_id.owned(),
        signature: None,
        migrated_to: migration(&content, "migrate_to_chat_id"),
        migrated_from: migration(&content, "migrate_from_chat_id"),
        deleted_at: None,
        flags: Vec::new(),
        screen: None,
        origin: None,
        chat,
    };
    Ok(finish(message, false, content.is_automatic_forward))
}

/// The chat that the event `field` of the message names.
fn migration(content: &Content<'_>, field: &str) -> Option<ChatId> {
    let (place, raw) = content.event?;
    let id: Int = (service::EVENTS[place].0 == field).then(|| read(Some(raw)))??;
    id.0.map(ChatId)
}

struct Body {
    kind: MessageKind,
    text: String,
    links: Vec<String>,
}

/// Kind and text. A text is what is said; a medium may have a caption; an event of the chat gets our description.
fn body(content: &Content<'_>) -> Body {
    let said = |kind, text: &str, entities| Body {
        kind,
        links: text::links(text, entities),
        text: text.to_owned(),
    };
    if let Some((rank, _)) = content.medium {
        let kind = media::KINDS[rank].1;
        return said(kind, content.caption.as_str(), content.caption_entities);
    }
    if content.text.is_present() {
        return said(MessageKind::Text, content.text.as_str(), content.entities);
    }
    if let Some(raw) = content.rich {
        let rich = rich::read_rich(raw);
        let mut body = said(MessageKind::Text, &rich.text, None);
        for url in rich.links {
            if !body.links.contains(&url) {
                body.links.push(url);
            }
        }
        return body;
    }
    match content.event {
        Some((place, raw)) => Body {
            kind: MessageKind::Service,
            text: service::describe(place, raw),
            links: Vec::new(),
        },
        None => said(
            MessageKind::Other,
            content.caption.as_str(),
            content.caption_entities,
        ),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Quote<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answered<'a> {
    message_id: Int,
    #[serde(borrow)]
    chat: Option<&'a RawValue>,
    #[serde(borrow)]
    forum_topic_created: Option<&'a RawValue>,
}

/// The message answered, if it stands in this chat. Every message of a forum topic refers to the message that opened the
/// topic; that is no answer.
fn reply_to(content: &Content<'_>, chat: &Chat) -> Option<i64> {
    let answered: Answered<'_> = read(content.reply_to_message)?;
    let is_here = read::<Party<'_>>(answered.chat)
        .and_then(|c| c.id())
        .is_none_or(|id| id == chat.id);
    let opens_topic = answered.forum_topic_created.is_some();
    answered.message_id.0.filter(|_| is_here && !opens_topic)
}
