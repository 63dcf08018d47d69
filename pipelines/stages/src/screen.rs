//! `telegram-raw` in, `messages` and `reactions` out: every raw record goes through the SmartModule chain and becomes one
//! screened message, one record of reactions, one counted skip or one dead letter, exactly once.

mod again;
mod chains;
pub(crate) mod output;
mod owner;
mod plan;
mod suspects;
mod taken;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog, SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    generations::{Stretch, messages_of},
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
    record_log::{self, Gap, GapReason, Outcome, StateWrite, StoredRecord, Transaction},
    rules::{RuleSet, RulesInfo},
};
use telesift_schemas::{Generation, Offset, Topic, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    decisions::rules::{RulesBook, gate},
    generations::stage_name,
    state,
};
use chains::Chains;
use plan::{Judged, Plan};
use suspects::Suspects;
use taken::Taken;

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "screen";

/// Makes a chain that screens by a rule set; called once per partition and set, and again should a chain be lost, on a
/// thread that may block.
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
///
/// On a log without transactions the output is read before anything is written to it, and again after a commit that may
/// or may not have happened: see `taken`. `log` must be the log itself there, not what readers see of it.
pub struct Screen {
    log: Arc<dyn RecordLog>,
    clock: Arc<dyn Clock>,
    chains: Chains,
    rules: Arc<RulesBook>,
    stage: &'static str,
    /// What was, or is to be, screened by other rules than the book says.
    stretches: Vec<Stretch>,
    input: TopicPartition,
    output: TopicPartition,
    watchdog: Duration,
    stored: Option<Bytes>,
    state: StageState,
    /// Whether the last commit may or may not have taken effect.
    is_stale: bool,
    suspects: Suspects,
    fence: Fence,
    /// What the output holds, where the log has no transactions.
    taken: Option<Taken>,
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
        let taken = (!log.is_transactional()).then(|| Taken::new(output.clone()));
        Screen {
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
            is_stale: true,
            suspects,
            fence: Fence::open(),
            taken,
        }
    }

    /// The same for the messages of `generation`, whose `stretches` go by rules of their own. Position, ledger and identities
    /// are that generation's.
    pub fn of(mut self, generation: Generation, stretches: Vec<Stretch>) -> Self {
        self.stage = stage_name(STAGE, generation);
        self.output = messages_of(generation, self.input.partition);
        self.suspects = Suspects::new(self.stage, &self.input);
        self.taken = self.taken.map(|_| Taken::new(self.output.clone()));
        self.stretches = stretches;
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    fn stage_key(&self) -> StageKey {
        StageKey {
            stage: self.stage.into(),
            input: self.input.clone(),
        }
    }

    fn state_key(&self) -> String {
        self.stage_key().state_key()
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
        let set = Arc::new(self.rules.rule_set(rules).await?);
        let building = self.chains.build(set.clone());
        match building.await {
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
    ) -> Result<Ran, StageError> {
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
                Ok(Ran::Through(outcome?))
            }
            // Not the panic's own words: they may quote the record.
            Ok(Err(_)) => Ok(Ran::Panicked),
            Err(_) => Ok(Ran::Hung),
        }
    }

    fn hung(&self, from: Offset) -> StageError {
        StageError::Hung {
            at: self.input.clone(),
            from,
            timeout_s: self.watchdog.as_secs(),
        }
    }

    /// Screens `records` by `rules` and commits them, with what is missing between them, up to `next`. Should they not go
    /// through together (the engine panics, the log finds them too large), each goes alone.
    async fn screen(
        &mut self,
        rules: &RulesInfo,
        records: &[StoredRecord],
        next: Offset,
        input: &Input,
    ) -> Result<(), StageError> {
        if self.screen_together(rules, records, next, input).await? {
            return Ok(());
        }
        for (i, record) in records.iter().enumerate() {
            let to = records.get(i + 1).map_or(next, |later| later.offset);
            let alone = std::slice::from_ref(record);
            if !self.screen_together(rules, alone, to, input).await? {
                return Err(
                    ChainError(format!("no end of the record at {}", record.offset)).into(),
                );
            }
        }
        Ok(())
    }

    /// `false` if the records must go alone: nothing was committed. A record that is alone always gets through.
    async fn screen_together(
        &mut self,
        rules: &RulesInfo,
        records: &[StoredRecord],
        next: Offset,
        input: &Input,
    ) -> Result<bool, StageError> {
        let alone = (records.len() == 1).then(|| &records[0]);
        let mut plan = Plan::new(gaps_between(input, self.state.next, next));
        match (self.run_chain(rules, records).await?, alone) {
            (Ran::Through(outcomes), _) => {
                for (record, outcome) in records.iter().zip(outcomes) {
                    self.plan(&mut plan, record, outcome);
                }
            }
            (Ran::Panicked, Some(record)) => self.refuse(&mut plan, record, plan::panicked()),
            (Ran::Panicked, None) => return Ok(false),
            (Ran::Hung, _) => {
                self.suspects.note(&*self.log, records).await?;
                return Err(self.hung(records.first().map_or(next, |r| r.offset)));
            }
        }
        match (self.commit(plan, next).await, alone) {
            (Ok(()), _) => Ok(true),
            (
                Err(StageError::Log(record_log::Error::TooLarge { n_bytes, limit })),
                Some(record),
            ) => {
                let mut plan = Plan::new(gaps_between(input, self.state.next, next));
                self.refuse(&mut plan, record, plan::too_large(n_bytes, limit));
                self.commit(plan, next).await.map(|()| true)
            }
            (Err(StageError::Log(record_log::Error::TooLarge { .. })), None) => Ok(false),
            (Err(e), _) => Err(e),
        }
    }

    /// Decides what becomes of one record.
    fn plan(&self, plan: &mut Plan, record: &StoredRecord, outcome: ChainOutcome) {
        match Judged::of(outcome, (&self.input, record), &self.output, None) {
            Judged::Skipped(reason) => plan.skip(&reason),
            Judged::Message(append) => self.plan_message(plan, record.offset, append),
            Judged::Reacted(append) => plan.reacted(append),
            Judged::Refused(refusal) => self.refuse(plan, record, refusal),
        }
    }

    fn refuse(&self, plan: &mut Plan, record: &StoredRecord, refusal: Refusal) {
        let now = self.clock.now();
        plan.refused(dead_letter::append(
            self.stage,
            &self.input,
            record,
            refusal,
            now,
        ));
    }

    /// Output, position, counters and keys, in one transaction where the log has them, else in this order.
    async fn commit(&mut self, mut plan: Plan, next: Offset) -> Result<(), StageError> {
        self.mark(&mut plan, next);
        let key = self.state_key();
        let mut state = self.state.clone();
        state.next = next;
        state.counters += &plan.counters;
        let output_kinds = plan.kinds.clone();
        let (kinds, done_suspects) = (plan.kinds, self.suspects.done_at(next));
        let write_key = key.clone();
        let transaction = Transaction {
            appends: plan.appends,
            guards: vec![(key, self.stored.clone())],
            fence: self.fence.clone(),
            finish: Box::new(move |outcomes| {
                plan::count(&mut state.counters, &kinds, outcomes);
                let mut writes = vec![written(write_key, &state)];
                writes.extend(done_suspects);
                writes
            }),
        };
        let outcomes = self.commit_and_load(transaction).await?;
        let offsets = plan::written_to_output(&output_kinds, &outcomes);
        self.wrote(plan.written, offsets, next).await
    }

    /// Whether it took effect is known only once the state is read back.
    async fn commit_and_load(
        &mut self,
        transaction: Transaction,
    ) -> Result<Vec<Outcome>, StageError> {
        self.is_stale = true;
        let outcomes = self.log.commit(transaction).await?;
        self.load().await?;
        Ok(outcomes)
    }

    async fn load(&mut self) -> Result<(), StageError> {
        let key = self.state_key();
        self.stored = self.log.state(&key).await?;
        self.state = match &self.stored {
            Some(bytes) => state::read(key, bytes)?,
            None => StageState::default(),
        };
        self.is_stale = false;
        Ok(())
    }
}

