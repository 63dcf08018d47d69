//! The part of a message that a score looks at, borrowed from its JSON.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};
use telesift_schemas::{ChatId, Message, MessageKind};

/// What a score looks at.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MessageView<'a> {
    /// The chat it stands in, for what the rules say of it.
    #[serde(default, deserialize_with = "chat_id")]
    pub chat: Option<ChatId>,
    /// What the message is.
    pub kind: MessageKind,
    /// Text or caption.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// Whether it answers another message.
    pub reply_to: Option<i64>,
    /// Whether it was forwarded.
    #[serde(rename = "forward", deserialize_with = "is_some")]
    pub is_forward: bool,
    /// Its links.
    #[serde(borrow)]
    pub links: Vec<Text<'a>>,
    /// Whether it has a medium.
    #[serde(rename = "media", deserialize_with = "is_some")]
    pub has_media: bool,
    /// Flags known before screening.
    #[serde(default, borrow)]
    pub flags: Vec<Text<'a>>,
    /// Whether a screen is there already, which a new one must replace.
    #[serde(default, rename = "screen", deserialize_with = "is_some")]
    pub(crate) is_screened: bool,
}

impl<'a> MessageView<'a> {
    /// Reads the JSON of a message; `None` if it is none.
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// A plain text message of no chat.
    pub fn of_text(text: &'a str) -> Self {
        MessageView {
            chat: None,
            kind: MessageKind::Text,
            text: Cow::Borrowed(text),
            reply_to: None,
            is_forward: false,
            links: Vec::new(),
            has_media: false,
            flags: Vec::new(),
            is_screened: false,
        }
    }
}

impl<'a> From<&'a Message> for MessageView<'a> {
    fn from(message: &'a Message) -> Self {
        let texts = |list: &'a [String]| list.iter().map(|t| Text(Cow::Borrowed(t))).collect();
        MessageView {
            chat: Some(message.chat.id),
            kind: message.kind,
            text: Cow::Borrowed(&message.text),
            reply_to: message.reply_to,
            is_forward: message.forward.is_some(),
            links: texts(&message.links),
            has_media: message.media.is_some(),
            flags: texts(&message.flags),
            is_screened: message.screen.is_some(),
        }
    }
}

/// A text within a list, borrowed where it holds no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        d.deserialize_str(Visitor).map(Text)
    }
}

fn is_some<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Option::<de::IgnoredAny>::deserialize(d).map(|value| value.is_some())
}

fn chat_id<'de, D: Deserializer<'de>>(d: D) -> Result<Option<ChatId>, D::Error> {
    #[derive(Deserialize)]
    struct Chat {
        id: ChatId,
    }
    Option::<Chat>::deserialize(d).map(|chat| chat.map(|chat| chat.id))
}
