//! Dead letters and their retries: poison blocks nobody, and what is solved is as if it had never failed, exactly once.

mod stages;

use std::{sync::Arc, time::Duration};

use telesift_ports::{
    Catalog, LetterCatalog, RecordLog, SmartModuleChain, catalog,
    chain::{ChainError, ChainInput, ChainOutcome},
    dead_letters::{LetterFilter, LetterRow, request_retries},
    memory::Fault,
    record_log::{self, ReadLimits, Retention, TopicConfig},
};
use telesift_schemas::{DeadLetterCode, LetterState, Topic};
use telesift_stages::{
    Consumer, StageError,
    consumer::Process,
    dead_letter::{self, LetterProjection},
    screen::{self, ChainFactory, Screen},
};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at, conserved, message, scripted, with_hanging_threads};

const NEVER: Duration = Duration::from_secs(600);

impl Flow {
    /// Runs a stage on one topic, as a process that starts now, until `is_done` or an end of its own.
    pub(crate) async fn run(
        &self,
        stage: impl Process + 'static,
        name: &'static str,
        topic: Topic,
        is_done: impl AsyncFn() -> bool,
    ) -> Result<(), StageError> {
        let consumer = Consumer {
            log: self.log.clone(),
            stage: name,
            inputs: vec![at(topic)],
            limits: ReadLimits::default(),
            min_interval: Duration::ZERO,
        };
        let stop = CancellationToken::new();
        let run = tokio::spawn(consumer.run(stage, stop.clone()));
        self.wait_for(&run, is_done).await;
        stop.cancel();
        run.await.unwrap()
    }

    /// The letters as the catalog lists them once everything on the topic is projected.
    pub(crate) async fn letters(&self) -> Vec<LetterRow> {
        let input = at(Topic::DEAD_LETTERS);
        let end = self.log.bounds(&input).await.unwrap().end;
        let (log, catalog) = (self.log.clone(), self.catalog.clone());
        let projection = LetterProjection::new(log, catalog, self.clock.clone(), input.clone());
        let key = telesift_ports::ledger::StageKey {
            stage: dead_letter::STAGE.into(),
            input,
        };
        let is_done = async || {
            let state = self.catalog.stage_state(&key).await.unwrap();
            state.is_some_and(|s| s.next == end) || end.0 == 0
        };
        self.run(projection, dead_letter::STAGE, Topic::DEAD_LETTERS, is_done)
            .await
            .unwrap();
        let all = LetterFilter::default();
        self.catalog.letters(&all, None, 1_000).await.unwrap()
    }

    /// Asks for another try of every letter; how many were not asked for already.
    pub(crate) async fn ask_again(&self) -> usize {
        let letters = self.letters().await;
        request_retries(&*self.log, &letters).await.unwrap()
    }

    pub(crate) async fn has_requests(&self) -> bool {
        !self
            .log
            .state_with_prefix("retry/")
            .await
            .unwrap()
            .is_empty()
    }

    /// Runs the screen until it has read everything and ended every retry.
    async fn screen_and_retry(
        &self,
        chains: ChainFactory,
        watchdog: Duration,
    ) -> Result<(), StageError> {
        let screen = Screen::new(
            self.log.clone(),
            self.clock.clone(),
            chains,
            self.book().await,
            at(Topic::TELEGRAM_RAW),
            watchdog,
        );
        let end = self.log.bounds(&at(Topic::TELEGRAM_RAW)).await.unwrap().end;
        let is_done = async || self.screen_state().await.next == end && !self.has_requests().await;
        self.run(screen, screen::STAGE, Topic::TELEGRAM_RAW, is_done)
            .await
    }
}

/// One letter in short.
fn stands(letter: &LetterRow) -> (u64, DeadLetterCode, u32, LetterState) {
    (
        letter.origin.offset.0,
        letter.code,
        letter.attempts,
        letter.state,
    )
}

/// A chain of a build that can read what the scripted one fails on: `later:` and a message.
fn mended() -> ChainFactory {
    by_value(|value| match value.strip_prefix(b"later:") {
        Some(message) => ChainOutcome::Value(message.to_vec().into()),
        None => ChainOutcome::Value(value.to_vec().into()),
    })
}

fn by_value(
    outcome: impl Fn(&[u8]) -> ChainOutcome + Send + Sync + Clone + 'static,
) -> ChainFactory {
    struct ByValue<F>(F);
    impl<F: Fn(&[u8]) -> ChainOutcome + Send> SmartModuleChain for ByValue<F> {
        fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
            Ok(inputs.iter().map(|i| (self.0)(&i.value)).collect())
        }
    }
    Arc::new(move |_| Ok(Box::new(ByValue(outcome.clone())) as Box<dyn SmartModuleChain>))
}

/// Three records, the middle one readable for later builds only, screened by one that is not.
async fn with_a_letter() -> Flow {
    let flow = Flow::new().await;
    let values = [
        message(1, 0, "a"),
        format!("later:{}", message(2, 0, "b")),
        message(3, 0, "c"),
    ];
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    flow.screen(100, NEVER).await.unwrap();
    flow
}

