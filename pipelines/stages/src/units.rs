//! `messages` in, `units` out: what is worth reading, grouped into stretches of conversation, once and for good.

mod arrival;
mod grouping;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog,
    record_log::{NewRecord, StoredRecord},
};
use telesift_schemas::{
    ChatId, DeadLetterCode, Message, Timestamp, Topic, TopicPartition, UnitEvent, UnitRecord,
};

use crate::{
    consumer::StageError,
    dead_letter::{Refusal, parse},
    identities,
    projection::{Applied, Due, LogChange, LogCheckpoint, Projection, Projector, Read},
    state::{self, json},
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
    output: TopicPartition,
    /// What each chat is in the middle of.
    chats: BTreeMap<ChatId, ChatUnits>,
}

impl Units {
    /// The units of `input`, a partition of `messages`; writes the partition of the same number of `units`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
        config: UnitsConfig,
    ) -> Projector<Self> {
        let units = Units {
            log: log.clone(),
            clock: clock.clone(),
            config,
            output: TopicPartition::new(Topic::UNITS, input.partition),
            chats: BTreeMap::new(),
        };
        Projector::in_log(units, STAGE, log, clock, input)
    }

    /// Where the log keeps what the chats of this partition are in the middle of.
    fn chats_prefix(&self) -> String {
        format!("units/{}/", self.output.partition)
    }

    /// Everything that is over by the clock.
    fn close_overdue(&mut self, plan: &mut Plan, now: Timestamp, is_caught_up: bool) {
        for (chat, units) in &mut self.chats {
            let events = units.close_overdue(now, is_caught_up, &self.config);
            if !events.is_empty() {
                plan.changed.insert(*chat);
                plan.events.extend(events.into_iter().map(|e| (*chat, e)));
            }
        }
    }

    /// The events, and what is open now.
    fn change(&self, plan: Plan, now: Timestamp) -> LogChange {
        let prefix = self.chats_prefix();
        let open = plan.changed.iter().filter_map(|chat| {
            let units = self.chats.get(chat)?;
            Some((format!("{prefix}{chat}"), Some(json(units))))
        });
        LogChange {
            writes: open.collect(),
            appends: plan
                .events
                .into_iter()
                .map(|(chat, event)| self.append(chat, event, now))
                .collect(),
        }
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
    /// The chats that are in the middle of something else now.
    changed: BTreeSet<ChatId>,
}

#[async_trait]
impl Projection for Units {
    type Said = Arrival;
    type Change = LogChange;
    type Kept = LogCheckpoint;

    fn read(&self, at: &TopicPartition, record: &StoredRecord) -> Result<Read<Arrival>, Refusal> {
        match Arrival::read(at, record) {
            Ok(arrival) => Ok(Read::Said(arrival)),
            Err(_) => Err(refusal(record)),
        }
    }

    async fn apply(&mut self, arrivals: Vec<Arrival>) -> Result<Applied<LogChange>, StageError> {
        let now = self.clock.now();
        let (mut plan, mut skipped) = (Plan::default(), Vec::new());
        for arrival in arrivals {
            let chat = arrival.chat.id;
            let units = self.chats.entry(chat).or_default();
            let (taken, events) = units.take(arrival, &self.config, now);
            plan.changed.insert(chat);
            plan.events.extend(events.into_iter().map(|e| (chat, e)));
            if let Taken::Skipped(reason) = taken {
                skipped.push(reason);
            }
        }
        self.close_overdue(&mut plan, now, false);
        let change = self.change(plan, now);
        Ok(Applied { change, skipped })
    }

    async fn load(&mut self) -> Result<(), StageError> {
        let prefix = self.chats_prefix();
        self.chats.clear();
        for (key, value) in self.log.state_with_prefix(&prefix).await? {
            let chat = key.strip_prefix(&prefix).and_then(|id| id.parse().ok());
            if let Some(chat) = chat {
                self.chats.insert(chat, state::read(key, &value)?);
            }
        }
        Ok(())
    }

    async fn due(&mut self) -> Result<Due<LogChange>, StageError> {
        let now = self.clock.now();
        let mut plan = Plan::default();
        self.close_overdue(&mut plan, now, true);
        let change = (!plan.events.is_empty()).then(|| self.change(plan, now));
        let open = self.chats.values();
        let next = open.filter_map(|c| c.next_close(&self.config)).min();
        let wait_ms = next.map(|next| next - now.as_millisecond());
        let again = wait_ms.map(|ms| Duration::from_millis(ms.max(1).unsigned_abs()));
        Ok(Due { change, again })
    }
}

/// Why a record is no message.
fn refusal(record: &StoredRecord) -> Refusal {
    match parse::<Message>("message record", record) {
        Err(refusal) => refusal,
        Ok(_) => Refusal::new(
            DeadLetterCode::Unreadable,
            "no message record: it was not screened",
        ),
    }
}
