//! Chats and users of the Bot API: who wrote, where, and where a message was forwarded from.

use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_schemas::{Author, AuthorKind, Chat, ChatId, ChatKind, Forward, Timestamp};

use crate::{
    json::{Int, Text},
    read,
};

/// A `Chat` or `User` of the Bot API; their fields do not collide.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Party<'a> {
    pub(super) id: Int,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) title: Text<'a>,
    #[serde(borrow)]
    pub(super) username: Text<'a>,
    #[serde(borrow)]
    pub(super) first_name: Text<'a>,
    #[serde(borrow)]
    pub(super) last_name: Text<'a>,
    pub(super) is_bot: Option<bool>,
}

impl Party<'_> {
    /// The title of a chat or the name of a person.
    pub(super) fn name(&self) -> Option<String> {
        if let Some(title) = self.title.owned() {
            return Some(title);
        }
        match (self.first_name.non_empty(), self.last_name.non_empty()) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    }

    pub(super) fn id(&self) -> Option<ChatId> {
        self.id.0.map(ChatId)
    }

    /// As the chat of a message.
    pub(super) fn to_chat(&self) -> Option<Chat> {
        let id = self.id()?;
        let kind = match self.kind.as_str() {
            "private" => ChatKind::Private,
            "group" => ChatKind::Group,
            "supergroup" => ChatKind::Supergroup,
            "channel" => ChatKind::Channel,
            // A type of the future: the id tells users, groups and the rest apart.
            _ if id.0 > 0 => ChatKind::Private,
            _ if id.channel_id().is_some() => ChatKind::Supergroup,
            _ => ChatKind::Group,
        };
        Some(Chat {
            id,
            title: self.name(),
            kind,
            username: self.username.owned(),
        })
    }

    fn to_author(&self, kind: AuthorKind) -> Option<Author> {
        Some(Author {
            id: self.id()?,
            name: self.name(),
            kind,
        })
    }
}

/// Who wrote: the chat a message was sent on behalf of, else the user; a channel post without either is the channel's.
pub(super) fn author(
    from: Option<&RawValue>,
    sender_chat: Option<&RawValue>,
    chat: &Chat,
) -> Option<Author> {
    if let Some(author) = read::<Party<'_>>(sender_chat).and_then(|c| c.to_author(AuthorKind::Chat))
    {
        return Some(author);
    }
    if let Some(user) = read::<Party<'_>>(from) {
        let kind = if user.is_bot == Some(true) {
            AuthorKind::Bot
        } else {
            AuthorKind::User
        };
        return user.to_author(kind);
    }
    (chat.kind == ChatKind::Channel).then(|| Author {
        id: chat.id,
        name: chat.title.clone(),
        kind: AuthorKind::Chat,
    })
}

/// The fields that tell of a forward: `forward_origin`, and those before Bot API 7.0.
#[derive(Debug, Default)]
pub(super) struct ForwardFields<'a> {
    pub(super) origin: Option<&'a RawValue>,
    pub(super) from: Option<&'a RawValue>,
    pub(super) from_chat: Option<&'a RawValue>,
    pub(super) from_message_id: Int,
    pub(super) sender_name: Text<'a>,
    pub(super) date: Int,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Origin<'a> {
    date: Int,
    #[serde(borrow)]
    sender_user: Option<Party<'a>>,
    #[serde(borrow)]
    sender_user_name: Text<'a>,
    #[serde(borrow)]
    sender_chat: Option<Party<'a>>,
    #[serde(borrow)]
    chat: Option<Party<'a>>,
    message_id: Int,
}

impl ForwardFields<'_> {
    /// Where the message was forwarded from, if it was.
    pub(super) fn read(&self) -> Option<Forward> {
        if let Some(origin) = read::<Origin<'_>>(self.origin) {
            let party = origin.sender_user.or(origin.sender_chat).or(origin.chat);
            return Some(Forward {
                from_id: party.as_ref().and_then(Party::id),
                from_name: party
                    .as_ref()
                    .and_then(Party::name)
                    .or_else(|| origin.sender_user_name.owned()),
                message_id: origin.message_id.0,
                date: moment(origin.date),
            });
        }
        let party = read::<Party<'_>>(self.from_chat).or_else(|| read(self.from));
        if party.is_none() && !self.sender_name.is_present() && self.date.0.is_none() {
            return None;
        }
        Some(Forward {
            from_id: party.as_ref().and_then(Party::id),
            from_name: party
                .as_ref()
                .and_then(Party::name)
                .or_else(|| self.sender_name.owned()),
            message_id: self.from_message_id.0,
            date: moment(self.date),
        })
    }
}

fn moment(seconds: Int) -> Option<Timestamp> {
    Timestamp::from_second(seconds.0?).ok()
}