/// How a run of the chain ended.
enum Ran {
    Through(Vec<ChainOutcome>),
    Panicked,
    Hung,
}

fn written(key: String, state: &StageState) -> StateWrite {
    let value = serde_json::to_vec(state).expect("counters are numbers and strings");
    (key, Some(value.into()))
}

#[async_trait]
impl Process for Screen {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.take(true).await?;
        self.suspects.load(&*self.log).await?;
        Ok(vec![self.state.next])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        if self.is_stale {
            self.take(false).await?;
            self.suspects.load(&*self.log).await?;
        }
        if self.state.next >= input.batch.next {
            return Ok(()); // an ambiguous commit of the last try did take effect
        }
        if self.log.is_transactional() {
            return self.screen_batch(input).await;
        }
        // Appends come before guards there, so other processes must know before anything is screened.
        let (log, stage) = (self.log.clone(), self.stage_key());
        gate::claim(&*log, &stage, input.batch.next, &self.fence).await?;
        let done = self.screen_batch(input).await;
        if matches!(done, Err(StageError::Rules { .. })) {
            gate::withdraw(&*log, &stage, self.state.next, &self.fence).await?;
        }
        done
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        if self.is_stale {
            self.take(false).await?;
        }
        if retry.record.offset >= self.state.next {
            return Ok(Tried::Later);
        }
        self.screen_again(retry).await
    }
}

impl Screen {
    /// Screens what of a batch was not screened yet, each record by the rules that hold there.
    async fn screen_batch(&mut self, input: &Input) -> Result<(), StageError> {
        let records = &input.batch.records;
        let n_done = records.partition_point(|r| r.offset < self.state.next);
        // Held until the batch is committed: rules are activated between batches, never within one.
        let mut rules = self.rules.hold().await?;
        if let Some(first) = records.get(n_done) {
            let section = rules.section_in(&self.stretches, self.input.partition, first.offset);
            if !self.chains.has(&section.rules.version) {
                // Nobody who decides waits for a compiler.
                drop(rules);
                let chain = self.chain(&section.rules, first.offset).await?;
                self.chains.put(section.rules.version.clone(), chain);
                rules = self.rules.hold().await?;
            }
        }
        let mut rest = &records[n_done..];
        while let Some(first) = rest.first() {
            let section = rules.section_in(&self.stretches, self.input.partition, first.offset);
            let (now, later) = rest.split_at(self.n_together(rest, section.until));
            let next = later.first().map_or(input.batch.next, |r| r.offset);
            match now {
                [alone] if self.suspects.is_convicted(alone.offset) => {
                    self.condemn(alone, next, input).await?;
                }
                now => self.screen(&section.rules, now, next, input).await?,
            }
            rest = later;
        }
        if self.state.next < input.batch.next {
            let plan = Plan::new(gaps_between(input, self.state.next, input.batch.next));
            self.commit(plan, input.batch.next).await?;
        }
        Ok(())
    }

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
        input: &Input,
    ) -> Result<(), StageError> {
        let mut plan = Plan::new(gaps_between(input, self.state.next, next));
        let refusal = Refusal {
            attempts: suspects::MAX_ATTEMPTS,
            ..plan::timed_out(self.watchdog)
        };
        self.refuse(&mut plan, record, refusal);
        self.commit(plan, next).await
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
