//! Stories before calls: what another unit told already is not asked for again.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use telesift_ports::{
    knowledge::UnitRow,
    ledger::{StageKey, StageState},
};
use telesift_schemas::{MessageKey, Offset, TopicPartition};

use super::{Ends, Extract, Flight, tells};
use crate::{consumer::StageError, generations::stage_name, stories, story_catalog};

/// Messages whose stories are asked for at once.
const LOOK_UP: usize = 1_000;
/// Messages of a story that are looked through for a unit that was extracted from.
const MAX_TOLD: usize = 500;
/// How often to look whether the stories have caught up.
pub(super) const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// What the stories stages must have taken before units are begun.
pub(super) struct Gate {
    /// The ends of the messages that stories are found in, and of `stories` once those are reached.
    ends: Ends,
    told: Option<Offset>,
    /// Where the stages stood when it was looked last, summed up, and since when.
    stood_at: u64,
    moved: Instant,
}

impl Extract {
    /// The stories that units tell, by unit.
    pub(super) async fn stories_of(
        &self,
        units: &[UnitRow],
    ) -> Result<HashMap<String, Vec<String>>, StageError> {
        let members = units.iter().flat_map(|unit| &unit.members);
        let keys: Vec<MessageKey> = members.map(|m| m.message).collect();
        let of = self.parts.generations.live().stories;
        let mut stories: HashMap<MessageKey, String> = HashMap::new();
        for part in keys.chunks(LOOK_UP) {
            let found = self.parts.catalog.stories_of(of, part, None).await?;
            stories.extend(found.into_iter().map(|(key, story)| (key, story.id)));
        }
        let told = |unit: &UnitRow| {
            let told = unit.members.iter().filter_map(|m| stories.get(&m.message));
            let told: BTreeSet<&String> = told.collect();
            (unit.id.clone(), told.into_iter().cloned().collect())
        };
        Ok(units.iter().map(told).collect())
    }

    /// The unit that was extracted from and tells all that this one tells; the first such.
    pub(super) async fn told_in(
        &self,
        unit: &UnitRow,
        messages: &[MessageKey],
    ) -> Result<Option<String>, StageError> {
        let catalog = &self.parts.catalog;
        let of = self.parts.generations.live().stories;
        let found = catalog.stories_of(of, messages, None).await?;
        if found.len() < messages.len() {
            return Ok(None); // something of it is told nowhere else
        }
        let stories: BTreeSet<String> = found.into_iter().map(|(_, story)| story.id).collect();
        let mut tell_all: Option<BTreeSet<String>> = None;
        for story in stories {
            let members = catalog
                .story_members(of, &story, None, None, MAX_TOLD)
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
        read.retain(tells);
        Ok(read.into_iter().min_by_key(|e| e.offset).map(|e| e.unit))
    }

    /// What stands on the messages of the live stories by now.
    pub(super) async fn gate(&self) -> Result<Gate, StageError> {
        let of = self.parts.generations.live().stories;
        Ok(Gate {
            ends: self.ends_of(of).await?,
            told: None,
            stood_at: 0,
            moved: Instant::now(),
        })
    }

    /// Whether the stories of everything before the gate are in the catalog. Where nobody finds stories any more, units are
    /// read all the same.
    pub(super) async fn are_stories_known(&self, flight: &mut Flight) -> Result<bool, StageError> {
        let Some(mut gate) = flight.gate.take() else {
            return Ok(true);
        };
        if self.is_passed(&mut gate).await? {
            return Ok(true);
        }
        if gate.moved.elapsed() >= self.config.patience {
            tracing::debug!("stories are not waited for");
            return Ok(true);
        }
        flight.gate = Some(gate);
        Ok(false)
    }

    async fn is_passed(&self, gate: &mut Gate) -> Result<bool, StageError> {
        let (mut stands_at, mut is_passed) = (0, true);
        let of = gate.ends.of;
        for (at, end) in &gate.ends.messages {
            let key = stage(stage_name(stories::STAGE, of), at).state_key();
            let position = self.story_position(&key).await?;
            stands_at += position.0;
            is_passed &= position >= *end;
        }
        if is_passed {
            let told = stories::topic_of(of);
            let end = match gate.told {
                Some(end) => end,
                None => self.parts.log.bounds(&told).await?.end,
            };
            gate.told = Some(end);
            let key = stage(stage_name(story_catalog::STAGE, of), &told);
            let state = self.parts.catalog.stage_state(&key).await?;
            let position = state.unwrap_or_default().next;
            stands_at += position.0;
            is_passed = position >= end;
        }
        if stands_at != gate.stood_at {
            (gate.stood_at, gate.moved) = (stands_at, Instant::now());
        }
        Ok(is_passed)
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
