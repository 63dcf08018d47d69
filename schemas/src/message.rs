//! `messages`: one screened message version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ChatId, MessageKey, Origin, Timestamp};

/// A record of `messages`: one version of one Telegram message, of any class. What the API adds to it (`story`,
/// `subjects`, `label`, `deep_link`) is not part of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// Record version: 1.
    pub v: u32,
    /// `<chat id>:<message id>`.
    pub id: MessageKey,
    /// The chat, as it was called then.
    pub chat: Chat,
    /// The id in the chat.
    pub message_id: i64,
    /// Telegram's edit date in unix seconds; 0 for never edited; of a tombstone, when the deletion reached us. The greatest
    /// (edit, origin offset) is current, and a tombstone before all.
    pub edit: i64,
    /// When it was sent, by Telegram.
    pub event_time: Timestamp,
    /// Who wrote it; `null` where Telegram does not say.
    pub author: Option<Author>,
    /// What it is.
    pub kind: MessageKind,
    /// The plain text or caption; empty where there is none. For a service message a short English description.
    pub text: String,
    /// ISO 639-1 code of the text's language, `und` where it cannot be told.
    pub lang: String,
    /// The message of the same chat it answers.
    pub reply_to: Option<i64>,
    /// The forum topic or comment thread, by the id of its first message.
    pub thread: Option<i64>,
    /// Where it was forwarded from.
    pub forward: Option<Forward>,
    /// The URLs in text and entities, in order, without repeats.
    pub links: Vec<String>,
    /// The attached medium, described; never downloaded.
    pub media: Option<Media>,
    /// Reaction counts by emoji (or `custom:<id>`, `paid`).
    pub reactions: BTreeMap<String, u32>,
    /// The words quoted from the message replied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// The album it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_group: Option<String>,
    /// What identifies its text among reposts of it (`telesift_text::signature`); absent where there is no text, and in
    /// records from before there were signatures. The API does not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The supergroup this basic group became, told by a service message: its messages go on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrated_to: Option<ChatId>,
    /// The basic group this supergroup was, told by a service message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrated_from: Option<ChatId>,
    /// When it was deleted, where the source tells.
    pub deleted_at: Option<Timestamp>,
    /// Flags known before screening (`service`, `edited`, `forwarded`, `auto_forward`, `time_uncertain`). `signal-score`
    /// moves them into `screen.flags`; on the topic this field is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "json-schema", schemars(skip))]
    pub flags: Vec<String>,
    /// What screening found. Absent only between the SmartModules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "json-schema", schemars(required))]
    pub screen: Option<Screen>,
    /// The raw record it came from. Absent only before the screen stage has added it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "json-schema", schemars(required))]
    pub origin: Option<Origin>,
}

impl Message {
    /// Current record version.
    pub const VERSION: u32 = 1;

    /// A text of which nothing is known yet but where it stands and when it was sent: never edited, empty, by nobody.
    pub fn blank(chat: Chat, message_id: i64, event_time: Timestamp) -> Self {
        Message {
            v: Self::VERSION,
            id: MessageKey {
                chat: chat.id,
                message_id,
            },
            chat,
            message_id,
            edit: 0,
            event_time,
            author: None,
            kind: MessageKind::Text,
            text: String::new(),
            lang: "und".to_owned(),
            reply_to: None,
            thread: None,
            forward: None,
            links: Vec::new(),
            media: None,
            reactions: BTreeMap::new(),
            quote: None,
            media_group: None,
            signature: None,
            migrated_to: None,
            migrated_from: None,
            deleted_at: None,
            flags: Vec::new(),
            screen: None,
            origin: None,
        }
    }

    /// The link that opens the message in Telegram: `https://t.me/<username>/<id>` for public chats,
    /// `https://t.me/c/<channel>/<id>` for private channels and supergroups, none for users and basic groups.
    pub fn deep_link(&self) -> Option<String> {
        let id = self.message_id;
        match (&self.chat.username, self.chat.id.channel_id()) {
            (Some(name), Some(_)) => Some(format!("https://t.me/{name}/{id}")),
            (None, Some(channel)) => Some(format!("https://t.me/c/{channel}/{id}")),
            (_, None) => None,
        }
    }

    /// Order of versions of one message: the greatest is current. Nothing comes after a deletion: an edit that arrives
    /// later was made earlier, whatever the clocks say.
    pub fn version(&self) -> (i64, u64) {
        let rank = match self.kind {
            MessageKind::Deleted => i64::MAX,
            _ => self.edit,
        };
        (rank, self.origin.as_ref().map_or(0, |o| o.offset.0))
    }
}

