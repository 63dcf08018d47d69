//! The messages of the live generation in, `units` out: after a switch to what was screened by other rules, what these find
//! worth reading is read, and what they do not is left out.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use telesift_ports::{
    Catalog, Clock, Generations, MessageStore, RecordLog,
    catalog::{Label, in_force},
    generations::{first_at, messages_of},
    leases::Fence,
    record_log::{self, NewRecord, ReadLimits, Transaction},
};
use telesift_schemas::{
    Class, Generation, Message, MessageKey, MessageKind, Offset, PartitionId, Topic,
    TopicPartition, UnitEvent, UnitMember, UnitRecord, flags,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{StageError, delays, pause},
    generations::Pace,
    telemetry,
};

/// The stage's name in logs and metrics, and where the log keeps how far it is.
pub const STAGE: &str = "switched-units";

/// How often it is looked which generation is live.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Messages looked through at once.
const BATCH: usize = 500;
/// The share of the time it works: nobody waits for it.
const SHARE: f64 = 0.5;

/// Follows switches: what is read of conversations is what the live generation finds worth reading.
///
/// Units stay as they were grouped by the messages of the first generation; a message of them that the live one calls noise is
/// passed by when its unit is read, and one that only the live one keeps has a unit of its own. This goes through the live
/// messages once after each switch and says which units are to be looked at anew; nobody is asked for what stays the same.
/// Events and progress commit in one transaction of the log; an event said twice does no harm.
pub struct SwitchedUnits {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
    generations: Arc<Generations>,
    fence: Fence,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Walk {
    /// Whose messages were looked through last, or are.
    messages: Generation,
    /// What is left of each partition, `next..end`; none: all is looked through.
    left: BTreeMap<u32, (Offset, Offset)>,
}

impl SwitchedUnits {
    /// Over the messages of the live one of `generations`, which stand in `store`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        generations: Arc<Generations>,
    ) -> Self {
        SwitchedUnits {
            log,
            catalog,
            store,
            clock,
            generations,
            fence: Fence::open(),
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    /// Whether all that the live generation finds worth reading is said.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn is_through(log: &dyn RecordLog, live: Generation) -> Result<bool, StageError> {
        let walk = stored(log).await?.0;
        Ok(walk.messages == live && walk.left.is_empty())
    }

    /// Runs until `shutdown`; what may succeed later is tried again.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StageError> {
        let (mut delays, pace) = (delays(), Pace::new(SHARE));
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            match self.step().await {
                Ok(true) => {
                    delays = crate::consumer::delays();
                    pause(pace.rest(started.elapsed()), &shutdown).await;
                }
                Ok(false) => pause(LOOK_EVERY, &shutdown).await,
                Err(error) if error.is_retryable() => {
                    metrics::counter!(telemetry::RETRIES, "stage" => STAGE).increment(1);
                    tracing::warn!(stage = STAGE, %error, "will try again");
                    pause(delays.next().unwrap_or(LOOK_EVERY), &shutdown).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks through the next messages; `false` if there are none.
    async fn step(&self) -> Result<bool, StageError> {
        let (mut walk, stored) = stored(&*self.log).await?;
        let live = self.generations.live().messages;
        if walk.messages != live {
            walk = self.begin(live).await?;
        }
        let Some((&partition, &(next, end))) = walk.left.iter().next() else {
            return match stored {
                // Nothing stands there to be looked through.
                _ if walk.messages == live && self.is_stored(&walk, stored.as_ref()) => Ok(false),
                stored => {
                    self.commit(&walk, stored, Vec::new()).await?;
                    Ok(true)
                }
            };
        };
        let at = TopicPartition::new(Topic::MESSAGES.of(live), PartitionId(partition));
        let limits = ReadLimits {
            max_records: BATCH,
            ..ReadLimits::default()
        };
        let (records, read_to) = match self.log.read(&at, next, limits).await {
            Ok(batch) => (batch.records, batch.next),
            Err(record_log::Error::Evicted { first, .. }) => (Vec::new(), first),
            // It was retired while this looked: the next step sees another live one.
            Err(record_log::Error::TopicNotFound(_)) => (Vec::new(), end),
            Err(error) => return Err(error.into()),
        };
        let records = records.iter().filter(|record| record.offset < end);
        // What is no message is a dead letter of other stages.
        let messages = records.filter_map(|r| serde_json::from_slice::<Message>(&r.value).ok());
        let messages: HashMap<MessageKey, Message> = messages.map(|m| (m.id, m)).collect();
        let messages = messages.into_values().collect();
        let events = self.events(at.partition, messages).await?;
        match read_to >= end || read_to <= next {
            true => walk.left.remove(&partition),
            false => walk.left.insert(partition, (read_to, end)),
        };
        self.commit(&walk, stored, events).await?;
        Ok(true)
    }

    fn is_stored(&self, walk: &Walk, stored: Option<&Bytes>) -> bool {
        match stored {
            None => *walk == first(),
            Some(bytes) => serde_json::from_slice::<Walk>(bytes).is_ok_and(|read| read == *walk),
        }
    }

    /// All that stands there now: what comes is grouped as it comes, and is the same in every generation.
    async fn begin(&self, live: Generation) -> Result<Walk, StageError> {
        let partitions = self.log.partitions(&Topic::MESSAGES.of(live)).await?;
        let all = partitions.iter().filter(|p| p.bounds.start < p.bounds.end);
        Ok(Walk {
            messages: live,
            left: all
                .map(|p| (p.partition.0, (p.bounds.start, p.bounds.end)))
                .collect(),
        })
    }

    /// What is to be said of these messages.
    async fn events(
        &self,
        partition: PartitionId,
        messages: Vec<Message>,
    ) -> Result<Vec<UnitEvent>, StageError> {
        let here: HashSet<Offset> = messages.iter().filter_map(origin).collect();
        let differ = self.that_differ(messages, |_| true).await?;
        if differ.is_empty() {
            return Ok(Vec::new());
        }
        // Looked at closely in the version that counts, which may be another than that of the record. What the first generation
        // keeps is in a unit, or will be.
        let keys: Vec<MessageKey> = differ.iter().map(|m| m.id).collect();
        let current = self.store.get_many(&keys).await?;
        let grouped = self.grouped(partition, &current).await?;
        let is_new = |message: &Message| {
            origin(message).is_some_and(|o| here.contains(&o) && !grouped.contains(&o))
        };
        let differ = self.that_differ(current, is_new).await?;
        Ok(differ.iter().filter_map(event).collect())
    }

    /// Those of the origins of `messages` that the first generation keeps.
    async fn grouped(
        &self,
        partition: PartitionId,
        messages: &[Message],
    ) -> Result<HashSet<Offset>, StageError> {
        let origins = || messages.iter().filter_map(origin);
        let (Some(from), Some(to)) = (origins().min(), origins().max()) else {
            return Ok(HashSet::new());
        };
        let at = messages_of(Generation::FIRST, partition);
        let mut next = first_at(&*self.log, &at, from).await?;
        let mut grouped = HashSet::new();
        loop {
            let batch = match self.log.read(&at, next, ReadLimits::default()).await {
                Ok(batch) => batch,
                Err(record_log::Error::Evicted { first, .. }) => {
                    next = first;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut is_beyond = batch.next >= batch.end || batch.next <= next;
            for record in &batch.records {
                let Ok(message) = serde_json::from_slice::<Message>(&record.value) else {
                    continue;
                };
                let Some(origin) = origin(&message) else {
                    continue;
                };
                is_beyond |= origin > to;
                if is_worth_reading(&message, None) {
                    grouped.insert(origin);
                }
            }
            if is_beyond {
                return Ok(grouped);
            }
            next = batch.next;
        }
    }

    /// Those that are read and not worth it, or worth reading and not read; of those in no unit such as `is_new` says may have
    /// one. What is due is read as it should be anyway.
    async fn that_differ(
        &self,
        messages: Vec<Message>,
        is_new: impl Fn(&Message) -> bool,
    ) -> Result<Vec<Message>, StageError> {
        let keys: Vec<MessageKey> = messages.iter().map(|m| m.id).collect();
        let labels = in_force(self.catalog.labels_of(&keys).await?);
        let labels: HashMap<(MessageKey, i64), Option<Label>> = labels
            .into_iter()
            .map(|l| ((l.message, l.edit), l.label))
            .collect();
        let in_units: HashMap<MessageKey, String> =
            self.catalog.units_of(&keys).await?.into_iter().collect();
        let units: HashSet<&String> = in_units.values().collect();
        let units: Vec<String> = units.into_iter().cloned().collect();
        let extractions = self.catalog.extractions_of(&units).await?;
        let read: HashMap<&str, HashSet<MessageKey>> = extractions
            .iter()
            .map(|e| {
                let members = e.members.iter().map(|m| m.message);
                (e.unit.as_str(), members.collect())
            })
            .collect();
        let differs = |message: &Message| {
            let label = labels.get(&(message.id, message.edit));
            let is_worth = is_worth_reading(message, label.and_then(Option::as_ref));
            match in_units.get(&message.id) {
                // One that was never read has nothing to be read for.
                Some(unit) => read
                    .get(unit.as_str())
                    .is_some_and(|members| members.contains(&message.id) != is_worth),
                None => is_worth && is_new(message),
            }
        };
        Ok(messages.into_iter().filter(differs).collect())
    }

    async fn commit(
        &self,
        walk: &Walk,
        stored: Option<Bytes>,
        events: Vec<UnitEvent>,
    ) -> Result<(), StageError> {
        let at = self.clock.now();
        let append = |event: UnitEvent| {
            let (chat, partition) = match &event {
                UnitEvent::Touched { chat, member, .. } => (chat.id, member.origin.partition),
                UnitEvent::Closed { chat, .. } => (chat.id, PartitionId(0)),
            };
            let record = UnitRecord {
                v: UnitRecord::VERSION,
                at,
                event,
            };
            let record = NewRecord {
                key: Bytes::from(chat.to_string()),
                value: json(&record),
                unique: Vec::new(),
            };
            (TopicPartition::new(Topic::UNITS, partition), record)
        };
        let written = vec![(STAGE.to_owned(), Some(json(walk)))];
        let transaction = Transaction {
            appends: events.into_iter().map(append).collect(),
            guards: vec![(STAGE.to_owned(), stored)],
            fence: self.fence.clone(),
            finish: Box::new(move |_| written),
        };
        match self.log.commit(transaction).await {
            // The last commit happened although its answer was lost: the next step goes on from there.
            Err(record_log::Error::GuardFailed { .. }) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }
}

/// How far it is, and the same as the log keeps it.
async fn stored(log: &dyn RecordLog) -> Result<(Walk, Option<Bytes>), StageError> {
    let Some(bytes) = log.state(STAGE).await? else {
        return Ok((first(), None));
    };
    let walk = serde_json::from_slice(&bytes).map_err(|e| StageError::State {
        key: STAGE.to_owned(),
        reason: e.to_string(),
    })?;
    Ok((walk, Some(bytes)))
}

/// Where nobody ever switched: units are made of the messages of the first one.
fn first() -> Walk {
    Walk {
        messages: Generation::FIRST,
        left: BTreeMap::new(),
    }
}

/// Whether a message is read for what it claims: where an analyst labelled it, as he says; else as the screen found.
pub(crate) fn is_worth_reading(message: &Message, label: Option<&Label>) -> bool {
    let has = |flag: &str| {
        let screen = message.screen.as_ref();
        screen.is_some_and(|screen| screen.flags.iter().any(|f| f == flag))
    };
    let is_text = !matches!(message.kind, MessageKind::Deleted | MessageKind::Service)
        && !has(flags::SERVICE)
        && !message.text.trim().is_empty();
    let class = message.screen.as_ref().map(|screen| screen.class);
    let is_kept = !has(flags::SPAM) && !has(flags::AUTO_FORWARD) && class != Some(Class::Noise);
    let said = label.and_then(|label| label.class);
    let is_wanted = match label {
        Some(label) if label.spam == Some(true) => false,
        _ => said.map_or(is_kept, |class| class != Class::Noise),
    };
    is_text && is_wanted
}

/// Its raw offset.
fn origin(message: &Message) -> Option<Offset> {
    message.origin.as_ref().map(|origin| origin.offset)
}

/// The unit of a message is to be looked at anew; one that is in none gets its own.
fn event(message: &Message) -> Option<UnitEvent> {
    let class = message.screen.as_ref().map(|screen| screen.class);
    Some(UnitEvent::Touched {
        chat: message.chat.clone(),
        member: UnitMember {
            message: message.id,
            edit: message.edit,
            event_time: message.event_time,
            origin: message.origin.clone()?,
        },
        class: Some(
            class
                .filter(|c| *c != Class::Noise)
                .unwrap_or(Class::WeakSignal),
        ),
        deleted: false,
        labelled: true,
    })
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("strings and numbers")
        .into()
}
