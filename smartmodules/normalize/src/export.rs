//! A message of a Telegram Desktop export, of any age, to a message.

use std::collections::BTreeMap;

use serde::Deserialize;
use telesift_schemas::{
    AssumedTimes, Author, AuthorKind, Chat, ChatId, ChatKind, ExportChat, Forward, Message,
    MessageKind, Normalized, SkipReason, Timestamp, edit_from_export,
};

use crate::{
    NormalizeError, Place, finish,
    json::{Int, Text},
    read, skip,
};

mod body;
mod entry;
mod media;
mod service;

use entry::Entry;

pub(crate) fn normalize(
    payload: &str,
    chat: &ExportChat,
    assumed: Option<&AssumedTimes>,
) -> Result<Normalized, NormalizeError> {
    let entry: Entry<'_> =
        serde_json::from_str(payload).map_err(|e| NormalizeError::Payload(Place::of(&e)))?;
    let is_service = match entry.kind.as_str() {
        "message" => false,
        "service" => true,
        _ => return Ok(skip(SkipReason::UnknownEntry)),
    };
    let message_id = entry.id.0.ok_or(NormalizeError::Missing("id"))?;
    let chat = chat_of(chat)?;
    let times = times(&entry, assumed)?;
    let body = if is_service {
        body::Body {
            text: service::describe(&entry),
            links: Vec::new(),
        }
    } else {
        body::read(entry.text.or(entry.text_entities))
    };
    let (kind, media) = media::of(&entry, is_service);
    let message = Message {
        edit: times.edit,
        author: author(&entry, &chat, is_service),
        kind,
        text: body.text,
        lang: String::new(),
        reply_to: reply_to(&entry, &chat),
        forward: forward(&entry),
        links: body.links,
        media,
        reactions: reactions(&entry),
        ..Message::blank(chat, message_id, times.event)
    };
    Ok(finish(message, times.is_uncertain, false))
}

fn chat_of(header: &ExportChat) -> Result<Chat, NormalizeError> {
    let (id, kind) = header
        .identify()
        .ok_or(NormalizeError::Missing("chat.type"))?;
    Ok(Chat {
        id,
        title: header.name.clone().filter(|n| !n.is_empty()),
        kind,
        username: None,
    })
}

struct Times {
    event: Timestamp,
    edit: i64,
    is_uncertain: bool,
}

fn times(entry: &Entry<'_>, assumed: Option<&AssumedTimes>) -> Result<Times, NormalizeError> {
    let certain = entry.date_unixtime.0;
    let event = certain
        .or(assumed.map(|a| a.date))
        .and_then(|s| Timestamp::from_second(s).ok())
        .ok_or(NormalizeError::Missing("date_unixtime"))?;
    let assumed_edit = || {
        let has_date = !entry.edited.as_str().starts_with("1970-");
        assumed.and_then(|a| a.edited).filter(|_| has_date)
    };
    let edit = entry.edited_unixtime.0.or_else(assumed_edit).unwrap_or(0);
    Ok(Times {
        event,
        edit: edit_from_export(edit),
        is_uncertain: certain.is_none(),
    })
}

fn author(entry: &Entry<'_>, chat: &Chat, is_service: bool) -> Option<Author> {
    let (name, id) = if is_service && entry.actor_id.is_present() {
        (&entry.actor, &entry.actor_id)
    } else {
        (&entry.from, &entry.from_id)
    };
    let id = peer(id, chat)?;
    let kind = if id.0 < 0 {
        AuthorKind::Chat
    } else if chat.kind == ChatKind::Bot && id == chat.id {
        AuthorKind::Bot
    } else {
        AuthorKind::User
    };
    Some(Author {
        id,
        name: name.owned(),
        kind,
    })
}

/// `user1`, `channel2`, `chat3`, or the bare number of exports before 2021: a user, or, where the chat writes as itself,
/// its id with the peer type in the bits above 32.
fn peer(text: &Text<'_>, chat: &Chat) -> Option<ChatId> {
    let text = text.non_empty()?;
    if let Some(channel) = text.strip_prefix("channel") {
        return channel.parse().ok().map(ChatId::from_channel);
    }
    if let Some(group) = text.strip_prefix("chat") {
        return group.parse().ok().map(ChatId::from_group);
    }
    let id: i64 = text.strip_prefix("user").unwrap_or(text).parse().ok()?;
    let is_the_chat = match (chat.kind, chat.id.channel_id()) {
        (_, Some(channel)) => id == channel.saturating_add(2 << 32),
        (ChatKind::Group, None) => id == chat.id.0.saturating_neg().saturating_add(1 << 32),
        _ => false,
    };
    Some(if is_the_chat { chat.id } else { ChatId(id) })
}

fn reply_to(entry: &Entry<'_>, chat: &Chat) -> Option<i64> {
    let is_here = !entry.reply_to_peer_id.is_present()
        || peer(&entry.reply_to_peer_id, chat).is_none_or(|p| p == chat.id);
    entry.reply_to_message_id.0.filter(|_| is_here)
}

/// A forward with its name hidden still is one; what was kept from elsewhere counts as forwarded from there.
fn forward(entry: &Entry<'_>) -> Option<Forward> {
    let is_forward = entry.forwarded_from.is_present()
        || entry.forwarded_from_id.is_present()
        || entry.saved_from.is_present();
    let nowhere = Chat {
        id: ChatId(0),
        title: None,
        kind: ChatKind::Private,
        username: None,
    };
    is_forward.then(|| Forward {
        from_id: peer(&entry.forwarded_from_id, &nowhere),
        from_name: entry
            .forwarded_from
            .owned()
            .or_else(|| entry.saved_from.owned()),
        message_id: None,
        date: None,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reaction<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    count: Int,
    #[serde(borrow)]
    emoji: Text<'a>,
    #[serde(borrow)]
    document_id: Text<'a>,
}

fn reactions(entry: &Entry<'_>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for reaction in read::<Vec<Reaction<'_>>>(entry.reactions).unwrap_or_default() {
        let Some(count) = reaction.count.get::<u32>().filter(|&n| n > 0) else {
            continue;
        };
        let name = match reaction.kind.as_str() {
            "paid" => "paid".to_owned(),
            "custom_emoji" => format!("custom:{}", reaction.document_id.as_str()),
            _ => reaction.emoji.as_str().to_owned(),
        };
        if !name.is_empty() {
            let sum: &mut u32 = counts.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    counts
}

/// The kind of a message without a medium, for [`media::of`].
const fn plain_kind(is_service: bool) -> MessageKind {
    if is_service {
        MessageKind::Service
    } else {
        MessageKind::Text
    }
}
