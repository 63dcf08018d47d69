//! `extractions` and `decisions` in, atoms and subjects in the catalog out, and from there every version to `atoms`.

mod book;
mod claims;
mod readings;
mod reviews;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Catalog, Clock, Generations, RecordLog,
    knowledge::{KNOWLEDGE_STAGE, Moved},
    leases::Fence,
    ledger::{Counters, Fate, StageKey, StageState},
    record_log::{NewRecord, StoredRecord, Transaction},
};
use telesift_schemas::{
    Atom, Decision, DecisionKind, Extraction, Generation, Offset, PartitionId, Timestamp, Topic,
    TopicPartition,
};
use tokio::sync::watch;

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    decisions,
    extract::extractions,
    identities, order,
    screen::gap_counters,
};
use book::Book;
use readings::Step;

pub use claims::{atom_id, subject_id, subject_key};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = KNOWLEDGE_STAGE;

/// The kinds of decisions that are about knowledge.
const KINDS: [&str; 4] = [
    "atom_reviewed",
    "subject_changed",
    "approval_rules_set",
    "readings_switched",
];
/// How often it is looked which generation is live.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Versions published at once.
const PORTION: usize = 500;
/// Atoms one commit changes, about: it must be done within the time of a call of the catalog, which on a busy machine is not
/// enough for whatever a batch may come to.
const MAX_CHANGED: usize = 64;

/// Makes atoms of what was extracted and decided.
///
/// Both inputs are taken in the order in which they were appended, so that the same log gives the same atoms, versions
/// included, whenever it is read. What a batch decides, its positions and the outbox are stored in one transaction of the
/// catalog; the outbox then goes to `atoms`, in order and at least once, where (id, version) makes it once.
pub struct Knowledge {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    inputs: [TopicPartition; 2],
    states: [Option<StageState>; 2],
    taken: [Offset; 2],
    applied: watch::Sender<Offset>,
    generations: Option<Arc<Generations>>,
    /// Whose readings count, as of the last commit.
    in_force: Vec<Generation>,
    /// What is still to be put in place for the switch at that offset of `decisions`.
    switching: Option<(Offset, VecDeque<Step>)>,
    fence: Fence,
}

