//! What may be made of a chat's messages, and where its texts may go.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
pub use telesift_schemas::Enrich;
use telesift_schemas::{ChatId, Offset, Timestamp};

use crate::catalog::Result;

/// Settings of chats.
#[async_trait]
pub trait ChatSettings: Send + Sync + 'static {
    /// The setting of a chat; `None` where nobody said anything.
    async fn chat_setting(&self, chat: ChatId) -> Result<Option<ChatSetting>>;

    /// All that were made, by chat.
    async fn chat_settings(&self) -> Result<Vec<ChatSetting>>;

    /// Puts a setting in the place of the former, unless that was decided later.
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
    /// Where the decision stands on `decisions`; absent for one made before they stood there.
    pub decided: Option<Offset>,
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

/// The chats whose texts go to no model of others: private ones that did not consent, and those whose setting says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptHere {
    consenting: BTreeSet<ChatId>,
    set: BTreeSet<ChatId>,
}

impl KeptHere {
    /// What these settings come to.
    pub fn of(settings: &[ChatSetting]) -> Self {
        let mut kept = KeptHere::default();
        for setting in settings {
            let chats = match setting.effective() {
                Enrich::Remote => &mut kept.consenting,
                Enrich::Local | Enrich::Off => &mut kept.set,
            };
            chats.insert(setting.chat);
        }
        kept
    }

    /// Whether the texts of `chat` stay.
    pub fn keeps(&self, chat: ChatId) -> bool {
        self.set.contains(&chat) || (chat.is_private() && !self.consenting.contains(&chat))
    }

    /// The private chats whose texts may leave.
    pub fn consenting(&self) -> impl Iterator<Item = ChatId> {
        self.consenting.iter().copied().filter(|c| c.is_private())
    }

    /// The chats of which somebody said that theirs stay.
    pub fn set(&self) -> impl Iterator<Item = ChatId> {
        self.set.iter().copied()
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
