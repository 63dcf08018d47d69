//! What generations read of conversations: kept beside what counts, and put in its place when the live generation changes.

use std::collections::{BTreeMap, BTreeSet};

use telesift_ports::{
    knowledge::{AtomReview, ExtractionRow, ReadingChange, ReadingRow},
    record_log::{self, ReadLimits, StoredRecord},
};
use telesift_schemas::{Extraction, Generation, Offset, Timestamp};

use super::book::Book;
use crate::{consumer::StageError, extract::extractions};

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
        let counts = self.counts(unit) == Some(Some(offset));
        if counts && !self.reviewed().contains(unit) {
            self.extraction(extraction, offset, extraction.at).await?;
        }
        Ok(())
    }

    /// From now on the readings of these generations count, the first one's first; `false` if they did before. A unit that somebody
    /// reviewed an atom of stays as it is.
    pub(super) async fn switch(
        &mut self,
        to: &[Generation],
        at: Timestamp,
    ) -> Result<bool, StageError> {
        if self.in_force == to {
            return Ok(false);
        }
        let mut concerned = std::mem::replace(&mut self.in_force, to.to_vec());
        concerned.extend(to);
        self.change.in_force = Some(to.to_vec());
        let stored = self.catalog.units_read_by(&concerned).await?;
        let here = self.readings.keys().cloned();
        let units: BTreeSet<String> = stored.into_iter().chain(here).collect();
        let units: Vec<String> = units.into_iter().collect();
        self.load(&units).await?;
        let reviewed = self.reviewed();
        let (mut wanted, mut none) = (Vec::new(), Vec::new());
        for unit in units {
            let applied = self.applied.get(&unit).and_then(Option::as_ref);
            let applied = applied.map(|row| row.offset);
            match self.counts(&unit) {
                Some(counts) if counts == applied || reviewed.contains(&unit) => {}
                Some(Some(offset)) => wanted.push(offset),
                Some(None) => none.push(unit),
                None => {}
            }
        }
        for unit in none {
            self.nothing(&unit, at).await?;
        }
        wanted.sort_unstable();
        self.apply(&wanted, at).await?;
        Ok(true)
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

    /// Where what should count of a unit stands, if any generation has a reading of its own.
    fn counts(&self, unit: &str) -> Option<Option<Offset>> {
        let whose = self.in_force.iter().chain([&Generation::FIRST]);
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
        let mut rest = wanted;
        while let Some(first) = rest.first().copied() {
            let batch = match self
                .log
                .read(&extractions(), first, ReadLimits::default())
                .await
            {
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
