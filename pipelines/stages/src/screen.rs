//! `telegram-raw` in, `messages` out: every raw record goes through the SmartModule chain and becomes one screened
//! message, one counted skip or one dead letter, exactly once.

mod chains;
pub(crate) mod output;
mod suspects;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog, SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    generations::{Stretch, messages_of},
    ledger::{Counters, StageKey, StageState},
    record_log::{Gap, GapReason, NewRecord, Outcome, StateWrite, StoredRecord, Transaction},
    rules::{RuleSet, RulesInfo},
};
use telesift_schemas::{DeadLetterCode, Generation, Offset, Topic, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal},
    decisions::rules::RulesBook,
    generations::stage_name,
};
use chains::Chains;
use output::Screened;
use suspects::Suspects;

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "screen";

/// Makes a chain that screens by a rule set; called once per partition and set, and again should a chain be lost.
pub type ChainFactory =
    Arc<dyn Fn(&RuleSet) -> Result<Box<dyn SmartModuleChain>, ChainError> + Send + Sync>;

/// Screens one partition.
///
/// Output, position, counters and the keys that refuse duplicates commit in one transaction of the log. A module that
/// never returns cannot be interrupted: after `watchdog` the range in flight is noted with the log and
/// [`StageError::Hung`] ends the stage; after the restart of the process that range runs one record at a time, and a
/// record that hangs twice alone becomes a dead letter.
///
/// Each record is screened by the rules that hold at its offset; a batch is cut, and committed in parts, where they change.
pub struct Screen {
    log: Arc<dyn RecordLog>,
    clock: Arc<dyn Clock>,
    chains: Chains,
    rules: Arc<RulesBook>,
    generation: Generation,
    stage: &'static str,
    /// What was, or is to be, screened by other rules than the book says.
    stretches: Vec<Stretch>,
    input: TopicPartition,
    output: TopicPartition,
    watchdog: Duration,
    stored: Option<Bytes>,
    state: StageState,
    suspects: Suspects,
}

