//! A stage whose records are words, its effects in a store or on the log, and what breaks at each of its steps.

mod stages;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use telesift_ports::{
    Catalog as _, RecordLog as _, catalog,
    leases::Fence,
    ledger::{StageKey, StageState},
    memory::Fault,
    record_log::{self, ReadLimits},
};
use telesift_schemas::{Offset, Topic, TopicPartition};
use telesift_stages::{
    Consumer, StageError,
    consumer::{Input, Process},
    projection::Projector,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at};
use stages::{Shelf, Shelved, Told};

pub(super) const STAGE: &str = "words";
/// Where the stage reads.
pub(super) const INPUT: Topic = Topic::UNITS;
/// Where the one in the log writes.
const OUTPUT: Topic = Topic::ATOMS;

/// Where position and counters are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Home {
    Catalog,
    Log,
}

/// What a batch, or a retry, goes through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// The effect.
    Apply,
    /// The first transaction of the log.
    Log,
    /// The first one of the catalog.
    Catalog,
}

impl Home {
    pub(super) const ALL: [Home; 2] = [Home::Catalog, Home::Log];

    pub(super) fn steps(self) -> Vec<Step> {
        match self {
            Home::Catalog => vec![Step::Apply, Step::Log, Step::Catalog],
            Home::Log => vec![Step::Apply, Step::Log],
        }
    }
}

/// What outlives a process.
pub(super) struct Words {
    pub(super) flow: Flow,
    home: Home,
    /// Whether this build can read what another makes a letter of.
    pub(super) reads_poison: bool,
    shelf: Arc<Shelf>,
}

impl Words {
    pub(super) async fn new(home: Home) -> Self {
        Words {
            flow: Flow::new().await,
            home,
            reads_poison: false,
            shelf: Arc::default(),
        }
    }

    pub(super) async fn say(&self, words: &[&str]) {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        self.flow.append(INPUT, &words).await;
    }

    /// The next time it comes to `step`, that fails: before its effect, or after it.
    pub(super) fn break_at(&self, step: Step, is_done: bool, is_retryable: bool) {
        fn fault<E>(is_done: bool, error: E) -> Fault<E> {
            match is_done {
                true => Fault::Lose(error),
                false => Fault::Refuse(error),
            }
        }
        let reason = || "on purpose".to_owned();
        match step {
            Step::Apply => {
                let error = apply_error(is_retryable);
                self.shelf
                    .faults
                    .lock()
                    .unwrap()
                    .push_back((is_done, error));
            }
            Step::Log => {
                let error = match is_retryable {
                    true => record_log::Error::Unavailable {
                        reason: reason(),
                        ambiguous: is_done,
                    },
                    false => record_log::Error::Closed,
                };
                self.flow.log.commits.extend([fault(is_done, error)]);
            }
            Step::Catalog => {
                let error = match is_retryable {
                    true => catalog::Error::Unavailable(reason()),
                    false => catalog::Error::Damaged(reason()),
                };
                self.flow.catalog.commits.extend([fault(is_done, error)]);
            }
        }
    }

    /// The effect fails as often as it is tried.
    pub(super) fn break_for_long(&self, step: Step) {
        assert_eq!(step, Step::Apply);
        let many = (0..1_000).map(|_| (false, apply_error(true)));
        self.shelf.faults.lock().unwrap().extend(many);
    }

    pub(super) async fn until_broken(&self) {
        self.until(|| self.shelf.n_broken.load(Ordering::SeqCst) > 0)
            .await;
    }

    /// Whether all that was to fail has failed.
    pub(super) fn is_mended(&self) -> bool {
        let is_over = self.shelf.faults.lock().unwrap().is_empty();
        is_over && self.flow.log.commits.is_over() && self.flow.catalog.commits.is_over()
    }

    /// The next commit of the position waits until somebody notifies.
    pub(super) fn hold_commit(&self) -> Arc<Notify> {
        let until = Arc::new(Notify::new());
        let hold = until.clone();
        match self.home {
            Home::Catalog => self.flow.catalog.commits.extend([Fault::Hold(hold)]),
            Home::Log => self.flow.log.commits.extend([Fault::Hold(hold)]),
        }
        until
    }

    /// Until a commit was told to wait.
    pub(super) async fn until_held(&self) {
        self.until(|| self.is_mended()).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        waited.expect("it comes to that");
    }

    /// The stage as a process that starts now has it.
    pub(super) fn stage(&self) -> Box<dyn Process> {
        self.stage_under(Fence::open())
    }

    pub(super) fn stage_under(&self, fence: Fence) -> Box<dyn Process> {
        match self.home {
            Home::Catalog => Box::new(self.shelved(vec![at(INPUT)]).under(fence)),
            Home::Log => Box::new(self.told_by().under(fence)),
        }
    }

