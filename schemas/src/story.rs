//! `stories`: which message belongs to which story, and why.

use serde::{Deserialize, Serialize};

use crate::{MessageKey, Origin, Timestamp};

/// A record of `stories`: a message tells what an earlier one told. Written once per message and never changed; only
/// stories of at least two messages have any, the first message its own with [`StoryLink::First`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct StoryAssigned {
    /// Record version: 1.
    pub v: u32,
    /// The message.
    pub message: MessageKey,
    /// Its edit when it was assigned, as in [`crate::Message::edit`]. Later edits stay in the story.
    pub edit: i64,
    /// The story; says nothing about the message it began with.
    pub story: String,
    /// The message the story began with, in the order of arrival.
    pub first: MessageKey,
    /// What it was recognised by.
    pub how: StoryLink,
    /// 0..1: how much of the text it repeats; 1 for forwards, equal texts and the first message.
    pub similarity: f64,
    /// When the message was sent, by Telegram.
    pub event_time: Timestamp,
    /// When the message the story began with was sent. Records of older versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_time: Option<Timestamp>,
    /// When the message was sent that made this one part of a story: itself, but of the first message the second. The
    /// records follow each other by it as messages do by their time. Records of older versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_time: Option<Timestamp>,
    /// The raw record of the message.
    pub origin: Origin,
}

impl StoryAssigned {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// What a message was recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StoryLink {
    /// It is the first of the story.
    First,
    /// Forwarded from the same message, or that message itself.
    Forward,
    /// The same text, but for case, spacing, punctuation and emoji.
    Exact,
    /// Nearly the same text.
    Near,
}

impl StoryLink {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            StoryLink::First => "first",
            StoryLink::Forward => "forward",
            StoryLink::Exact => "exact",
            StoryLink::Near => "near",
        }
    }

    /// The link of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::First, Self::Forward, Self::Exact, Self::Near]
            .into_iter()
            .find(|link| link.as_str() == name)
    }
}
