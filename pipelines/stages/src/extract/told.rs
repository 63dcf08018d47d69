//! Stories before calls: what another unit told already is not asked for again.

use std::collections::BTreeSet;

use telesift_ports::{
    knowledge::UnitRow,
    ledger::{StageKey, StageState},
};
use telesift_schemas::{Generation, MessageKey, Offset, PartitionId, Topic, TopicPartition};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Extract;
use crate::{
    consumer::{StageError, pause},
    stories, story_catalog,
};

/// Whose stories count: those every unit was grouped beside. A story has the same id in every generation.
const STORIES: Generation = Generation::FIRST;
/// Messages of a story that are looked through for a unit that was extracted from.
const MAX_TOLD: usize = 500;
/// How often to look whether the stories have caught up.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

impl Extract {
    /// The stories a unit tells.
    pub(super) async fn stories_of(&self, unit: &UnitRow) -> Result<Vec<String>, StageError> {
        let keys: Vec<MessageKey> = unit.members.iter().map(|m| m.message).collect();
        let found = self.parts.catalog.stories_of(STORIES, &keys, None).await?;
        let stories: BTreeSet<String> = found.into_iter().map(|(_, story)| story.id).collect();
        Ok(stories.into_iter().collect())
    }

    /// The unit that was extracted from and tells all that this one tells; the first such.
    pub(super) async fn told_in(
        &self,
        unit: &UnitRow,
        messages: &[MessageKey],
    ) -> Result<Option<String>, StageError> {
        let catalog = &self.parts.catalog;
        let found = catalog.stories_of(STORIES, messages, None).await?;
        if found.len() < messages.len() {
            return Ok(None); // something of it is told nowhere else
        }
        let stories: BTreeSet<String> = found.into_iter().map(|(_, story)| story.id).collect();
        let mut tell_all: Option<BTreeSet<String>> = None;
        for story in stories {
            let members = catalog
                .story_members(STORIES, &story, None, None, MAX_TOLD)
                .await?;
            let keys: Vec<MessageKey> = members.iter().map(|m| m.message).collect();
            let units = catalog.units_of(&keys).await?;
            let units: BTreeSet<String> = units.into_iter().map(|(_, unit)| unit).collect();
            tell_all = Some(match tell_all {
                Some(others) => &others & &units,
                None => units,
            });
        }
        let mut others: Vec<String> = tell_all.into_iter().flatten().collect();
        others.retain(|other| *other != unit.id);
        let mut read = catalog.extractions_of(&others).await?;
        read.retain(|e| e.same_as.is_none() && !e.members.is_empty());
        Ok(read.into_iter().min_by_key(|e| e.offset).map(|e| e.unit))
    }

    /// Waits until the stories of everything that stands on `messages` by now are in the catalog. Not for ever: where nobody
    /// finds stories, units are extracted from all the same.
    pub(super) async fn await_stories(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<(), StageError> {
        let until = Instant::now() + self.config.patience;
        for at in &self.messages {
            let end = self.parts.log.bounds(at).await?.end;
            let key = stage(stories::STAGE, at).state_key();
            while self.story_position(&key).await? < end {
                if Instant::now() >= until || shutdown.is_cancelled() {
                    tracing::debug!(partition = at.partition.0, "stories are not waited for");
                    return Ok(());
                }
                pause(LOOK_EVERY, shutdown).await;
            }
        }
        let told = TopicPartition::new(Topic::STORIES, PartitionId(0));
        let end = self.parts.log.bounds(&told).await?.end;
        let key = stage(story_catalog::STAGE, &told);
        loop {
            let state = self.parts.catalog.stage_state(&key).await?;
            let is_there = state.unwrap_or_default().next >= end;
            if is_there || Instant::now() >= until || shutdown.is_cancelled() {
                return Ok(());
            }
            pause(LOOK_EVERY, shutdown).await;
        }
    }

    async fn story_position(&self, key: &str) -> Result<Offset, StageError> {
        let Some(stored) = self.parts.log.state(key).await? else {
            return Ok(Offset::ZERO);
        };
        let state = serde_json::from_slice::<StageState>(&stored);
        Ok(state.unwrap_or_default().next)
    }
}

fn stage(name: &str, input: &TopicPartition) -> StageKey {
    StageKey {
        stage: name.to_owned(),
        input: input.clone(),
    }
}
