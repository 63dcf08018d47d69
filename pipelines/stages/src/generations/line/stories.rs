//! messages ─► stories ─► `stories` ─► story-catalog ─► catalog, in one generation.

use telesift_ports::generations::Entry;
use telesift_schemas::Generation;

use super::{Line, Turn, run};
use crate::{
    StageError,
    generations::{
        stage_name,
        take_over::{self, StoriesTakeOver},
    },
    stories::{self, Stories},
    story_catalog::{self, StoryCatalog},
    workers::Held,
};

impl Line {
    /// messages ─► stories ─► `stories`: all partitions, after what is taken over.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn stories(&self, entry: &Entry, pace: Turn, held: Held) -> Result<(), StageError> {
        if let Some(mut before) = self.stories_before(entry, &held)
            && !take_over::run(&mut before, pace.as_deref(), &held.stop).await?
        {
            return Ok(());
        }
        let (log, clock) = (self.parts.log.clone(), self.parts.clock.clone());
        let inputs = self.partitions(&entry.parts.messages_topic()).await?;
        let stage = Stories::new(log, clock, inputs.clone(), self.config.stories)
            .of(entry.generation)
            .under(held.fence());
        let stage = self.after_index(stage, entry, &held);
        let name = stage_name(stories::STAGE, entry.generation);
        let (n, interval) = (self.config.stories_records, self.config.stories_interval);
        run(
            self.consumer(name, inputs, n, interval),
            stage,
            pace,
            held.stop,
        )
        .await
    }

    /// `stories` ─► story-catalog ─► catalog.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn story_catalog(
        &self,
        entry: &Entry,
        pace: Turn,
        held: Held,
    ) -> Result<(), StageError> {
        let parts = &self.parts;
        let input = stories::topic_of(entry.generation);
        let (log, catalog) = (parts.log.clone(), parts.catalog.clone());
        let stage = StoryCatalog::new(log, catalog, parts.clock.clone(), input.clone())
            .of(entry.generation)
            .under(held.fence());
        let name = stage_name(story_catalog::STAGE, entry.generation);
        let (n, interval) = (self.config.stories_records, self.config.stories_interval);
        let consumer = self.consumer(name, vec![input], n, interval);
        run(consumer, stage, pace, held.stop).await
    }

    fn stories_before(&self, entry: &Entry, held: &Held) -> Option<StoriesTakeOver> {
        if entry.reassign {
            return None;
        }
        let register = self.parts.generations.now();
        let base: Generation = register.entry(entry.base?)?.parts.stories;
        Some(StoriesTakeOver {
            log: self.parts.log.clone(),
            generation: entry.generation,
            messages: entry.parts.messages,
            base,
            base_messages: register.entry(base)?.parts.messages,
            fence: held.fence(),
        })
    }
}
