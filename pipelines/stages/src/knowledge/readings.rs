//! What generations read of conversations: kept beside what counts, and put in its place when the live generation changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use telesift_ports::{
    knowledge::{AtomReview, ExtractionRow, ReadingChange, ReadingRow},
    record_log::{self, ReadLimits, StoredRecord},
};
use telesift_schemas::{Extraction, Generation, Offset, Timestamp};

use super::{MAX_CHANGED, book::Book};
use crate::{consumer::StageError, extract::extractions};

/// Units looked at at once for what is to be done about them.
const PORTION: usize = 500;
/// Units put in place in one commit, at most, and those looked up together.
const MAX_STEPS: usize = 100;
const AT_ONCE: usize = 16;

/// What a switch does about one unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It claims nothing any more.
    Nothing(String),
    /// What was read of it counts, which stands at this offset.
    Read(Offset),
}

impl Book {
    /// Takes what was read of a unit. What was read for all generations counts at once, in all of them; what was read for one
    /// waits until that is live.
    pub(super) async fn read(
        &mut self,
        extraction: &Extraction,
        offset: Offset,
    ) -> Result<(), StageError> {
        let unit = &extraction.unit;
        self.load(std::slice::from_ref(unit)).await?;
        let Some(generation) = extraction.generation else {
            if self.readings.get(unit).is_some_and(|all| !all.is_empty()) {
                self.readings.insert(unit.clone(), Vec::new());
                let dropped = ReadingChange::Dropped(unit.clone());
                self.change.readings.push(dropped);
            }
            return self.extraction(extraction, offset, extraction.at).await;
        };
        let applied = self.applied.get(unit).cloned().flatten();
        let is_for_all = applied.as_ref().is_none_or(|row| row.generation.is_none());
        if self.reading(unit, Generation::FIRST).is_none() && is_for_all {
            let offset = applied.as_ref().map(|row| row.offset);
            self.put_reading(Generation::FIRST, unit, offset);
        }
        self.put_reading(generation, unit, Some(offset));
        // It is live already where a process died between the answer and the log.
        let counts = self.counts(unit, &self.in_force) == Some(Some(offset));
        if counts && !self.reviewed().contains(unit) {
            self.extraction(extraction, offset, extraction.at).await?;
        }
        Ok(())
    }

    /// From now on the readings of these generations count, the first one's first; `false` if they did before. What is to be put
    /// in place for that is in place already ([`Book::put_in_place`]).
    pub(super) fn switch(&mut self, to: &[Generation]) -> bool {
        if self.in_force == to {
            return false;
        }
        self.in_force = to.to_vec();
        self.change.in_force = Some(to.to_vec());
        true
    }

    /// What is to be put in place before the readings of `to` count, in order: what claims nothing any more, then what was read, as
    /// it was appended. A unit that somebody reviewed an atom of stays as it is.
    ///
    /// Only this is remembered of the units, which may be many thousands.
    pub(super) async fn steps_to(&self, to: &[Generation]) -> Result<VecDeque<Step>, StageError> {
        let mut concerned = self.in_force.clone();
        concerned.extend(to);
        let units = self.catalog.units_read_by(&concerned).await?;
        let (mut wanted, mut steps) = (Vec::new(), VecDeque::new());
        for units in units.chunks(PORTION) {
            let mut seen = Book::open(self.log.clone(), self.catalog.clone()).await?;
            seen.load(units).await?;
            let reviewed = seen.reviewed();
            for unit in units.iter().filter(|unit| !reviewed.contains(*unit)) {
                let applied = seen.applied.get(unit).and_then(Option::as_ref);
                let applied = applied.map(|row| row.offset);
                match seen.counts(unit, to) {
                    Some(counts) if counts == applied => {}
                    Some(Some(offset)) => wanted.push(offset),
                    Some(None) => steps.push_back(Step::Nothing(unit.clone())),
                    None => {}
                }
            }
        }
        wanted.sort_unstable();
        steps.extend(wanted.into_iter().map(Step::Read));
        Ok(steps)
    }

    /// Takes some of these steps, the first ones: as many as one commit should hold. Taken again, one changes nothing.
    pub(super) async fn put_in_place(
        &mut self,
        steps: &mut VecDeque<Step>,
        at: Timestamp,
    ) -> Result<(), StageError> {
        let n_steps = steps.len();
        while !steps.is_empty()
            && self.n_changed() < MAX_CHANGED
            && n_steps - steps.len() < MAX_STEPS
        {
            self.take_steps(steps, at).await?;
        }
        Ok(())
    }