    /// The one in the catalog, of several inputs.
    pub(super) fn stage_over(&self, inputs: &[TopicPartition]) -> Box<dyn Process> {
        Box::new(self.shelved(inputs.to_vec()))
    }

    fn shelved(&self, inputs: Vec<TopicPartition>) -> Projector<Shelved> {
        let words = Shelved {
            reads_poison: self.reads_poison,
            shelf: self.shelf.clone(),
        };
        let flow = &self.flow;
        let (log, catalog, clock) = (flow.log.clone(), flow.catalog.clone(), flow.clock.clone());
        Projector::in_catalog(words, STAGE, log, catalog, clock, inputs)
    }

    fn told_by(&self) -> Projector<Told> {
        let (log, clock) = (self.flow.log.clone(), self.flow.clock.clone());
        let words = Told {
            reads_poison: self.reads_poison,
            shelf: self.shelf.clone(),
            log: log.clone(),
            n_told: 0,
            n_summed: 0,
        };
        Projector::in_log(words, STAGE, log, clock, at(INPUT))
    }

    /// Starts a process that takes so many records at once.
    pub(super) fn start(
        &self,
        n_at_once: usize,
        stop: CancellationToken,
    ) -> JoinHandle<Result<(), StageError>> {
        let consumer = Consumer {
            log: self.flow.log.clone(),
            stage: STAGE,
            inputs: vec![at(INPUT)],
            limits: ReadLimits {
                max_records: n_at_once,
                ..ReadLimits::default()
            },
            min_interval: Duration::ZERO,
        };
        match self.home {
            Home::Catalog => tokio::spawn(consumer.run(self.shelved(vec![at(INPUT)]), stop)),
            Home::Log => tokio::spawn(consumer.run(self.told_by(), stop)),
        }
    }

    /// Runs a process until everything is taken, every retry has ended and nothing is due, or until it dies.
    pub(super) async fn run(&self, n_at_once: usize) -> Result<(), StageError> {
        let end = self.flow.log.bounds(&at(INPUT)).await.unwrap().end;
        let stop = CancellationToken::new();
        let run = self.start(n_at_once, stop.clone());
        let is_done = async || {
            self.state().await.next == end
                && !self.flow.has_requests().await
                && self.is_told().await
        };
        self.flow.wait_for(&run, is_done).await;
        stop.cancel();
        run.await.unwrap()
    }

    pub(super) async fn state(&self) -> StageState {
        let key = key();
        let stored = match self.home {
            Home::Catalog => self.flow.catalog.stage_state(&key).await.unwrap(),
            Home::Log => {
                let stored = self.flow.log.state(&key.state_key()).await.unwrap();
                stored.map(|bytes| serde_json::from_slice(&bytes).unwrap())
            }
        };
        stored.unwrap_or_default()
    }

    /// The position is lost.
    pub(super) async fn forget_state(&self) {
        let forgotten = self.flow.catalog.remove_stage_states(STAGE).await;
        forgotten.unwrap();
    }

    pub(super) fn lose_effects(&self) {
        self.shelf.effects.lock().unwrap().clear();
    }

    /// The words that have had their effect, in the order of their records; what was poison once comes last.
    pub(super) async fn effects(&self) -> Vec<String> {
        match self.home {
            Home::Catalog => self
                .shelf
                .effects
                .lock()
                .unwrap()
                .values()
                .cloned()
                .collect(),
            Home::Log => {
                let (_, told) = self.told().await;
                let word = |told: String| told.split_once(' ').unwrap().1.to_owned();
                told.into_iter().map(word).collect()
            }
        }
    }

    /// The sums and the numbered words on the log.
    pub(super) async fn told(&self) -> (Vec<String>, Vec<String>) {
        let records = self.flow.records(OUTPUT).await.into_iter();
        let told = records.map(|r| String::from_utf8(r.value.to_vec()).unwrap());
        told.partition(|line| line.starts_with("sum"))
    }

    /// Whether nothing is due by the clock.
    async fn is_told(&self) -> bool {
        let (sums, words) = self.told().await;
        words.is_empty() || sums.last() == Some(&format!("sum {}", words.len()))
    }

    /// The first records of `at`, so many at most.
    pub(super) async fn input(&self, at: &TopicPartition, n: usize) -> Input {
        let limits = ReadLimits {
            max_records: n,
            ..ReadLimits::default()
        };
        let from = Offset::ZERO;
        let batch = self.flow.log.read(at, from, limits).await.unwrap();
        Input {
            at: at.clone(),
            from,
            batch,
        }
    }
}

fn key() -> StageKey {
    StageKey {
        stage: STAGE.to_owned(),
        input: at(INPUT),
    }
}

fn apply_error(is_retryable: bool) -> StageError {
    let reason = "on purpose".to_owned();
    match is_retryable {
        true => telesift_ports::message_store::Error::Unavailable(reason).into(),
        false => StageError::State {
            key: STAGE.to_owned(),
            reason,
        },
    }
}
