//! Chat and message identity: Bot API ids everywhere, whatever the source called them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What the Bot API puts before the id of a channel or supergroup: −(10¹² + id).
const CHANNEL_BASE: i64 = 1_000_000_000_000;

/// A chat, user or channel by its Bot API id: a user is `u`, a basic group `−g`, a channel or supergroup
/// `−(1,000,000,000,000 + c)`. In JSON a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub i64);

impl ChatId {
    /// The Bot API id of basic group `g` (positive, as exports and MTProto give it).
    pub fn from_group(g: i64) -> Self {
        ChatId(g.saturating_neg())
    }

    /// The Bot API id of channel or supergroup `c` (positive, as exports and MTProto give it).
    pub fn from_channel(c: i64) -> Self {
        ChatId(CHANNEL_BASE.saturating_add(c).saturating_neg())
    }

    /// Whether it is a person's: a private chat, with a bot too, or saved messages.
    pub fn is_private(self) -> bool {
        self.0 > 0
    }

    /// The bare id of a channel or supergroup, as `https://t.me/c/<id>/…` wants it; `None` for users and basic groups.
    pub fn channel_id(self) -> Option<i64> {
        (self.0 < -CHANNEL_BASE).then(|| self.0.saturating_neg() - CHANNEL_BASE)
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    /// What was expected, such as `a chat id`.
    pub expected: &'static str,
    /// The text found.
    pub found: String,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found `{}`", self.expected, self.found)
    }
}

impl std::error::Error for IdError {}

impl FromStr for ChatId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        s.parse().map(ChatId).map_err(|_| IdError {
            expected: "a chat id such as -1001234567890",
            found: s.to_owned(),
        })
    }
}

/// A message: its chat and its id there (ids are unique per chat only). In JSON and URLs `<chat>:<message id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey {
    /// The chat it stands in.
    pub chat: ChatId,
    /// Its id in that chat.
    pub message_id: i64,
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chat, self.message_id)
    }
}

impl FromStr for MessageKey {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let parse = || {
            let (chat, id) = s.split_once(':')?;
            Some(MessageKey {
                chat: chat.parse().ok()?,
                message_id: id.parse().ok()?,
            })
        };
        parse().ok_or_else(|| IdError {
            expected: "a message id such as -1001234567890:42",
            found: s.to_owned(),
        })
    }
}

macro_rules! string_serde {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $name, " as a string"))
                    }
                    fn visit_str<E: de::Error>(self, s: &str) -> Result<$type, E> {
                        s.parse().map_err(E::custom)
                    }
                }
                d.deserialize_str(Text)
            }
        }
        #[cfg(feature = "json-schema")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
string_serde!(ChatId, "ChatId", "^-?[0-9]+$");
string_serde!(MessageKey, "MessageKey", "^-?[0-9]+:-?[0-9]+$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bot_api_ids_follow_by_arithmetic() {
        assert_eq!(ChatId::from_channel(1234567890), ChatId(-1001234567890));
        assert_eq!(ChatId::from_channel(12345678901), ChatId(-1012345678901));
        assert_eq!(ChatId::from_group(77), ChatId(-77));
        assert_eq!(ChatId(-1001234567890).channel_id(), Some(1234567890));
        assert_eq!(ChatId(-77).channel_id(), None);
        assert_eq!(ChatId(77).channel_id(), None);
    }

    #[test]
    fn ids_that_no_telegram_gives_do_not_overflow() {
        for id in [i64::MIN, i64::MAX, 0] {
            let _ = ChatId::from_channel(id);
            let _ = ChatId::from_group(id);
            let _ = ChatId(id).channel_id();
        }
    }

    #[test]
    fn message_keys_read_what_they_write() {
        let key: MessageKey = "-1001234567890:42".parse().unwrap();
        assert_eq!(key.to_string(), "-1001234567890:42");
        assert!("42".parse::<MessageKey>().is_err());
        assert!("-100:4x".parse::<MessageKey>().is_err());
    }
}
