//! What may be made of a chat's messages, and where its texts may go.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Timestamp};

use crate::catalog::Result;

/// Settings of chats.
#[async_trait]
pub trait ChatSettings: Send + Sync + 'static {
    /// The setting of a chat; `None` where nobody said anything.
    async fn chat_setting(&self, chat: ChatId) -> Result<Option<ChatSetting>>;

    /// All that were made, by chat.
    async fn chat_settings(&self) -> Result<Vec<ChatSetting>>;

    /// Puts a setting in the place of the former.
    async fn put_chat_setting(&self, setting: &ChatSetting) -> Result<()>;
}

/// The setting of one chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatSetting {
    /// The chat.
    pub chat: ChatId,
    /// Which models may read it.
    pub enrich: Enrich,
    /// Who consented to remote models, and when. Kept while `enrich` is something else, but counts for nothing then.
    pub consent: Option<Consent>,
    /// When it was set.
    pub updated_at: Timestamp,
}

impl ChatSetting {
    /// Which models may read the chat: remote ones only with consent.
    pub fn effective(&self) -> Enrich {
        match (self.enrich, &self.consent) {
            (Enrich::Remote, None) => Enrich::Local,
            (enrich, _) => enrich,
        }
    }
}

/// Which models may read a chat. Of a chat nobody said anything about: [`Enrich::Local`], whatever kind of chat it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enrich {
    /// None.
    Off,
    /// Those that run here: the built-in rules, or a provider marked local.
    #[default]
    Local,
    /// Any, those of others too.
    Remote,
}

impl Enrich {
    /// All of them.
    pub const ALL: [Enrich; 3] = [Self::Off, Self::Local, Self::Remote];

    /// The name in JSON and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// Consent to a chat's texts going to models of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The name of the key whose owner gave it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
