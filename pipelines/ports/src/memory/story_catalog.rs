//! The stories of a [`MemoryCatalog`]: every assignment, in a map.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use telesift_schemas::{ChatId, Generation, MessageKey, StoryAssigned};

use super::MemoryCatalog;
use crate::{
    catalog::Result,
    story_catalog::{MemberPosition, StoryCatalog, StoryMember, StorySummary},
};

#[derive(Default)]
pub(super) struct StoryTable(Mutex<Table>);

type Table = HashMap<(Generation, MessageKey), StoryAssigned>;

impl StoryTable {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages of a story in `chats`, oldest first.
    fn members(&self, of: Generation, story: &str, chats: Option<&[ChatId]>) -> Vec<StoryMember> {
        let table = self.lock();
        let mut members: Vec<StoryMember> = table
            .iter()
            .filter(|((generation, _), m)| *generation == of && m.story == story)
            .map(|(_, m)| m)
            .filter(|m| chats.is_none_or(|chats| chats.contains(&m.message.chat)))
            .map(|m| StoryMember {
                message: m.message,
                event_time: m.event_time,
                how: m.how,
                similarity: m.similarity,
            })
            .collect();
        members.sort_by_key(|m| MemberPosition::from(m));
        members
    }
}

#[async_trait]
impl StoryCatalog for MemoryCatalog {
    async fn add_story_members(&self, of: Generation, members: &[StoryAssigned]) -> Result<()> {
        let mut table = self.stories.lock();
        for member in members {
            table
                .entry((of, member.message))
                .or_insert_with(|| member.clone());
        }
        Ok(())
    }

    async fn remove_stories(&self, of: Generation) -> Result<()> {
        self.stories
            .lock()
            .retain(|(generation, _), _| *generation != of);
        Ok(())
    }

    async fn stories_of(
        &self,
        of: Generation,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, StorySummary)>> {
        let stories: Vec<(MessageKey, String)> = {
            let table = self.stories.lock();
            let told = messages.iter().filter_map(|key| table.get(&(of, *key)));
            told.map(|m| (m.message, m.story.clone())).collect()
        };
        let summaries = stories.into_iter().filter_map(|(message, id)| {
            let members = self.stories.members(of, &id, chats);
            let first = members.first()?.message;
            let size = members.len() as u64;
            (size > 1).then_some((message, StorySummary { id, first, size }))
        });
        Ok(summaries.collect())
    }

    async fn story_members(
        &self,
        of: Generation,
        story: &str,
        chats: Option<&[ChatId]>,
        after: Option<&MemberPosition>,
        limit: usize,
    ) -> Result<Vec<StoryMember>> {
        let members = self.stories.members(of, story, chats);
        Ok(members
            .into_iter()
            .filter(|m| after.is_none_or(|after| MemberPosition::from(m) > *after))
            .take(limit)
            .collect())
    }
}
