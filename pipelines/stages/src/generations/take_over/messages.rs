//! Messages of the base in, the same messages of the new generation out: byte for byte, up to the first raw offset that is
//! screened anew.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use telesift_ports::{
    RecordLog,
    generations::messages_of,
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
    record_log::{NewRecord, StoredRecord, Transaction, UniqueKey},
};
use telesift_schemas::{
    Generation, MessageKey, Offset, Origin, PartitionId, Topic, TopicPartition,
};

use super::{Step, Steps, TAKE_OVER, read, to_bytes};
use crate::{
    StageError,
    decisions::rules::RulesBook,
    generations::{positions, stage_name},
    screen,
};

/// Raw offsets of which the base has no message: skipped, refused or dead-lettered there.
const NOT_IN_BASE: &str = "not_in_base";

/// Takes over one partition. Copies, both positions and the counters commit in one transaction; the position of the new
/// screen moves along, so that at every moment all of the base below it is there.
pub(in crate::generations) struct MessagesTakeOver {
    pub(in crate::generations) log: Arc<dyn RecordLog>,
    /// Held while positions of a screen move.
    pub(in crate::generations) book: Arc<RulesBook>,
    pub(in crate::generations) generation: Generation,
    /// Whose messages are taken over.
    pub(in crate::generations) base: Generation,
    pub(in crate::generations) partition: PartitionId,
    /// The first raw offset that is screened anew.
    pub(in crate::generations) until: Offset,
    /// Commits are under this lease.
    pub(in crate::generations) fence: Fence,
    /// On a log without transactions, what is there already: an end may have come between records and positions. Not known
    /// at first, and after a commit that may or may not have happened.
    pub(in crate::generations) there: Option<HashSet<UniqueKey>>,
}

impl MessagesTakeOver {
    fn keys(&self) -> [String; 2] {
        let key = |stage: &'static str, input: TopicPartition| {
            let stage = stage_name(stage, self.generation).to_owned();
            StageKey { stage, input }.state_key()
        };
        let raw = TopicPartition::new(Topic::TELEGRAM_RAW, self.partition);
        [
            key(TAKE_OVER, messages_of(self.base, self.partition)),
            key(screen::STAGE, raw),
        ]
    }

    /// Leaves out what is there already, where the log does not refuse it; what is there once the rest is.
    async fn leave_out(
        &mut self,
        appends: &mut Vec<(TopicPartition, NewRecord)>,
    ) -> Result<Option<HashSet<UniqueKey>>, StageError> {
        if self.log.is_transactional() {
            return Ok(None);
        }
        let mut there = match self.there.take() {
            Some(there) => there,
            None => self.read_there().await?,
        };
        appends.retain_mut(|(_, record)| {
            let keys = std::mem::take(&mut record.unique);
            keys.into_iter().all(|key| there.insert(key))
        });
        Ok(Some(there))
    }

    async fn read_there(&self) -> Result<HashSet<UniqueKey>, StageError> {
        let at = messages_of(self.generation, self.partition);
        let mut there = HashSet::new();
        let mut next = Offset::ZERO;
        loop {
            let (_, batch) = read(&*self.log, &at, next).await?;
            let found = batch.records.iter();
            there.extend(
                found.filter_map(|r| screen::output::identity_of(self.generation, &r.value)),
            );
            if batch.next >= batch.end {
                return Ok(there);
            }
            next = batch.next;
        }
    }
}

#[async_trait]
impl Steps for MessagesTakeOver {
    async fn step(&mut self) -> Result<Step, StageError> {
        let keys = self.keys();
        let mut stored = Vec::new();
        for key in &keys {
            stored.push(self.log.state(key).await?);
        }
        let state = positions::state_of(&*self.log, &keys[0]).await?;
        let mut copied: StageState = state.unwrap_or_default();
        let state = positions::state_of(&*self.log, &keys[1]).await?;
        let mut screen: StageState = state.unwrap_or_default();
        if screen.next >= self.until {
            return Ok(Step::Done);
        }
        // Before the messages are read: what the base has screened by now is among them.
        let base = positions::screened(&*self.log, self.base, self.partition).await?;
        let from = messages_of(self.base, self.partition);
        let (_, batch) = read(&*self.log, &from, copied.next).await?;

        let mut appends = Vec::new();
        let mut last = screen.next;
        let mut next = batch.next;
        for record in &batch.records {
            let Some(head) = head(record) else {
                // Damaged or of another kind: the base does not know its origin either.
                continue;
            };
            if head.origin.offset >= self.until {
                next = record.offset;
                break;
            }
            last = last.max(head.origin.offset.next());
            appends.push((
                messages_of(self.generation, self.partition),
                NewRecord {
                    key: record.key.clone(),
                    value: record.value.clone(),
                    unique: vec![screen::output::identity(
                        self.generation,
                        (&head.id, head.edit),
                        head.kind.as_deref(),
                    )],
                },
            ));
        }
        let is_through = next < batch.next || (batch.next == batch.end && base.next >= self.until);
        if next == copied.next && !is_through {
            return Ok(Step::Waits);
        }
        let n = appends.len() as u64;
        let there = self.leave_out(&mut appends).await?;
        let reached = if is_through { self.until } else { last };
        count(&mut screen, reached, n);
        copied.counters += &Counters {
            received: n,
            emitted: n,
            ..Counters::default()
        };
        copied.next = next;
        let writes = keys
            .clone()
            .into_iter()
            .zip([to_bytes(&copied), to_bytes(&screen)]);
        let writes: Vec<_> = writes.map(|(key, value)| (key, Some(value))).collect();
        let transaction = Transaction {
            appends,
            guards: keys.into_iter().zip(stored).collect(),
            fence: self.fence.clone(),
            finish: Box::new(move |_| writes),
        };
        let _held = self.book.hold().await?;
        self.log.commit(transaction).await?;
        self.there = there;
        Ok(match is_through {
            true => Step::Done,
            false => Step::Went,
        })
    }
}

/// Moves the screen to `reached`: `n` of the raw offsets on the way have messages.
fn count(screen: &mut StageState, reached: Offset, n: u64) {
    let passed = reached.0.saturating_sub(screen.next.0);
    screen.counters.received += passed;
    screen.counters.emitted += n;
    let without = passed.saturating_sub(n);
    if without > 0 {
        *screen
            .counters
            .skipped
            .entry(NOT_IN_BASE.to_owned())
            .or_default() += without;
    }
    screen.next = reached;
}

/// What must be known of a message to take it over.
#[derive(Deserialize)]
struct Head {
    id: MessageKey,
    edit: i64,
    #[serde(default)]
    kind: Option<String>,
    origin: Origin,
}

fn head(record: &StoredRecord) -> Option<Head> {
    serde_json::from_slice(&record.value).ok()
}
