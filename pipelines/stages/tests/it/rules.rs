//! Rules made active: from an offset on exactly, whatever is restarted, lost or rebuilt meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use telesift_ports::{
    RuleSets, SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    rules::{ActivateRules, Activation, Added, NewRules, RulesError, StartFrom},
};
use telesift_schemas::{Offset, PartitionId, Topic};
use telesift_stages::{
    StageError,
    decisions::rules::{RulesBook, RulesKeeper},
    screen::ChainFactory,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::flow::{Flow, message, scripted};

mod decided;
mod elsewhere;

const NEVER: Duration = Duration::from_secs(600);

/// A keeper over the flow's parts.
fn keeper(flow: &Flow, book: Arc<RulesBook>, chains: ChainFactory) -> RulesKeeper {
    RulesKeeper::new(
        book,
        flow.log.clone(),
        flow.catalog.clone(),
        flow.reader.clone(),
        chains,
        flow.clock.clone(),
    )
}

async fn fresh_keeper(flow: &Flow) -> RulesKeeper {
    keeper(flow, flow.book().await, scripted())
}

async fn add(keeper: &RulesKeeper, name: &str) -> Added {
    let new = NewRules {
        text: format!("name = \"{name}\"\nversion = 1 # ours\n"),
        is_json: false,
        by: "olena".into(),
        note: Some("why not".into()),
    };
    keeper.add(new).await.unwrap()
}

async fn activate(
    keeper: &RulesKeeper,
    asked: &str,
    from: StartFrom,
) -> Result<Activation, RulesError> {
    let request = ActivateRules {
        asked: asked.into(),
        from,
        by: "olena".into(),
        note: None,
    };
    keeper.activate(request).await
}

fn from(offset: u64) -> StartFrom {
    StartFrom::Offsets(vec![(PartitionId(0), Offset(offset))])
}

async fn append(flow: &Flow, ids: std::ops::Range<i64>) {
    let values: Vec<String> = ids.map(|id| message(id, 0, "x")).collect();
    flow.append(Topic::TELEGRAM_RAW, &values).await;
}

/// The names of the rules of `messages`, in order of their origins: one per raw record.
async fn screened_by(flow: &Flow) -> Vec<String> {
    let records = flow.records(Topic::MESSAGES).await;
    let messages = records.iter().enumerate().map(|(i, record)| {
        let json: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(json["origin"]["offset"], i, "one message per raw record");
        let rules = json["screen"]["rules"].as_str().unwrap();
        rules.split('@').next().unwrap().to_owned()
    });
    messages.collect()
}

/// `[("a", 2), ("b", 1)]` as `a a b`.
fn names(runs: &[(&str, usize)]) -> Vec<String> {
    let each = runs.iter().flat_map(|(name, n)| vec![*name; *n]);
    each.map(str::to_owned).collect()
}

/// Ten raw records, unscreened; `a` from 3 on, then `b` from 7 on.
async fn two_changes() -> Flow {
    let flow = Flow::new().await;
    append(&flow, 0..10).await;
    let keeper = fresh_keeper(&flow).await;
    for (name, offset) in [("a", 3), ("b", 7)] {
        add(&keeper, name).await;
        activate(&keeper, name, from(offset)).await.unwrap();
    }
    flow
}

#[tokio::test]
async fn rules_change_in_the_middle_of_a_batch() {
    for batch_records in [1, 3, 4, 100] {
        let flow = two_changes().await;
        flow.screen(batch_records, NEVER).await.unwrap();
        let expected = names(&[("default", 3), ("a", 4), ("b", 3)]);
        assert_eq!(
            screened_by(&flow).await,
            expected,
            "batches of {batch_records}"
        );
        let counters = flow.screen_state().await.counters;
        assert_eq!((counters.received, counters.emitted), (10, 10));
    }
}

/// Fails for good when it is used for the `n`-th time, as a process that is killed there.
fn dies_at(n: usize) -> ChainFactory {
    let used = Arc::new(AtomicUsize::new(0));
    Arc::new(move |set| {
        Ok(Box::new(Dying {
            chain: scripted()(set)?,
            used: used.clone(),
            n,
        }) as Box<dyn SmartModuleChain>)
    })
}

struct Dying {
    chain: Box<dyn SmartModuleChain>,
    used: Arc<AtomicUsize>,
    n: usize,
}

impl SmartModuleChain for Dying {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        if self.used.fetch_add(1, Ordering::SeqCst) == self.n {
            return Err(ChainError("killed".into()));
        }
        self.chain.process(inputs)
    }
}