#[tokio::test]
async fn a_solved_letter_leaves_everything_as_if_it_had_never_failed() {
    let flow = with_a_letter().await;
    let letters = flow.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        stands(&letters[0]),
        (1, DeadLetterCode::GuestOutput, 1, LetterState::Open)
    );

    // Still the old build: it says why, on the same letter.
    flow.clock.advance(Duration::from_secs(60));
    assert_eq!(flow.ask_again().await, 1);
    assert_eq!(stands(&flow.letters().await[0]).3, LetterState::Retrying);
    assert_eq!(flow.ask_again().await, 0, "asked for once");
    flow.screen_and_retry(scripted(), NEVER).await.unwrap();
    let letter = flow.letters().await.remove(0);
    assert_eq!(
        stands(&letter),
        (1, DeadLetterCode::GuestOutput, 2, LetterState::Open)
    );
    assert_eq!((letter.last_at - letter.first_at).get_seconds(), 60);
    assert!(
        letter.message.contains("not the JSON of a message"),
        "{}",
        letter.message
    );
    let counters = flow.screen_state().await.counters;
    assert_eq!(
        (
            counters.emitted,
            counters.dead_lettered,
            counters.retried_ok
        ),
        (2, 1, 0)
    );

    // A build that can.
    assert_eq!(flow.ask_again().await, 1);
    flow.screen_and_retry(mended(), NEVER).await.unwrap();
    assert_eq!(stands(&flow.letters().await[0]).2, 3);
    assert_eq!(stands(&flow.letters().await[0]).3, LetterState::Solved);
    assert_eq!(
        flow.screened().await,
        [0, 2, 1],
        "later on the log, with its own origin"
    );
    let late = flow.records(Topic::MESSAGES).await.pop().unwrap();
    let late: serde_json::Value = serde_json::from_slice(&late.value).unwrap();
    assert_eq!(late["retry"], 3, "and marked as late");
    let counters = flow.screen_state().await.counters;
    assert_eq!(
        (
            counters.received,
            counters.emitted,
            counters.dead_lettered,
            counters.retried_ok
        ),
        (3, 3, 0, 1)
    );
    assert!(conserved(&counters));
    assert_eq!(
        flow.ask_again().await,
        0,
        "what is solved is not tried again"
    );
}

/// Faults at each commit of a retry, and the process that dies of some: whatever happens, it counts once.
#[tokio::test]
async fn a_retry_takes_effect_once_whatever_breaks() {
    let away = |ambiguous| record_log::Error::Unavailable {
        reason: "on purpose".into(),
        ambiguous,
    };
    let plans: [fn() -> Vec<Fault<record_log::Error>>; 5] = [
        || vec![Fault::Refuse(record_log::Error::Closed)],
        || vec![Fault::Lose(record_log::Error::Closed)],
        || vec![],
        || {
            vec![Fault::Refuse(record_log::Error::NoSpace {
                path: "x".into(),
            })]
        },
        || {
            vec![
                Fault::Refuse(record_log::Error::Closed),
                Fault::Lose(record_log::Error::Closed),
            ]
        },
    ];
    for (i, plan) in plans.iter().enumerate() {
        let flow = with_a_letter().await;
        assert_eq!(flow.ask_again().await, 1);
        flow.log.commits.extend(plan());
        if i == 2 {
            flow.log
                .commits
                .extend([Fault::Refuse(away(false)), Fault::Lose(away(true))]);
        }
        let mut n_deaths = 0;
        while let Err(error) = flow.screen_and_retry(mended(), NEVER).await {
            assert!(
                matches!(error, StageError::Log(record_log::Error::Closed)),
                "{error}"
            );
            n_deaths += 1;
        }
        assert!(flow.log.commits.is_over() && n_deaths <= 2, "plan {i}");
        assert_eq!(flow.screened().await, [0, 2, 1], "plan {i}");
        let letters = flow.letters().await;
        assert_eq!(
            (letters.len(), stands(&letters[0]).3),
            (1, LetterState::Solved),
            "plan {i}"
        );
        assert_eq!(letters[0].attempts, 2);
        let counters = flow.screen_state().await.counters;
        assert_eq!(
            (
                counters.emitted,
                counters.dead_lettered,
                counters.retried_ok
            ),
            (3, 0, 1)
        );
        assert!(conserved(&counters));
    }
}

#[tokio::test]
async fn a_message_that_another_record_brought_meanwhile_is_a_duplicate() {
    let flow = with_a_letter().await;
    flow.append(Topic::TELEGRAM_RAW, &[message(2, 0, "b once more")])
        .await;
    flow.screen(100, NEVER).await.unwrap();
    flow.ask_again().await;
    flow.screen_and_retry(mended(), NEVER).await.unwrap();
    assert_eq!(flow.screened().await, [0, 2, 3]);
    let counters = flow.screen_state().await.counters;
    assert_eq!(
        (
            counters.emitted,
            counters.skipped["duplicate"],
            counters.retried_ok
        ),
        (3, 1, 1)
    );
    assert!(conserved(&counters));
}