impl Screen {
    /// The screen of `input`, a partition of `telegram-raw`; writes the partition of the same number of `messages`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        clock: Arc<dyn Clock>,
        chains: ChainFactory,
        rules: Arc<RulesBook>,
        input: TopicPartition,
        watchdog: Duration,
    ) -> Self {
        let output = TopicPartition::new(Topic::MESSAGES, input.partition);
        let suspects = Suspects::new(STAGE, &input);
        Screen {
            generation: Generation::FIRST,
            stage: STAGE,
            stretches: Vec::new(),
            log,
            clock,
            chains: Chains::new(chains),
            rules,
            input,
            output,
            watchdog,
            stored: None,
            state: StageState::default(),
            suspects,
        }
    }

    /// The same for the messages of `generation`, whose `stretches` go by rules of their own. Position, ledger and identities
    /// are that generation's.
    pub fn of(mut self, generation: Generation, stretches: Vec<Stretch>) -> Self {
        self.generation = generation;
        self.stage = stage_name(STAGE, generation);
        self.output = messages_of(generation, self.input.partition);
        self.suspects = Suspects::new(self.stage, &self.input);
        self.stretches = stretches;
        self
    }

    fn state_key(&self) -> String {
        StageKey {
            stage: self.stage.into(),
            input: self.input.clone(),
        }
        .state_key()
    }

    /// A chain that screens by `rules`.
    async fn chain(
        &mut self,
        rules: &RulesInfo,
        from: Offset,
    ) -> Result<Box<dyn SmartModuleChain>, StageError> {
        if let Some(chain) = self.chains.take(&rules.version) {
            return Ok(chain);
        }
        let unusable = |reason: String| StageError::Rules {
            at: self.input.clone(),
            from,
            rules: rules.version.clone(),
            reason,
        };
        if let Err(invalid) = &rules.now {
            return Err(unusable(invalid.to_string()));
        }
        let set = self.rules.rule_set(rules).await?;
        match self.chains.build(&set) {
            // It was tried before it was activated, so another build of telesift is at work: somebody must decide.
            Err(error) if !set.shipped => Err(unusable(error.to_string())),
            built => Ok(built?),
        }
    }

    /// Runs the chain of `rules` on a blocking thread, under the watchdog.
    async fn run_chain(
        &mut self,
        rules: &RulesInfo,
        records: &[StoredRecord],
    ) -> Result<Vec<ChainOutcome>, StageError> {
        let from = records.first().map_or(Offset::ZERO, |r| r.offset);
        let mut chain = self.chain(rules, from).await?;
        let inputs: Vec<ChainInput> = records
            .iter()
            .map(|r| ChainInput {
                offset: r.offset,
                key: r.key.clone(),
                value: r.value.clone(),
            })
            .collect();
        let work = tokio::task::spawn_blocking(move || {
            let outcome = chain.process(&inputs);
            (chain, outcome)
        });
        match tokio::time::timeout(self.watchdog, work).await {
            Ok(Ok((chain, outcome))) => {
                self.chains.put(rules.version.clone(), chain);
                Ok(outcome?)
            }
            Ok(Err(panic)) => Err(ChainError(format!("the engine panicked: {panic}")).into()),
            Err(_) => {
                self.suspects.note(&*self.log, records).await?;
                Err(StageError::Hung {
                    at: self.input.clone(),
                    from,
                    timeout_s: self.watchdog.as_secs(),
                })
            }
        }
    }

    /// Screens `records` by `rules` and commits them, with what is `missing` between them, up to `next`.
    async fn screen(
        &mut self,
        rules: &RulesInfo,
        records: &[StoredRecord],
        next: Offset,
        missing: Counters,
    ) -> Result<(), StageError> {
        let outcomes = self.run_chain(rules, records).await?;
        let mut plan = Plan {
            counters: missing,
            ..Plan::default()
        };
        for (record, outcome) in records.iter().zip(outcomes) {
            self.plan(&mut plan, record, outcome);
        }
        self.commit(plan, next).await
    }

    /// Decides what becomes of one record.
    fn plan(&self, plan: &mut Plan, record: &StoredRecord, outcome: ChainOutcome) {
        plan.counters.received += 1;
        let refusal = match outcome {
            ChainOutcome::Filtered => return plan.counters.skip("filtered"),
            ChainOutcome::Failed {
                module,
                code,
                message,
            } => Refusal {
                code,
                message: format!("{module}: {message}"),
                attempts: 1,
            },
            ChainOutcome::Value(value) => match output::read(self.generation, &value) {
                Screened::Skip(reason) => return plan.counters.skip(&reason),
                Screened::Fail { code, message } => Refusal {
                    code,
                    message,
                    attempts: 1,
                },
                Screened::Message { identity } => {
                    let origin = (&self.input, record.offset);
                    plan.appends.push((
                        self.output.clone(),
                        NewRecord {
                            key: record.key.clone(),
                            value: output::with_origin(&value, origin),
                            unique: vec![identity],
                        },
                    ));
                    return plan.kinds.push(Kind::Message);
                }
            },
        };
        self.refuse(plan, record, refusal);
    }

    fn refuse(&self, plan: &mut Plan, record: &StoredRecord, refusal: Refusal) {
        plan.counters.dead_lettered += 1;
        plan.appends.push(dead_letter::append(
            self.stage,
            &self.input,
            record,
            refusal,
            self.clock.now(),
        ));
        plan.kinds.push(Kind::DeadLetter);
    }

    /// Output, position, counters and keys, in one transaction.
    async fn commit(&mut self, plan: Plan, next: Offset) -> Result<(), StageError> {
        let key = self.state_key();
        let mut state = self.state.clone();
        state.next = next;
        state.counters += &plan.counters;
        let (kinds, done_suspects) = (plan.kinds, self.suspects.done_at(next));
        let write_key = key.clone();
        let transaction = Transaction {
            appends: plan.appends,
            guards: vec![(key.clone(), self.stored.clone())],
            finish: Box::new(move |outcomes| {
                count(&mut state.counters, &kinds, outcomes);
                let value = serde_json::to_vec(&state).expect("counters are numbers and strings");
                let mut writes: Vec<StateWrite> = vec![(write_key, Some(value.into()))];
                writes.extend(done_suspects);
                writes
            }),
        };
        self.log.commit(transaction).await?;
        self.load().await
    }

    async fn load(&mut self) -> Result<(), StageError> {
        let key = self.state_key();
        self.stored = self.log.state(&key).await?;
        self.state = match &self.stored {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|e| StageError::State {
                key,
                reason: e.to_string(),
            })?,
            None => StageState::default(),
        };
        Ok(())
    }
}