impl Knowledge {
    /// The projection of `extractions` and `decisions`; tells `applied` how far it is on the former.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        applied: watch::Sender<Offset>,
    ) -> Self {
        Knowledge {
            log,
            catalog,
            clock,
            inputs: Self::inputs(),
            states: [None, None],
            taken: [Offset::ZERO; 2],
            applied,
            generations: None,
            in_force: Vec::new(),
            switching: None,
            fence: Fence::open(),
        }
    }

    /// What it reads, in order.
    pub fn inputs() -> [TopicPartition; 2] {
        [
            extractions(),
            TopicPartition::new(Topic::DECISIONS, PartitionId(0)),
        ]
    }

    /// Has the readings of the live one of these count, whichever that is.
    pub fn following(mut self, generations: Arc<Generations>) -> Self {
        self.generations = Some(generations);
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    fn key(&self, i: usize) -> StageKey {
        StageKey {
            stage: STAGE.to_owned(),
            input: self.inputs[i].clone(),
        }
    }

    async fn load(&mut self) -> Result<(), StageError> {
        for i in 0..self.inputs.len() {
            self.states[i] = self.catalog.stage_state(&self.key(i)).await?;
        }
        self.in_force = self.catalog.readings_in_force().await?;
        self.applied.send_replace(self.next(0));
        Ok(())
    }

    fn next(&self, i: usize) -> Offset {
        self.states[i].as_ref().map_or(Offset::ZERO, |s| s.next)
    }

    fn index_of(&self, at: &TopicPartition) -> Option<usize> {
        self.inputs.iter().position(|input| input == at)
    }

    /// Stores what the book came to, with the states that go with it.
    async fn commit(
        &mut self,
        book: Book,
        states: [Option<StageState>; 2],
    ) -> Result<(), StageError> {
        let mut moved = Vec::new();
        for (i, state) in states.into_iter().enumerate() {
            let Some(state) = state else { continue };
            moved.push(Moved {
                key: self.key(i),
                expected: self.states[i].as_ref().map(|s| s.next),
                state,
            });
        }
        if moved.is_empty() {
            // What is stored without a step of the stage is so under its lease all the same.
            let state = self.states[1].clone();
            moved.push(Moved {
                key: self.key(1),
                expected: state.as_ref().map(|s| s.next),
                state: state.unwrap_or_default(),
            });
        }
        let change = book.into_change();
        self.catalog
            .apply_knowledge(&change, &moved, &self.fence)
            .await?;
        self.load().await
    }

    /// Sends the outbox to `atoms`.
    async fn publish(&self) -> Result<(), StageError> {
        loop {
            let portion = self.catalog.outbox(PORTION).await?;
            let Some((last, _)) = portion.last() else {
                return Ok(());
            };
            let last = *last;
            let appends = portion.iter().map(|(_, atom)| append(atom)).collect();
            let transaction = Transaction {
                fence: self.fence.clone(),
                ..Transaction::appends(appends)
            };
            self.log.commit(transaction).await?;
            self.catalog.clear_outbox(last).await?;
        }
    }

    /// Writes down that the readings of another generation count, once all that was written before is applied.
    async fn follow(&self) -> Result<(), StageError> {
        let Some(generations) = &self.generations else {
            return Ok(());
        };
        let register = generations.now();
        let readings = register.readings(register.live_parts().knowledge);
        if readings == self.in_force {
            return Ok(());
        }
        let decisions = &self.inputs[1];
        if self.log.bounds(decisions).await?.end > self.next(1) {
            return Ok(()); // it may be written already
        }
        let decision = Decision {
            v: Decision::VERSION,
            at: self.clock.now(),
            by: STAGE.to_owned(),
            decision: DecisionKind::ReadingsSwitched { readings },
        };
        let record = NewRecord {
            key: Bytes::from_static(STAGE.as_bytes()),
            value: serde_json::to_vec(&decision)
                .expect("a decision is strings and numbers")
                .into(),
            unique: Vec::new(),
        };
        let transaction = Transaction {
            fence: self.fence.clone(),
            ..Transaction::appends(vec![(decisions.clone(), record)])
        };
        self.log.commit(transaction).await?;
        Ok(())
    }

    /// Puts in place what counts from this switch on, as much as one commit should hold; gives what is left of `steps` then. Nothing
    /// left: the switch can be taken.
    ///
    /// A switch of many thousands of conversations is many commits, each of conversations as a whole. It is taken with the last of
    /// them: after a crash it is begun anew, and what is in place is left out.
    async fn put_in_place(
        &self,
        book: &mut Book,
        (readings, at): (&[Generation], Timestamp),
        steps: Option<VecDeque<Step>>,
    ) -> Result<VecDeque<Step>, StageError> {
        if book.in_force == readings {
            return Ok(VecDeque::new());
        }
        let mut steps = match steps {
            Some(steps) => steps,
            None => book.steps_to(readings).await?,
        };
        book.put_in_place(&mut steps, at).await?;
        Ok(steps)
    }

    /// Applies one record; what it is not becomes a refusal.
    async fn take(
        &self,
        book: &mut Book,
        i: usize,
        record: &StoredRecord,
    ) -> Result<Result<Fate, Refusal>, StageError> {
        if i == 0 {
            return match serde_json::from_slice::<Extraction>(&record.value) {
                Ok(extraction) => {
                    book.read(&extraction, record.offset).await?;
                    Ok(Ok(Fate::Emitted))
                }
                Err(e) => Ok(Err(Refusal::unreadable("extraction record", &e))),
            };
        }
        match decisions::read(record, &KINDS) {
            Ok(Some(decision)) => {
                let is_done = book.decision(&decision, record.offset).await?;
                Ok(Ok(match is_done {
                    true => Fate::Emitted,
                    false => Fate::Skipped("without_effect".to_owned()),
                }))
            }
            Ok(None) => Ok(Ok(Fate::Skipped(decisions::OTHER.to_owned()))),
            Err(refusal) => Ok(Err(refusal)),
        }
    }
}

