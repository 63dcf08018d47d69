//! `telegram-raw`: what a source gave, untouched, with what is needed to read it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{ChatId, ChatKind};

/// A record of `telegram-raw`. `payload` holds the exact bytes the source sent: a Bot API update, or one message object
/// of a Telegram Desktop export.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct RawRecord<'a> {
    /// Record version: 1.
    pub v: u32,
    /// Who gave it.
    pub source: Source,
    /// The header of the chat in the export; `null` for updates, which carry their chat.
    #[serde(default)]
    pub chat: Option<ExportChat>,
    /// When an update reached us, in unix seconds: of a deletion Telegram gives no other time. Exports have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<i64>,
    /// Of an update that speaks of several messages (a deletion): which of them this record stands for, from 0. Such an
    /// update is appended once per message, each time whole, so that every record gives one message at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The exact source bytes.
    #[serde(borrow)]
    #[cfg_attr(feature = "json-schema", schemars(with = "serde_json::Value"))]
    pub payload: &'a RawValue,
}

/// The source of a raw record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A Bot API update delivered to our webhook.
    Webhook {
        /// The bot's name here (not its token).
        bot: String,
    },
    /// A Bot API update we fetched.
    Polling {
        /// The bot's name here (not its token).
        bot: String,
    },
    /// A message of a Telegram Desktop export.
    Export {
        /// The import it came with.
        import: String,
        /// Where the message has no unix times: what its zone-less dates were taken for. The message gets the flag
        /// `time_uncertain`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assumed: Option<AssumedTimes>,
    },
    /// A message read through a user's own account.
    Mtproto {
        /// The account's name here.
        account: String,
    },
}

/// Unix times, in seconds, that the importer worked out from zone-less local dates with the zone the user named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct AssumedTimes {
    /// The zone used, an IANA name.
    pub tz: String,
    /// For `date`.
    pub date: i64,
    /// For `edited`, where the message has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<i64>,
}

/// A chat's header in a Telegram Desktop export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ExportChat {
    /// The bare id, positive, whatever the kind of chat.
    pub id: i64,
    /// `personal_chat`, `private_supergroup`, `public_channel`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The title; deleted accounts have none.
    #[serde(default)]
    pub name: Option<String>,
}

impl ExportChat {
    /// The Bot API id and kind of the chat; `None` for a kind of chat this version does not know. An id that is
    /// negative already is taken for a Bot API id.
    pub fn identify(&self) -> Option<(ChatId, ChatKind)> {
        let user = |kind| (ChatId(self.id), kind);
        let (id, kind) = match self.kind.as_str() {
            "personal_chat" => user(ChatKind::Private),
            "bot_chat" => user(ChatKind::Bot),
            "saved_messages" => user(ChatKind::Saved),
            "replies" | "verification_codes" => user(ChatKind::Private),
            "private_group" => (ChatId::from_group(self.id), ChatKind::Group),
            "private_supergroup" | "public_supergroup" => {
                (ChatId::from_channel(self.id), ChatKind::Supergroup)
            }
            "private_channel" | "public_channel" => {
                (ChatId::from_channel(self.id), ChatKind::Channel)
            }
            _ => return None,
        };
        Some((if self.id < 0 { ChatId(self.id) } else { id }, kind))
    }
}

/// The edit date of a message from what an export says, in unix seconds: exports write 1970 for "not edited", so
/// anything in the first two days of 1970 (whatever the zone) is 0.
pub fn edit_from_export(unix: i64) -> i64 {
    if unix < 2 * 24 * 3600 { 0 } else { unix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_chats_get_bot_api_ids() {
        let id = |kind: &str, id| {
            ExportChat {
                id,
                kind: kind.into(),
                name: None,
            }
            .identify()
            .map(|(id, _)| id.0)
        };
        assert_eq!(id("personal_chat", 42), Some(42));
        assert_eq!(id("private_group", 42), Some(-42));
        assert_eq!(id("public_supergroup", 1712691810), Some(-1001712691810));
        assert_eq!(id("private_channel", -1001712691810), Some(-1001712691810));
        assert_eq!(id("hologram", 42), None);
    }
}