#[async_trait]
impl Process for Screen {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.load().await?;
        self.suspects.load(&*self.log).await?;
        Ok(vec![self.state.next])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        if self.state.next >= input.batch.next {
            return Ok(()); // an ambiguous commit of the last try did take effect
        }
        // Held until the batch is committed: rules are activated between batches, never within one.
        let rules = self.rules.hold().await?;
        let records = &input.batch.records;
        let n_done = records.partition_point(|r| r.offset < self.state.next);
        let mut rest = &records[n_done..];
        while let Some(first) = rest.first() {
            let section = rules.section_in(&self.stretches, self.input.partition, first.offset);
            let (now, later) = rest.split_at(self.n_together(rest, section.until));
            let next = later.first().map_or(input.batch.next, |r| r.offset);
            let missing = gaps_between(input, self.state.next, next);
            match now {
                [alone] if self.suspects.is_convicted(alone.offset) => {
                    self.condemn(alone, next, missing).await?;
                }
                now => self.screen(&section.rules, now, next, missing).await?,
            }
            rest = later;
        }
        if self.state.next < input.batch.next {
            let plan = Plan {
                counters: gaps_between(input, self.state.next, input.batch.next),
                ..Plan::default()
            };
            self.commit(plan, input.batch.next).await?;
        }
        Ok(())
    }
}

impl Screen {
    /// How many of `records` run and commit together: those under the same rules, and a suspect alone. At least one.
    fn n_together(&self, records: &[StoredRecord], until: Option<Offset>) -> usize {
        let is_together = |r: &&StoredRecord| {
            until.is_none_or(|until| r.offset < until) && !self.suspects.contains(r.offset)
        };
        records.iter().take_while(is_together).count().max(1)
    }

    /// Gives up on a record that hung twice alone.
    async fn condemn(
        &mut self,
        record: &StoredRecord,
        next: Offset,
        missing: Counters,
    ) -> Result<(), StageError> {
        let mut plan = Plan {
            counters: missing,
            ..Plan::default()
        };
        plan.counters.received += 1;
        let refusal = Refusal {
            code: DeadLetterCode::GuestTimeout,
            message: format!(
                "no module of the chain returned within {} s",
                self.watchdog.as_secs()
            ),
            attempts: suspects::MAX_ATTEMPTS,
        };
        self.refuse(&mut plan, record, refusal);
        self.commit(plan, next).await
    }
}

/// What a batch comes to, before the log has said which appends are new.
#[derive(Default)]
struct Plan {
    appends: Vec<(TopicPartition, NewRecord)>,
    kinds: Vec<Kind>,
    counters: Counters,
}

/// What an append is, in the order of [`Plan::appends`].
#[derive(Clone, Copy)]
enum Kind {
    Message,
    DeadLetter,
}

/// Adds what only the log knows: which messages were seen before. A dead letter counts as one either way.
fn count(counters: &mut Counters, kinds: &[Kind], outcomes: &[Outcome]) {
    for (kind, outcome) in kinds.iter().zip(outcomes) {
        match (kind, outcome) {
            (Kind::Message, Outcome::Appended { .. }) => counters.emitted += 1,
            (Kind::Message, Outcome::Duplicate) => counters.skip("duplicate"),
            (Kind::DeadLetter, _) => {}
        }
    }
}

/// Offsets the log could not give, as skipped inputs.
pub(crate) fn gap_counters(input: &Input) -> Counters {
    count_gaps(&input.batch.gaps)
}

/// Those of them from `from` on and before `to`.
fn gaps_between(input: &Input, from: Offset, to: Offset) -> Counters {
    let gaps = input.batch.gaps.iter();
    count_gaps(gaps.filter(|gap| gap.from >= from && gap.to <= to))
}

fn count_gaps<'a>(gaps: impl IntoIterator<Item = &'a Gap>) -> Counters {
    let mut counters = Counters::default();
    for gap in gaps {
        let n = gap.to.0 - gap.from.0;
        counters.received += n;
        let reason = match gap.reason {
            GapReason::Evicted => "evicted",
            GapReason::Erased => "erased",
            GapReason::Corrupt => "corrupt",
            GapReason::Switched => "switched",
        };
        *counters.skipped.entry(reason.to_owned()).or_default() += n;
    }
    counters
}
