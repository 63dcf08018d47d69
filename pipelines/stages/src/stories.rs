//! `messages` in, `stories` out: a message that tells again what an earlier one told joins its story, once and for good.

mod again;
mod arrival;
mod rebuild;
mod window;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog,
    leases::Fence,
    ledger::{Counters, StageState},
    record_log::{NewRecord, Outcome, StateWrite, Transaction},
};
use telesift_schemas::{Generation, Offset, PartitionId, StoryAssigned, Topic, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    generations::stage_name,
    identities, order,
    screen::gap_counters,
    state::{LogState, json},
};
use arrival::Arrival;
use window::{Verdict, Window};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "stories";

/// How far the stage looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoriesConfig {
    /// A message repeats only what was sent at most this long before or after it, in seconds. 72 h unless said
    /// otherwise.
    pub window_s: i64,
    /// In one chat, a text that comes again after more than this is told anew (an alert), in seconds. 1 h unless said
    /// otherwise.
    pub repeat_s: i64,
    /// Records of `messages`, in the order of arrival, that the stage remembers; what came before is forgotten whatever
    /// its time. Bounds its memory: about 0.2 KiB for chatter and 1 KiB for a long post. 200,000 unless said otherwise.
    pub max_records: usize,
}

impl Default for StoriesConfig {
    fn default() -> Self {
        StoriesConfig {
            window_s: 72 * 3_600,
            repeat_s: 3_600,
            max_records: 200_000,
        }
    }
}

/// Assigns messages to stories: the one owner of all partitions of `messages`.
///
/// Assignments, positions and counters commit in one transaction of the log. A message joins the story of the earlier
/// one it was forwarded from, or equals, or nearly equals, in this order; among several the nearest in time. Stories
/// never merge, and what is recorded is never changed: an edit stays in its message's story.
///
/// Records are taken in the order in which they were appended, over all partitions, so that the same log gives the same
/// stories however it is cut into batches. What the stage remembers is a function of the log; after a restart it is read
/// from there. (Two exceptions, both without harm to what is recorded: partitions that grow while they are read may be
/// seen in another order, and of a message edited after it was forgotten the log knows the story better than the stage.)
pub struct Stories {
    log: Arc<dyn RecordLog>,
    clock: Arc<dyn Clock>,
    config: StoriesConfig,
    generation: Generation,
    stage: &'static str,
    inputs: Vec<TopicPartition>,
    states: Vec<LogState>,
    /// Absent until it is read from the log, and again after a commit that may or may not have happened.
    window: Option<Window>,
    /// Where the last batch was left, per partition.
    taken: Vec<Offset>,
    fence: Fence,
}

impl Stories {
    /// The stories of `inputs`, all partitions of `messages`; writes partition 0 of `stories`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        clock: Arc<dyn Clock>,
        inputs: Vec<TopicPartition>,
        config: StoriesConfig,
    ) -> Self {
        Stories {
            log,
            clock,
            config,
            generation: Generation::FIRST,
            stage: STAGE,
            states: inputs
                .iter()
                .map(|input| LogState::new(STAGE, input.clone()))
                .collect(),
            taken: vec![Offset::ZERO; inputs.len()],
            window: None,
            inputs,
            fence: Fence::open(),
        }
    }

    /// The same for the stories of `generation`: topic, position, ledger and identities are that generation's.
    pub fn of(mut self, generation: Generation) -> Self {
        self.generation = generation;
        self.stage = stage_name(STAGE, generation);
        for state in &mut self.states {
            state.set_stage(self.stage);
        }
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    async fn load(&mut self) -> Result<(), StageError> {
        for state in &mut self.states {
            state.load(&*self.log).await?;
        }
        Ok(())
    }

    /// Where it stands on each input.
    fn nexts(&self) -> Vec<Offset> {
        self.states.iter().map(|s| s.current().next).collect()
    }

    /// What it remembers there, read from the log.
    async fn read_window(&self) -> Result<Window, StageError> {
        let (generation, nexts) = (self.generation, self.nexts());
        rebuild::window(&*self.log, generation, &self.inputs, &nexts, self.config).await
    }

    fn index_of(&self, at: &TopicPartition) -> Option<usize> {
        self.inputs.iter().position(|input| input == at)
    }

    /// Decides on every record that is ready, in order.
    fn plan<'a>(&self, window: &mut Window, ready: &order::Ready<'a>) -> Plan {
        let mut plan = Plan::new(self.inputs.len());
        for &(input, record) in &ready.records {
            let Some(i) = self.index_of(&input.at) else {
                continue;
            };
            if record.offset < self.states[i].current().next {
                continue; // committed by an earlier try of this batch
            }
            plan.counters[i].received += 1;
            match Arrival::read(&input.at, record) {
                Ok(arrival) => match window.take(arrival) {
                    Verdict::Alone(reason) => plan.counters[i].skip(reason),
                    Verdict::Joins { first, joined } => {
                        let first = first.map(|a| (a, Kind::First));
                        let joined = Some((joined, Kind::Joined(i)));
                        for (assigned, kind) in first.into_iter().chain(joined) {
                            plan.append(append(self.generation, &assigned), kind);
                        }
                    }
                },
                Err(error) => {
                    window.take_unreadable();
                    plan.counters[i].dead_lettered += 1;
                    let (refusal, now) = (unreadable(&error), self.clock.now());
                    let letter = dead_letter::append(self.stage, &input.at, record, refusal, now);
                    plan.append(letter, Kind::DeadLetter);
                }
            }
        }
        plan
    }

    /// Assignments, positions and counters, in one transaction.
    async fn commit(&mut self, plan: Plan, ready: &order::Ready<'_>) -> Result<(), StageError> {
        let mut states: Vec<Option<StageState>> = vec![None; self.inputs.len()];
        for (input, next) in &ready.positions {
            let Some(i) = self
                .index_of(&input.at)
                .filter(|i| self.states[*i].current().next < *next)
            else {
                continue;
            };
            let mut state = self.states[i].current().clone();
            state.counters += &gap_counters(&order::gaps_before(input, state.next, *next));
            state.counters += &plan.counters[i];
            state.next = *next;
            states[i] = Some(state);
        }
        let moved: Vec<usize> = (0..states.len()).filter(|i| states[*i].is_some()).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = self.states.iter().map(LogState::key).collect();
        let guards = moved.iter().map(|&i| self.states[i].guard()).collect();
        let kinds = plan.kinds;
        let transaction = Transaction {
            appends: plan.appends,
            guards,
            fence: self.fence.clone(),
            finish: Box::new(move |outcomes| write(states, &keys, &kinds, outcomes)),
        };
        self.log.commit(transaction).await?;
        self.load().await
    }
}