/// Values of [`Screen::flags`]; an open list.
pub mod flags {
    /// Unwanted advertising or fraud.
    pub const SPAM: &str = "spam";
    /// A service message (joined, pinned, …).
    pub const SERVICE: &str = "service";
    /// A later version of a message.
    pub const EDITED: &str = "edited";
    /// Forwarded from elsewhere.
    pub const FORWARDED: &str = "forwarded";
    /// The echo of a channel post in its linked group.
    pub const AUTO_FORWARD: &str = "auto_forward";
    /// The time was worked out from a date without zone.
    pub const TIME_UNCERTAIN: &str = "time_uncertain";
}

/// A chat as a message of it shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Chat {
    /// Bot API id.
    pub id: ChatId,
    /// Title, or the name of the person in a private chat; `null` where unknown.
    pub title: Option<String>,
    /// What kind of chat.
    pub kind: ChatKind,
    /// Public user name, without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// Kinds of chats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// One person.
    Private,
    /// A bot.
    Bot,
    /// One's own notes.
    Saved,
    /// A basic group.
    Group,
    /// A supergroup.
    Supergroup,
    /// A channel.
    Channel,
}

/// The author of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Author {
    /// Bot API id of the user or channel.
    pub id: ChatId,
    /// Display name; `null` for deleted accounts.
    pub name: Option<String>,
    /// What the author is.
    pub kind: AuthorKind,
}

/// Kinds of authors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    /// A person.
    User,
    /// A bot.
    Bot,
    /// A channel, or a group writing as itself.
    Chat,
}

/// What a message is. Other kinds of media than those named are `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are Telegram's own")]
pub enum MessageKind {
    Text,
    Photo,
    Video,
    VideoNote,
    Animation,
    Audio,
    Voice,
    Document,
    Sticker,
    Poll,
    Location,
    Contact,
    Story,
    Game,
    Invoice,
    Dice,
    Checklist,
    Giveaway,
    PaidMedia,
    /// Somebody joined, pinned, renamed, …
    Service,
    /// A tombstone: the message was deleted.
    Deleted,
    /// Anything newer than this version.
    Other,
}

impl MessageKind {
    /// All kinds, in the order above.
    pub const ALL: [MessageKind; 22] = [
        Self::Text,
        Self::Photo,
        Self::Video,
        Self::VideoNote,
        Self::Animation,
        Self::Audio,
        Self::Voice,
        Self::Document,
        Self::Sticker,
        Self::Poll,
        Self::Location,
        Self::Contact,
        Self::Story,
        Self::Game,
        Self::Invoice,
        Self::Dice,
        Self::Checklist,
        Self::Giveaway,
        Self::PaidMedia,
        Self::Service,
        Self::Deleted,
        Self::Other,
    ];

    /// The name in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Photo => "photo",
            Self::Video => "video",
            Self::VideoNote => "video_note",
            Self::Animation => "animation",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Poll => "poll",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Story => "story",
            Self::Game => "game",
            Self::Invoice => "invoice",
            Self::Dice => "dice",
            Self::Checklist => "checklist",
            Self::Giveaway => "giveaway",
            Self::PaidMedia => "paid_media",
            Self::Service => "service",
            Self::Deleted => "deleted",
            Self::Other => "other",
        }
    }
}

/// Where a message was forwarded from. What Telegram hides is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Forward {
    /// The original chat or user.
    pub from_id: Option<ChatId>,
    /// Its name.
    pub from_name: Option<String>,
    /// The id there, for channel posts.
    pub message_id: Option<i64>,
    /// When it was written there.
    pub date: Option<Timestamp>,
}

/// An attached medium. A file URL of the Bot API holds the token, so none is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Media {
    /// Telegram's file id, or the path in the export.
    pub file: Option<String>,
    /// File name.
    pub name: Option<String>,
    /// MIME type.
    pub mime: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Seconds.
    pub duration: Option<u32>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// A sticker's emoji, a poll's question and options, a contact's name: what a search should find.
    pub description: Option<String>,
}

/// What an analyst would make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Not worth reading.
    Noise,
    /// On topic, of some value.
    WeakSignal,
    /// Must be seen.
    Signal,
}

impl Class {
    /// All classes, ascending.
    pub const ALL: [Class; 3] = [Class::Noise, Class::WeakSignal, Class::Signal];

    /// The name in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Noise => "noise",
            Class::WeakSignal => "weak_signal",
            Class::Signal => "signal",
        }
    }
}

/// What screening found: a pure function of the raw record and the rules version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Screen {
    /// By two thresholds on `score`.
    pub class: Class,
    /// 0..1: probability that an analyst would not call it noise.
    pub score: f64,
    /// Contribution of each factor that counted, by name, in logits.
    pub factors: BTreeMap<String, f64>,
    /// See [`flags`].
    pub flags: Vec<String>,
    /// 0..1: probability that it is spam, judged apart from importance; from its threshold on, the flag is set.
    /// Records of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spam_score: Option<f64>,
    /// `name@version+hash` of the rules.
    pub rules: String,
}
