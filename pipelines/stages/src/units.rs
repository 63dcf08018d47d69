//! `messages` in, `units` out: what is worth reading, grouped into stretches of conversation, once and for good.

mod arrival;
mod grouping;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog,
    leases::Fence,
    ledger::{Counters, Fate, StageKey, StageState},
    record_log::{NewRecord, StateWrite, StoredRecord, Transaction},
};
use telesift_schemas::{ChatId, Offset, Timestamp, Topic, TopicPartition, UnitEvent, UnitRecord};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    identities,
    screen::gap_counters,
};
use arrival::Arrival;
use grouping::{ChatUnits, Taken};

pub(crate) use grouping::unit_id;

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "units";

/// What belongs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitsConfig {
    /// A silence longer than this ends a unit, in seconds. 30 min unless said otherwise.
    pub gap_s: i64,
    /// Messages of a unit, at most. 20 unless said otherwise.
    pub max_messages: usize,
    /// Characters of a unit, at most, unless one message alone has more. 6,000 unless said otherwise.
    pub max_chars: usize,
    /// How long the end of `messages` must stand still before units of long ago are taken for complete, in milliseconds: an
    /// import comes in portions. 2 s unless said otherwise.
    pub settle_ms: i64,
}

impl Default for UnitsConfig {
    fn default() -> Self {
        UnitsConfig {
            gap_s: 30 * 60,
            max_messages: 20,
            max_chars: 6_000,
            settle_ms: 2_000,
        }
    }
}

/// Groups the messages of one partition.
///
/// Units, position, counters and what is open commit in one transaction of the log. `signal` and `weak_signal` messages join
/// the unit of the message they answer, else that of their thread while the silence is shorter than the gap; a channel's post
/// is a unit of its own. What closes by the clock is written when it does, and so is the same for every later reader.
///
/// On a log without transactions a unit may be written again after a crash, with the same id and what joined it since: a message
/// stands in the first unit that has it, and those of one id are one.
pub struct Units {
    log: Arc<dyn RecordLog>,
    clock: Arc<dyn Clock>,
    config: UnitsConfig,
    input: TopicPartition,
    output: TopicPartition,
    stored: Option<Bytes>,
    state: StageState,
    chats: BTreeMap<ChatId, ChatUnits>,
    is_stale: bool,
    fence: Fence,
}