#[async_trait]
impl Process for Stories {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.load().await?;
        self.window = None;
        Ok(self.nexts())
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let mut window = match self.window.take() {
            Some(window) => window,
            None => {
                // The last commit may have happened although it failed: the log knows.
                self.load().await?;
                self.read_window().await?
            }
        };
        let ready = order::ready(inputs);
        let plan = self.plan(&mut window, &ready);
        self.commit(plan, &ready).await?;
        self.window = Some(window);
        for (input, next) in ready.positions {
            if let Some(i) = self.index_of(&input.at) {
                self.taken[i] = next;
            }
        }
        Ok(())
    }

    fn taken(&self, input: &Input) -> Offset {
        self.index_of(&input.at)
            .map_or(input.batch.next, |i| self.taken[i])
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.decide_again(retry).await
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::unreadable("message record", error)
}

/// What a batch comes to, before the log has said which appends are new.
struct Plan {
    appends: Vec<(TopicPartition, NewRecord)>,
    /// What each append is.
    kinds: Vec<Kind>,
    /// Per input partition.
    counters: Vec<Counters>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The first message of a story gets its record with the second.
    First,
    /// A message of the input of this index.
    Joined(usize),
    DeadLetter,
}

impl Plan {
    fn new(n_inputs: usize) -> Self {
        Plan {
            appends: Vec::new(),
            kinds: Vec::new(),
            counters: vec![Counters::default(); n_inputs],
        }
    }

    fn append(&mut self, append: (TopicPartition, NewRecord), kind: Kind) {
        self.appends.push(append);
        self.kinds.push(kind);
    }
}

/// The append that assigns a message, refused by the log if it has a story.
fn append(generation: Generation, assigned: &StoryAssigned) -> (TopicPartition, NewRecord) {
    let record = NewRecord {
        key: Bytes::from(assigned.message.chat.to_string()),
        value: json(assigned),
        unique: vec![identities::of_story(generation, &assigned.message)],
    };
    (topic_of(generation), record)
}

/// Where the stories of a generation are recorded.
pub fn topic_of(generation: Generation) -> TopicPartition {
    TopicPartition::new(Topic::STORIES.of(generation), PartitionId(0))
}

/// The states to write once it is known which assignments were new.
fn write(
    mut states: Vec<Option<StageState>>,
    keys: &[String],
    kinds: &[Kind],
    outcomes: &[Outcome],
) -> Vec<StateWrite> {
    for (kind, outcome) in kinds.iter().zip(outcomes) {
        let Kind::Joined(i) = kind else { continue };
        let Some(state) = &mut states[*i] else {
            continue;
        };
        match outcome {
            Outcome::Appended { .. } => state.counters.emitted += 1,
            Outcome::Duplicate => state.counters.skip("duplicate"),
        }
    }
    let written = states
        .iter()
        .zip(keys)
        .filter_map(|(state, key)| Some((key.clone(), Some(json(state.as_ref()?)))));
    written.collect()
}
