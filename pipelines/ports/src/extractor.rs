//! Conversations to claims.

use std::time::Duration;

use async_trait::async_trait;
use telesift_schemas::{
    AtomKind, Chat, ChatId, ExtractorRef, LinkKind, MessageKey, Origin, Timestamp, Usage,
};

/// Reads units of conversation and says what they claim. What it says is believed only as far as it quotes: whoever asks
/// checks every quote against its message.
#[async_trait]
pub trait Extractor: Send + Sync + 'static {
    /// What `unit` claims. Calling it again with the same unit gives the same, or at least asks nobody twice for what
    /// was answered once.
    ///
    /// # Errors
    /// [`ExtractError`]; [`ExtractError::is_retryable`] tells a unit that waits from one that will not do.
    async fn extract(&self, unit: &Unit) -> Result<Extracted, ExtractError>;

    /// Whose answer a unit of this chat would wait for, by name; `None`: nobody's, it is read here and now. Tells no more
    /// than which units may hold each other up.
    ///
    /// # Errors
    /// [`ExtractError`], where that cannot be told now.
    async fn waits_for(&self, chat: ChatId) -> Result<Option<String>, ExtractError> {
        let _ = chat;
        Ok(None)
    }

    /// Who would answer, and what that would cost, without asking.
    ///
    /// # Errors
    /// [`ExtractError::Off`], and what keeps one from telling now.
    async fn plan(&self, unit: &Unit) -> Result<Plan, ExtractError>;
}

/// A stretch of conversation, as an extractor is given it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Its id, as on `units`.
    pub id: String,
    /// The chat.
    pub chat: Chat,
    /// Its messages, in order of arrival; never empty.
    pub messages: Vec<UnitMessage>,
    /// Names of subjects the chat's earlier atoms belong to, most frequent first: an extractor names a subject again
    /// rather than inventing a second name. At most 50.
    pub subjects: Vec<String>,
}

/// A message of a unit, in its current version.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitMessage {
    /// The message.
    pub id: MessageKey,
    /// Its edit, as in [`telesift_schemas::Message::edit`].
    pub edit: i64,
    /// Its raw record.
    pub origin: Origin,
    /// When it was sent.
    pub event_time: Timestamp,
    /// Who wrote it, by name; absent for channels.
    pub author: Option<String>,
    /// The message it answers.
    pub reply_to: Option<i64>,
    /// Its text, untouched.
    pub text: String,
    /// Language of the text, as the screen saw it; empty where it saw none.
    pub lang: String,
    /// How important the screen found it: [`telesift_schemas::Screen::score`], 0..1.
    pub score: f64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// Who answered.
    pub by: ExtractorRef,
    /// Hash over what was read (texts, prompt, model), in hex: the key of the cache of answers.
    pub input: String,
    /// What is claimed, unchecked.
    pub claims: Vec<Claim>,
    /// What the answer cost; nothing if it came from the cache.
    pub usage: Usage,
}

/// A question that was not asked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who would answer.
    pub by: ExtractorRef,
    /// Where the answer would come from.
    pub from: Answers,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It is worked out here; nobody is asked.
    Rules,
    /// It was asked for before, and kept.
    Kept,
    /// A call, which costs this much at most.
    Call(Usage),
}

/// A claim as an extractor states it. Nothing of it is checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What kind of claim.
    pub kind: AtomKind,
    /// In a few words.
    pub title: String,
    /// In a sentence or a few.
    pub content: String,
    /// How sure the extractor is, 0..1; a claim without it is not kept.
    pub confidence: Option<f64>,
    /// The subject area it belongs to, by name.
    pub subject: Option<String>,
    /// Where it stands.
    pub quotes: Vec<ClaimedQuote>,
    /// How it is related to other claims of the same answer: which, and their places in [`Extracted::claims`].
    pub links: Vec<(LinkKind, usize)>,
}

/// Words that are said to stand in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedQuote {
    /// The message, by its id in the chat; must be one of the unit.
    pub message_id: i64,
    /// The words.
    pub quote: String,
}

/// Why a unit has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// Nothing is to be extracted from this chat. No failure: the unit is done with nothing claimed.
    #[error("extraction is off for this chat")]
    Off,
    /// Nobody may be asked now: a budget is used up, or a provider rests. The unit waits; nothing is lost.
    #[error("held back until {until}: {reason}")]
    Held {
        /// When asking again may help.
        until: Timestamp,
        /// Why, for people.
        reason: String,
    },
    /// The provider cannot be reached or failed; the same call may succeed later.
    #[error("`{extractor}` unavailable: {reason}")]
    Unavailable {
        /// Which extractor.
        extractor: String,
        /// What happened, without secrets and message texts.
        reason: String,
        /// How long the provider asks to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider answers, but not with what can be read: not the JSON asked for, cut short. Another attempt may do
    /// better, so a few are made.
    #[error("`{extractor}` gave no usable answer: {reason}")]
    Unusable {
        /// Which extractor.
        extractor: String,
        /// What is wrong with it, without its content.
        reason: String,
        /// What the call cost all the same.
        usage: Usage,
    },
    /// The provider refuses this unit: the same call fails again.
    #[error("`{extractor}` refused the unit: {reason}")]
    Refused {
        /// Which extractor.
        extractor: String,
        /// What it said, without secrets and message texts.
        reason: String,
    },
}

impl ExtractError {
    /// Whether the same unit may be answered later.
    pub fn is_retryable(&self) -> bool {
        match self {
            ExtractError::Held { .. }
            | ExtractError::Unavailable { .. }
            | ExtractError::Unusable { .. } => true,
            ExtractError::Off | ExtractError::Refused { .. } => false,
        }
    }
}