    async fn take_steps(
        &mut self,
        steps: &mut VecDeque<Step>,
        at: Timestamp,
    ) -> Result<(), StageError> {
        let (mut none, mut wanted) = (Vec::new(), Vec::new());
        while none.len() + wanted.len() < AT_ONCE {
            match steps.pop_front() {
                Some(Step::Nothing(unit)) => none.push(unit),
                Some(Step::Read(offset)) => wanted.push(offset),
                None => break,
            }
        }
        self.load(&none).await?;
        for unit in none {
            self.nothing(&unit, at).await?;
        }
        self.apply(&wanted, at).await
    }

    /// What counts of a unit, and what its generations read, is known from here on.
    async fn load(&mut self, units: &[String]) -> Result<(), StageError> {
        let is_new = |unit: &&String| !self.applied.contains_key(*unit);
        let units: Vec<String> = units.iter().filter(is_new).cloned().collect();
        if units.is_empty() {
            return Ok(());
        }
        let rows = self.catalog.extractions_of(&units).await?;
        let mut rows: BTreeMap<String, ExtractionRow> = rows
            .into_iter()
            .map(|row| (row.unit.clone(), row))
            .collect();
        for row in self.catalog.readings_of(&units).await? {
            self.readings.entry(row.unit.clone()).or_default().push(row);
        }
        self.look_up(&units).await?;
        for unit in units {
            self.readings.entry(unit.clone()).or_default();
            let row = rows.remove(&unit);
            self.applied.insert(unit, row);
        }
        Ok(())
    }

    fn reading(&self, unit: &str, of: Generation) -> Option<&ReadingRow> {
        let all = self.readings.get(unit)?;
        all.iter().find(|row| row.generation == of)
    }

    fn put_reading(&mut self, generation: Generation, unit: &str, offset: Option<Offset>) {
        let row = ReadingRow {
            generation,
            unit: unit.to_owned(),
            offset,
        };
        let all = self.readings.entry(unit.to_owned()).or_default();
        all.retain(|row| row.generation != generation);
        all.push(row.clone());
        self.change.readings.push(ReadingChange::Put(row));
    }

    /// Where what should count of a unit stands while the readings of `whose` do, if any generation has a reading of its own.
    fn counts(&self, unit: &str, whose: &[Generation]) -> Option<Option<Offset>> {
        let whose = whose.iter().chain([&Generation::FIRST]);
        let mut found = whose.filter_map(|of| self.reading(unit, *of));
        found.next().map(|row| row.offset)
    }

    /// The units of which a reader, not a rule, has the last word on something they claim.
    fn reviewed(&self) -> BTreeSet<String> {
        let is_reviewed = |r: &AtomReview| !r.automatic;
        let atoms = self.atoms.values();
        let reviewed = atoms.filter(|stored| stored.review.as_ref().is_some_and(is_reviewed));
        let claims = reviewed.flat_map(|stored| &stored.claims);
        claims.map(|claim| claim.unit.clone()).collect()
    }

    /// Applies the extractions at these offsets, ascending. What the log has no more is left as it is.
    async fn apply(&mut self, wanted: &[Offset], at: Timestamp) -> Result<(), StageError> {
        let limits = ReadLimits {
            max_records: AT_ONCE,
            ..ReadLimits::default()
        };
        let mut rest = wanted;
        while let Some(first) = rest.first().copied() {
            let batch = match self.log.read(&extractions(), first, limits).await {
                Ok(batch) => batch,
                Err(record_log::Error::Evicted { first, .. }) => {
                    rest = &rest[rest.partition_point(|offset| *offset < first)..];
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let is_wanted = |r: &&StoredRecord| rest.binary_search(&r.offset).is_ok();
            let (mut offsets, mut extractions) = (Vec::new(), Vec::new());
            for record in batch.records.iter().filter(is_wanted) {
                // What cannot be read is a dead letter already.
                if let Ok(extraction) = serde_json::from_slice::<Extraction>(&record.value) {
                    offsets.push(record.offset);
                    extractions.push(extraction);
                }
            }
            let units: Vec<String> = extractions.iter().map(|e| e.unit.clone()).collect();
            self.look_up(&units).await?;
            self.expect(&extractions).await?;
            for (extraction, offset) in extractions.iter().zip(offsets) {
                self.extraction(extraction, offset, at).await?;
            }
            let next = batch.next.max(first.next());
            rest = &rest[rest.partition_point(|offset| *offset < next)..];
        }
        Ok(())
    }

    /// Nothing was ever read of the unit for all: it claims nothing.
    async fn nothing(&mut self, unit: &str, at: Timestamp) -> Result<(), StageError> {
        let (_, touched) = self.take_out(unit);
        for id in &touched {
            self.settle(id, at).await?;
        }
        self.applied.insert(unit.to_owned(), None);
        self.change.extractions.retain(|row| row.unit != unit);
        self.change.not_extracted.push(unit.to_owned());
        Ok(())
    }
}