#[async_trait]
impl Process for Knowledge {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.load().await?;
        self.publish().await?;
        Ok(vec![self.next(0), self.next(1)])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        // The last commit may have happened although it failed.
        self.load().await?;
        let mut ready = order::ready(inputs);
        let mut book = Book::open(self.log.clone(), self.catalog.clone()).await?;
        let mut counters = [Counters::default(), Counters::default()];
        let mut letters = Vec::new();
        let (mut n_taken, mut is_first) = (0, true);
        // Forgotten where this fails: what is in place then is looked up again.
        let mut begun = self.switching.take();
        for &(input, record) in &ready.records {
            if book.n_changed() >= MAX_CHANGED {
                break;
            }
            let i = self.index_of(&input.at);
            // What an earlier try of this batch committed is passed over.
            let Some(i) = i.filter(|i| record.offset >= self.next(*i)) else {
                n_taken += 1;
                continue;
            };
            if let Some((readings, at)) = switch(i, record) {
                if !is_first {
                    break; // it looks at what is committed
                }
                let steps = begun.take().filter(|(of, _)| *of == record.offset);
                let steps = steps.map(|(_, steps)| steps);
                let switch = (&*readings, at);
                let steps = self.put_in_place(&mut book, switch, steps).await?;
                if !steps.is_empty() {
                    begun = Some((record.offset, steps));
                    break;
                }
            }
            (n_taken, is_first) = (n_taken + 1, false);
            counters[i].received += 1;
            match self.take(&mut book, i, record).await? {
                Ok(Fate::Skipped(reason)) => counters[i].skip(&reason),
                Ok(_) => counters[i].emitted += 1,
                Err(refusal) => {
                    counters[i].dead_lettered += 1;
                    let now = self.clock.now();
                    letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                }
            }
        }
        ready.leave(n_taken);
        let mut states = [None, None];
        for (input, next) in &ready.positions {
            let Some(i) = self.index_of(&input.at).filter(|i| self.next(*i) < *next) else {
                continue;
            };
            let mut state = self.states[i].clone().unwrap_or_default();
            state.counters += &gap_counters(&order::gaps_before(input, state.next, *next));
            state.counters += &counters[i];
            state.next = *next;
            states[i] = Some(state);
        }
        if !letters.is_empty() {
            self.log.commit(Transaction::appends(letters)).await?;
        }
        if states.iter().any(Option::is_some) || begun.is_some() {
            self.commit(book, states).await?;
        }
        self.switching = begun;
        self.publish().await?;
        self.follow().await?;
        for (input, next) in ready.positions {
            if let Some(i) = self.index_of(&input.at) {
                self.taken[i] = next;
            }
        }
        Ok(())
    }

    async fn idle(&mut self) -> Result<Option<Duration>, StageError> {
        self.publish().await?;
        self.follow().await?;
        Ok(self.generations.as_ref().map(|_| LOOK_EVERY))
    }

    fn taken(&self, input: &Input) -> Offset {
        self.index_of(&input.at)
            .map_or(input.batch.next, |i| self.taken[i])
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.load().await?;
        let i = self.index_of(&retry.at);
        let Some(i) = i.filter(|i| retry.record.offset < self.next(*i)) else {
            return Ok(Tried::Later);
        };
        let mut book = Book::open(self.log.clone(), self.catalog.clone()).await?;
        if let Some((readings, at)) = switch(i, &retry.record) {
            let mut steps = None;
            loop {
                let switch = (&*readings, at);
                let left = self.put_in_place(&mut book, switch, steps).await?;
                if left.is_empty() {
                    break;
                }
                self.commit(book, [None, None]).await?;
                book = Book::open(self.log.clone(), self.catalog.clone()).await?;
                steps = Some(left);
            }
        }
        let (fate, refusal) = match self.take(&mut book, i, &retry.record).await? {
            Ok(fate) => (fate, None),
            Err(refusal) => (Fate::Refused, Some(refusal)),
        };
        let mut state = self.states[i].clone().unwrap_or_default();
        state.count_retry(retry.name(), &fate);
        let mut states = [None, None];
        states[i] = Some(state);
        self.commit(book, states).await?;
        Ok(Tried::Stored(refusal))
    }
}

/// Whose readings count from this record of the `i`th input on, and as of when, if it says so.
fn switch(i: usize, record: &StoredRecord) -> Option<(Vec<Generation>, Timestamp)> {
    let read = (i == 1).then(|| decisions::read(record, &["readings_switched"]))?;
    let decision = read.ok().flatten()?;
    match decision.decision {
        DecisionKind::ReadingsSwitched { readings } => Some((readings, decision.at)),
        _ => None,
    }
}

fn append(atom: &Atom) -> (TopicPartition, NewRecord) {
    let chat = atom.evidence.first().map(|e| e.message.chat.to_string());
    let record = NewRecord {
        key: Bytes::from(chat.unwrap_or_else(|| atom.id.clone())),
        value: serde_json::to_vec(atom)
            .expect("an atom is strings and finite numbers")
            .into(),
        unique: vec![identities::of_atom(&atom.id, atom.version)],
    };
    (TopicPartition::new(Topic::ATOMS, PartitionId(0)), record)
}