#[tokio::test]
async fn retries_go_on_beside_new_records() {
    let flow = with_a_letter().await;
    flow.ask_again().await;
    let values: Vec<String> = (10..30).map(|id| message(id, 0, "x")).collect();
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    flow.screen_and_retry(mended(), NEVER).await.unwrap();
    let mut screened = flow.screened().await;
    screened.sort_unstable();
    assert_eq!(screened, (0..23).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_record_that_is_gone_says_so() {
    let flow = with_a_letter().await;
    flow.clock.advance(Duration::from_secs(3_600));
    let config = TopicConfig {
        partitions: 1,
        retention: Retention {
            max_age_s: Some(60),
            max_bytes: None,
        },
    };
    flow.log
        .create_topic(&Topic::TELEGRAM_RAW, config)
        .await
        .unwrap();
    flow.log.run_retention();
    flow.ask_again().await;
    flow.screen_and_retry(mended(), NEVER).await.unwrap();
    let letter = flow.letters().await.remove(0);
    assert_eq!(
        stands(&letter),
        (1, DeadLetterCode::Gone, 2, LetterState::Open)
    );
    assert!(
        letter.message.contains("telegram-raw/0@1"),
        "{}",
        letter.message
    );
    assert_eq!(flow.screen_state().await.counters.dead_lettered, 1);
}

/// The process is replaced to get rid of the hanging thread; the next one does not try it again.
#[test]
fn a_retry_that_hangs_ends_with_the_process_and_not_again() {
    with_hanging_threads(async {
        let flow = with_a_letter().await;
        flow.ask_again().await;
        let hanging = by_value(|value| match value.starts_with(b"later:") {
            true => loop {
                std::thread::park();
            },
            false => ChainOutcome::Value(value.to_vec().into()),
        });
        let soon = Duration::from_millis(150);
        let error = flow
            .screen_and_retry(hanging.clone(), soon)
            .await
            .unwrap_err();
        assert!(matches!(error, StageError::Hung { .. }), "{error}");
        flow.append(Topic::TELEGRAM_RAW, &[message(4, 0, "d")])
            .await;
        flow.screen_and_retry(hanging, soon).await.unwrap();
        assert_eq!(flow.screened().await, [0, 2, 3]);
        let letter = flow.letters().await.remove(0);
        assert_eq!(
            stands(&letter),
            (1, DeadLetterCode::GuestTimeout, 2, LetterState::Open)
        );
    });
}

#[tokio::test]
async fn an_engine_that_panics_on_a_record_loses_that_record_only() {
    let flow = Flow::new().await;
    let values = [message(1, 0, "a"), "panic".to_owned(), message(2, 0, "b")];
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    let panicking = by_value(|value| match value {
        b"panic" => panic!("on purpose"),
        value => ChainOutcome::Value(value.to_vec().into()),
    });
    flow.screen_and_retry(panicking, NEVER).await.unwrap();
    assert_eq!(flow.screened().await, [0, 2]);
    assert_eq!(
        flow.dead_letters().await,
        [(1, DeadLetterCode::GuestTrap, 1)]
    );
    assert!(conserved(&flow.screen_state().await.counters));
}

#[tokio::test]
async fn a_message_that_outgrows_the_log_becomes_a_letter_and_the_rest_goes_on() {
    let flow = Flow::new().await;
    let values = [
        message(1, 0, "a"),
        message(2, 0, "grow"),
        message(3, 0, "b"),
    ];
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    let growing = by_value(|value| {
        let text = String::from_utf8_lossy(value);
        ChainOutcome::Value(text.replace("grow", &"ї".repeat(9 << 20)).into())
    });
    flow.screen_and_retry(growing, NEVER).await.unwrap();
    assert_eq!(flow.screened().await, [0, 2]);
    assert_eq!(
        flow.dead_letters().await,
        [(1, DeadLetterCode::TooLarge, 1)]
    );
    assert!(conserved(&flow.screen_state().await.counters));
}

#[tokio::test]
async fn a_lost_answer_of_the_catalog_stops_no_stage() {
    let away = || catalog::Error::Unavailable("on purpose".into());
    let flow = Flow::new().await;
    for faults in [
        vec![Fault::Lose(away())],
        vec![Fault::Refuse(away()), Fault::Lose(away())],
    ] {
        let values: Vec<String> = (0..3)
            .map(|i| crate::index::with_origin(&message(i, 0, "x"), i as u64))
            .collect();
        flow.append(Topic::MESSAGES, &values).await;
        flow.catalog.commits.extend(faults);
        flow.index().await;
        assert!(flow.catalog.commits.is_over());
        let counters = flow.index_state().await.counters;
        assert_eq!(
            counters.received,
            flow.records(Topic::MESSAGES).await.len() as u64
        );
        assert!(conserved(&counters));
    }
}
