//! An answer on its way into the log: verified, compared with what is known, appended, and applied before its unit is done.

use telesift_ports::{
    extractor::{Extracted, UnitMessage},
    knowledge::{ExtractionRow, UnitRow, UnitState},
    record_log::{NewRecord, Outcome as Appended, Transaction},
};
use telesift_schemas::{Extraction, ExtractorRef, Offset, UnitMember, Usage};
use tokio::sync::oneshot;

use super::{
    Extract,
    appender::Queued,
    extractions,
    outcome::{GONE, Outcome, SAME_STORY},
    verify::verify,
};
use crate::{consumer::StageError, identities, telemetry};

impl Extract {
    /// Stores what was answered. Queued one at a time, so that each answer is compared with all before it in the log.
    pub(super) async fn finish(
        &self,
        unit: &UnitRow,
        before: Option<&ExtractionRow>,
        members: Vec<UnitMember>,
        messages: &[UnitMessage],
        extracted: Extracted,
    ) -> Result<Outcome, StageError> {
        let mut verified = verify(&extracted.claims, messages);
        for (reason, n) in &verified.rejected {
            telemetry::rejected(&extracted.by.name, reason, *n);
        }
        let mut neighbours = self.neighbours.lock().await;
        neighbours
            .resolve(&*self.parts.catalog, &unit.id, &mut verified.atoms)
            .await?;
        let extraction = Extraction {
            atoms: verified.atoms,
            rejected: verified.rejected,
            input: extracted.input,
            usage: extracted.usage,
            ..self.extraction(unit, before, members, extracted.by)
        };
        // What the next one is compared with stands before it in the log.
        let record = record(&extraction)?;
        let queued = self.enqueue(record.clone()).await;
        drop(neighbours);
        let end = match queued.await {
            Ok(offset) => offset.next(),
            Err(_) => self.append(record).await?,
        };
        self.applied(end).await;
        Ok(Outcome::Done)
    }

    /// Notes that another unit told it all before.
    pub(super) async fn finish_same(
        &self,
        unit: &UnitRow,
        before: Option<&ExtractionRow>,
        members: Vec<UnitMember>,
        told: String,
    ) -> Result<Outcome, StageError> {
        let Some(other) = self.extraction_of(&told).await? else {
            return Ok(Outcome::PassedBy(SAME_STORY));
        };
        let extraction = Extraction {
            same_as: Some(told),
            ..self.extraction(unit, before, members, other.extractor)
        };
        let end = self.append(record(&extraction)?).await?;
        self.applied(end).await;
        Ok(Outcome::PassedBy(SAME_STORY))
    }

    /// Notes that nothing is left of the unit.
    pub(super) async fn finish_empty(
        &self,
        unit: &UnitRow,
        before: Option<ExtractionRow>,
    ) -> Result<Outcome, StageError> {
        if let Some(before) = before {
            let by = before.extractor.clone();
            let extraction = self.extraction(unit, Some(&before), Vec::new(), by);
            self.put(&extraction).await?;
        }
        Ok(Outcome::PassedBy(GONE))
    }

    /// Stores what claims nothing any more. Units that counted as the same are asked for themselves then.
    pub(super) async fn put(&self, extraction: &Extraction) -> Result<(), StageError> {
        let unit = &extraction.unit;
        let atoms = self
            .parts
            .catalog
            .atoms_of_units(std::slice::from_ref(unit));
        let sources = atoms.await?.into_iter().flat_map(|stored| stored.sources);
        let same = sources.filter(|s| s.same_as == *unit).map(|s| s.unit);
        let mut same: Vec<String> = same.collect();
        same.sort();
        same.dedup();
        let end = self.append(record(extraction)?).await?;
        self.applied(end).await;
        for mut other in self.parts.catalog.units(&same).await? {
            other.state = UnitState::Due;
            (other.not_before, other.note) = (None, None);
            self.parts.catalog.settle_unit(&other).await?;
        }
        self.news.notify_one();
        Ok(())
    }

    pub(super) fn extraction(
        &self,
        unit: &UnitRow,
        before: Option<&ExtractionRow>,
        members: Vec<UnitMember>,
        extractor: ExtractorRef,
    ) -> Extraction {
        // That nothing is left is so in every generation.
        let generation = unit.again.filter(|_| !members.is_empty());
        Extraction {
            v: Extraction::VERSION,
            unit: unit.id.clone(),
            chat: unit.chat.clone(),
            members,
            extractor,
            input: String::new(),
            same_as: None,
            after: before.map(|b| b.offset),
            generation,
            atoms: Vec::new(),
            rejected: std::collections::BTreeMap::new(),
            usage: Usage::default(),
            at: self.parts.clock.now(),
        }
    }

    /// Queues it; who waits for the answer gets its offset, or nothing.
    async fn enqueue(&self, record: NewRecord) -> oneshot::Receiver<Offset> {
        let (done, offset) = oneshot::channel();
        if let Some(queue) = self.queue.get() {
            // Dropped with the queue, it tells its owner to append himself.
            let _ = queue.send(Queued { record, done }).await;
        }
        offset
    }

    /// Appends it by itself; returns the offset after it.
    async fn append(&self, record: NewRecord) -> Result<Offset, StageError> {
        let transaction = Transaction {
            fence: self.fence.clone(),
            ..Transaction::appends(vec![(extractions(), record)])
        };
        let outcomes = self.parts.log.commit(transaction).await?;
        match outcomes.first() {
            Some(Appended::Appended { offset, .. }) => Ok(offset.next()),
            // It stands there: an earlier try's answer was lost.
            _ => Ok(self.parts.log.bounds(&extractions()).await?.end),
        }
    }

    /// Waits until what stands before `end` is applied.
    async fn applied(&self, end: Offset) {
        let mut applied = self.applied.clone();
        // An end of the knowledge stage is the end of this one too; what was appended is applied by the next.
        let _ = applied.wait_for(|at| *at >= end).await;
    }
}

fn record(extraction: &Extraction) -> Result<NewRecord, StageError> {
    let value = serde_json::to_vec(extraction).map_err(|e| StageError::State {
        key: extraction.unit.clone(),
        reason: e.to_string(),
    })?;
    Ok(NewRecord {
        key: extraction.chat.id.to_string().into(),
        value: value.into(),
        unique: vec![identities::of_extraction(extraction)],
    })
}
