//! The stories of messages, as the catalog keeps them for reading: filled from the topic `stories`, rebuilt from it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Generation, MessageKey, StoryAssigned, StoryLink, Timestamp};

use crate::catalog::Result;

/// Which messages tell the same story, in each generation (`of`: by whom the stories were made).
///
/// Every question is asked for some chats (`None`: all): what is in no other chat counts, as if the others did not exist.
#[async_trait]
pub trait StoryCatalog: Send + Sync + 'static {
    /// Stores assignments. Those of messages that have a story change nothing.
    async fn add_story_members(&self, of: Generation, members: &[StoryAssigned]) -> Result<()>;

    /// Removes all stories of a generation. Doing so again changes nothing.
    async fn remove_stories(&self, of: Generation) -> Result<()>;

    /// The stories that `messages` tell, by message, for those of at least two messages in `chats`. One query, however
    /// many messages.
    async fn stories_of(
        &self,
        of: Generation,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, StorySummary)>>;

    /// The messages in `chats` that tell `story`, oldest first (event time, chat, message id), after `after` if given.
    async fn story_members(
        &self,
        of: Generation,
        story: &str,
        chats: Option<&[ChatId]>,
        after: Option<&MemberPosition>,
        limit: usize,
    ) -> Result<Vec<StoryMember>>;
}

/// A story in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorySummary {
    /// Its id.
    pub id: String,
    /// Its oldest message.
    pub first: MessageKey,
    /// How many messages tell it.
    pub size: u64,
}

/// A message of a story.
#[derive(Clone, Debug, PartialEq)]
pub struct StoryMember {
    /// The message.
    pub message: MessageKey,
    /// When it was sent.
    pub event_time: Timestamp,
    /// What it was recognised by.
    pub how: StoryLink,
    /// 0..1, in thousandths: see [`StoryAssigned::similarity`].
    pub similarity: f64,
}

/// A place in the list of a story's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemberPosition {
    /// The message's event time.
    pub event_time: Timestamp,
    /// The message.
    pub message: MessageKey,
}

impl From<&StoryMember> for MemberPosition {
    fn from(member: &StoryMember) -> Self {
        MemberPosition {
            event_time: member.event_time,
            message: member.message,
        }
    }
}