#[tokio::test]
async fn a_screen_killed_anywhere_goes_on_as_if_it_had_not_been() {
    let whole = two_changes().await;
    whole.screen(100, NEVER).await.unwrap();
    let expected: Vec<_> = whole.records(Topic::MESSAGES).await;
    for batch_records in [1, 2, 4, 100] {
        for n in 0.. {
            let flow = two_changes().await;
            let book = flow.book().await;
            let first_life = flow.screen_by(book, dies_at(n), batch_records, NEVER).await;
            let was_killed = matches!(first_life, Err(StageError::Chain(_)));
            assert!(was_killed || first_life.is_ok(), "{first_life:?}");
            flow.screen(batch_records, NEVER).await.unwrap();
            let found = flow.records(Topic::MESSAGES).await;
            assert_eq!(found, expected, "killed at call {n} of {batch_records}");
            assert_eq!(
                flow.screen_state().await,
                whole.screen_state().await,
                "killed at call {n} of {batch_records}"
            );
            if !was_killed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_rebuild_from_the_log_screens_as_the_first_run_did() {
    let flow = Flow::new().await;
    let keeper = fresh_keeper(&flow).await;
    for (step, name) in ["a", "b", "a", "default"].into_iter().enumerate() {
        let first = 5 * step as i64;
        append(&flow, first..first + 3).await;
        flow.screen(2, NEVER).await.unwrap();
        append(&flow, first + 3..first + 5).await;
        if name != "default" {
            add(&keeper, name).await;
        }
        let start = if step % 2 == 0 {
            StartFrom::Latest
        } else {
            StartFrom::Unscreened
        };
        activate(&keeper, name, start).await.unwrap();
    }
    append(&flow, 20..24).await;
    flow.screen(100, NEVER).await.unwrap();
    let first_run = screened_by(&flow).await;
    assert_eq!(
        first_run,
        names(&[("default", 5), ("a", 3), ("b", 7), ("a", 3), ("default", 6)])
    );

    let rebuilt = Flow::new().await;
    for topic in [Topic::TELEGRAM_RAW, Topic::DECISIONS] {
        let records = flow.records(topic.clone()).await;
        let values: Vec<String> = records
            .iter()
            .map(|r| String::from_utf8(r.value.to_vec()).unwrap())
            .collect();
        rebuilt.append(topic, &values).await;
    }
    rebuilt.screen(100, NEVER).await.unwrap();
    assert_eq!(screened_by(&rebuilt).await, first_run);
}

/// Says when it is at work, and waits until it may go on.
struct Gated {
    chain: Box<dyn SmartModuleChain>,
    entered: UnboundedSender<()>,
    go_on: Arc<std::sync::Mutex<mpsc::Receiver<()>>>,
}

impl SmartModuleChain for Gated {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        self.entered.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        self.chain.process(inputs)
    }
}

#[tokio::test]
async fn an_activation_waits_for_the_batch_in_flight() {
    let flow = Flow::new().await;
    append(&flow, 0..5).await;
    let book = flow.book().await;
    let (tried, mut was_tried) = unbounded_channel();
    let trying: ChainFactory = Arc::new(move |set| {
        tried.send(()).unwrap();
        scripted()(set)
    });
    let keeper = keeper(&flow, book.clone(), trying);
    add(&keeper, "a").await;

    let (entered, mut has_entered) = unbounded_channel();
    let (open, go_on) = mpsc::channel();
    let go_on = Arc::new(std::sync::Mutex::new(go_on));
    let gated: ChainFactory = Arc::new(move |set| {
        Ok(Box::new(Gated {
            chain: scripted()(set)?,
            entered: entered.clone(),
            go_on: go_on.clone(),
        }) as Box<dyn SmartModuleChain>)
    });
    let screening = flow.screen_by(book, gated, 5, NEVER);
    let deciding = async {
        has_entered.recv().await.unwrap();
        let keeper = keeper.clone();
        let activation =
            tokio::spawn(async move { activate(&keeper, "a", StartFrom::Unscreened).await });
        was_tried.recv().await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!activation.is_finished(), "a batch is in flight");
        open.send(()).unwrap();
        activation.await.unwrap().unwrap()
    };
    let (screened, activation) = tokio::join!(screening, deciding);
    screened.unwrap();
    assert_eq!(activation.from, [(PartitionId(0), Offset(5))]);
    assert_eq!(screened_by(&flow).await, names(&[("default", 5)]));
}

#[tokio::test]
async fn rules_a_build_cannot_read_make_it_wait_for_others() {
    let flow = Flow::new().await;
    append(&flow, 0..4).await;
    // As an older build left them: this one does not know `weight`.
    let decisions = [
        r#"{"v":1,"at":"2026-01-05T10:00:00Z","by":"k","decision":"rules_added","rules":"old@1+0","data":"[]","source":""}"#,
        r#"{"v":1,"at":"2026-01-05T10:00:00Z","by":"k","decision":"rules_activated","rules":"old@1+0","from":["0:2"]}"#,
    ];
    flow.append(Topic::DECISIONS, &decisions.map(str::to_owned))
        .await;
    let book = flow.book().await;
    let keeper = keeper(&flow, book.clone(), scripted());
    assert!(keeper.get("old").await.unwrap().info.now.is_err());
    let refused = activate(&keeper, "old", from(2)).await.unwrap_err();
    assert!(matches!(refused, RulesError::Refused { .. }), "{refused}");

    let screening = flow.screen_by(book, scripted(), 100, NEVER);
    let deciding = async {
        let screened = async || flow.screen_state().await.next;
        let wait = async {
            while screened().await < Offset(2) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(NEVER, wait).await.unwrap();
        assert_eq!(screened().await, Offset(2), "and no further");
        activate(&keeper, "default", StartFrom::Unscreened)
            .await
            .unwrap();
    };
    let (screened, ()) = tokio::join!(screening, deciding);
    screened.unwrap();
    assert_eq!(screened_by(&flow).await, names(&[("default", 4)]));
}