impl Units {
    /// The units of `input`, a partition of `messages`; writes the partition of the same number of `units`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
        config: UnitsConfig,
    ) -> Self {
        Units {
            log,
            clock,
            config,
            output: TopicPartition::new(Topic::UNITS, input.partition),
            input,
            stored: None,
            state: StageState::default(),
            chats: BTreeMap::new(),
            is_stale: true,
            fence: Fence::open(),
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    fn state_key(&self) -> String {
        StageKey {
            stage: STAGE.into(),
            input: self.input.clone(),
        }
        .state_key()
    }

    /// Where the log keeps what the chats of this partition are in the middle of.
    fn chats_prefix(&self) -> String {
        format!("units/{}/", self.input.partition)
    }

    async fn load(&mut self) -> Result<(), StageError> {
        let key = self.state_key();
        self.stored = self.log.state(&key).await?;
        self.state = match &self.stored {
            Some(bytes) => read_state(key, bytes)?,
            None => StageState::default(),
        };
        let prefix = self.chats_prefix();
        self.chats.clear();
        for (key, value) in self.log.state_with_prefix(&prefix).await? {
            let chat = key.strip_prefix(&prefix).and_then(|id| id.parse().ok());
            if let Some(chat) = chat {
                self.chats.insert(chat, read_state(key, &value)?);
            }
        }
        self.is_stale = false;
        Ok(())
    }

    /// Decides on one record.
    fn plan(&self, plan: &mut Plan, record: &StoredRecord, now: Timestamp) -> Fate {
        let arrival = match Arrival::read(&self.input, record) {
            Ok(arrival) => arrival,
            Err(_) => return Fate::Refused,
        };
        let chat = arrival.chat.id;
        let units = self.chats.get(&chat);
        let units = plan
            .chats
            .entry(chat)
            .or_insert_with(|| units.cloned().unwrap_or_default());
        let (taken, events) = units.take(arrival, &self.config, now);
        plan.events.extend(events.into_iter().map(|e| (chat, e)));
        match taken {
            Taken::Counts => Fate::Emitted,
            Taken::Skipped(reason) => Fate::Skipped(reason.to_owned()),
        }
    }

    /// Everything that is over by the clock.
    fn plan_overdue(&self, plan: &mut Plan, now: Timestamp, is_caught_up: bool) {
        for (chat, units) in &self.chats {
            let changed = plan.chats.get(chat);
            let mut units = changed.unwrap_or(units).clone();
            let events = units.close_overdue(now, is_caught_up, &self.config);
            if !events.is_empty() {
                plan.chats.insert(*chat, units);
                plan.events.extend(events.into_iter().map(|e| (*chat, e)));
            }
        }
    }

    /// Units, what is open, position and counters, in one transaction; `letters` go with them.
    async fn commit(
        &mut self,
        plan: Plan,
        state: StageState,
        retry: Option<(&Retry, Option<&Refusal>)>,
    ) -> Result<(), StageError> {
        let now = self.clock.now();
        let events = plan.events.iter();
        let mut appends: Vec<_> = events
            .map(|(chat, event)| self.append(*chat, event.clone(), now))
            .collect();
        appends.extend(plan.letters);
        let mut guards = vec![(self.state_key(), self.stored.clone())];
        let mut writes: Vec<StateWrite> = vec![(self.state_key(), Some(json(&state)))];
        let prefix = self.chats_prefix();
        let changed = plan.chats.iter();
        writes.extend(changed.map(|(chat, units)| (format!("{prefix}{chat}"), Some(json(units)))));
        if let Some((retry, refusal)) = retry {
            let (letter, over) = retry.end(refusal, now);
            appends.push(letter);
            guards.push(retry.guard());
            writes.push(over);
        }
        let transaction = Transaction {
            appends,
            guards,
            fence: self.fence.clone(),
            finish: Box::new(move |_| writes),
        };
        self.is_stale = true;
        self.log.commit(transaction).await?;
        self.stored = self.log.state(&self.state_key()).await?;
        self.state = state;
        self.chats.extend(plan.chats);
        self.is_stale = false;
        Ok(())
    }

    fn append(&self, chat: ChatId, event: UnitEvent, at: Timestamp) -> (TopicPartition, NewRecord) {
        let unique = match &event {
            UnitEvent::Closed { unit, members, .. } => match members.last() {
                Some(last) if !self.log.is_transactional() => {
                    vec![identities::of_unit_up_to(unit, &last.message)]
                }
                _ => vec![identities::of_unit(unit)],
            },
            UnitEvent::Touched { .. } => Vec::new(),
        };
        let record = UnitRecord {
            v: UnitRecord::VERSION,
            at,
            event,
        };
        let record = NewRecord {
            key: Bytes::from(chat.to_string()),
            value: json(&record),
            unique,
        };
        (self.output.clone(), record)
    }
}

/// What a batch comes to.
#[derive(Default)]
struct Plan {
    events: Vec<(ChatId, UnitEvent)>,
    letters: Vec<(TopicPartition, NewRecord)>,
    /// The chats that change, as they stand next.
    chats: BTreeMap<ChatId, ChatUnits>,
}

#[async_trait]
impl Process for Units {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.load().await?;
        Ok(vec![self.state.next])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        if self.is_stale {
            self.load().await?;
        }
        if self.state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let now = self.clock.now();
        let (mut plan, mut counters) = (Plan::default(), Counters::default());
        for record in &input.batch.records {
            counters.received += 1;
            match self.plan(&mut plan, record, now) {
                Fate::Emitted => counters.emitted += 1,
                Fate::Skipped(reason) => counters.skip(&reason),
                Fate::Refused => {
                    counters.dead_lettered += 1;
                    let letter =
                        dead_letter::append(STAGE, &input.at, record, refusal(record), now);
                    plan.letters.push(letter);
                }
            }
        }
        self.plan_overdue(&mut plan, now, false);
        let mut state = self.state.clone();
        state.counters += &gap_counters(input);
        state.counters += &counters;
        state.next = input.batch.next;
        self.commit(plan, state, None).await
    }

    async fn idle(&mut self) -> Result<Option<Duration>, StageError> {
        if self.is_stale {
            self.load().await?;
        }
        let now = self.clock.now();
        let mut plan = Plan::default();
        self.plan_overdue(&mut plan, now, true);
        if !plan.events.is_empty() {
            self.commit(plan, self.state.clone(), None).await?;
        }
        let next = self
            .chats
            .values()
            .filter_map(|c| c.next_close(&self.config));
        let wait_ms = next.min().map(|next| next - now.as_millisecond());
        Ok(wait_ms.map(|ms| Duration::from_millis(ms.max(1).unsigned_abs())))
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        if self.is_stale {
            self.load().await?;
        }
        if retry.record.offset >= self.state.next {
            return Ok(Tried::Later);
        }
        let mut plan = Plan::default();
        let fate = self.plan(&mut plan, &retry.record, self.clock.now());
        let refused = (fate == Fate::Refused).then(|| refusal(&retry.record));
        let mut state = self.state.clone();
        state.count_retry(retry.name(), &fate);
        self.commit(plan, state, Some((retry, refused.as_ref())))
            .await?;
        Ok(Tried::Committed)
    }
}

/// Why a record is no message.
fn refusal(record: &StoredRecord) -> Refusal {
    let read = serde_json::from_slice::<telesift_schemas::Message>(&record.value);
    match read {
        Err(error) => Refusal::unreadable("message record", &error),
        Ok(_) => Refusal::new(
            telesift_schemas::DeadLetterCode::Unreadable,
            "no message record: it was not screened",
        ),
    }
}

fn read_state<T: serde::de::DeserializeOwned>(key: String, bytes: &[u8]) -> Result<T, StageError> {
    serde_json::from_slice(bytes).map_err(|e| StageError::State {
        key,
        reason: e.to_string(),
    })
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("strings and numbers")
        .into()
}
