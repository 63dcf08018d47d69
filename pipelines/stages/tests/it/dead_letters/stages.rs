//! What holds for the letters of every stage that writes to a store, and of stories: poison at any place, a retry that
//! fails, one that succeeds, and deaths in its middle.

use std::sync::Arc;

use serde_json::json;
use telesift_ports::{
    Catalog, MessageStore, RecordLog, RulesCatalog, catalog,
    catalog::Labels,
    ledger::{Counters, StageKey, StageState},
    memory::Fault,
    message_store, record_log,
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{DeadLetterCode, LetterState, MessageKey, Offset, Timestamp, Topic};
use telesift_stages::{
    StageError,
    dead_letter::{self, Refusal},
    decisions::rules::{self, RulesProjection},
    index::{self, Index},
    labels::{self, LabelProjection},
    stories::{self, Stories, StoriesConfig},
    story_catalog::{self, StoryCatalog},
};

use super::stands;
use crate::{
    flow::{Flow, at, conserved, message},
    index::{Ones, with_origin},
};

/// A stage, its topic, and a record it can read.
struct Case {
    stage: &'static str,
    topic: Topic,
    good: fn(u64) -> String,
}

const CASES: [Case; 5] = [
    Case {
        stage: index::STAGE,
        topic: Topic::MESSAGES,
        good: indexed,
    },
    Case {
        stage: labels::STAGE,
        topic: Topic::DECISIONS,
        good: labelled,
    },
    Case {
        stage: rules::STAGE,
        topic: Topic::DECISIONS,
        good: rules_added,
    },
    Case {
        stage: story_catalog::STAGE,
        topic: Topic::STORIES,
        good: assigned,
    },
    Case {
        stage: stories::STAGE,
        topic: Topic::MESSAGES,
        good: told,
    },
];

fn indexed(n: u64) -> String {
    with_origin(&message(n as i64, 0, "слово"), n)
}

/// One text, told by all.
fn told(n: u64) -> String {
    let text = "повітряна тривога у місті тривала майже дві години цієї ночі";
    let record = message(n as i64, 0, text);
    let signature = telesift_text::signature::signature(text)
        .unwrap()
        .to_string();
    let with_signature = record.strip_suffix('}').unwrap().to_owned();
    let record = format!("{with_signature},\"signature\":{}}}", json!(signature));
    with_origin(&record, n)
}

fn labelled(n: u64) -> String {
    json!({
        "v": 1, "at": "2026-01-05T11:00:00Z", "by": "k", "decision": "labelled", "message": format!("7:{n}"), "edit": 0,
        "class": "noise", "owner": "olena",
    })
    .to_string()
}

fn rules_added(n: u64) -> String {
    let version = format!("r{n}@1+0");
    let data = json!({"name": format!("r{n}"), "version": 1}).to_string();
    json!({"v": 1, "at": "2026-01-05T11:00:00Z", "by": "k", "decision": "rules_added", "rules": version, "data": data, "source": ""})
        .to_string()
}

fn assigned(n: u64) -> String {
    json!({
        "v": 1, "message": format!("7:{n}"), "edit": 0, "story": "s", "first": "7:0", "how": if n == 0 { "first" } else { "exact" },
        "similarity": 1.0, "event_time": "2026-01-05T10:00:00Z", "origin": {"topic": "telegram-raw", "partition": 0, "offset": n},
    })
    .to_string()
}

impl Flow {
    async fn state_of(&self, case: &Case) -> StageState {
        let key = key(case);
        if let Some(state) = self.catalog.stage_state(&key).await.unwrap() {
            return state;
        }
        match self.log.state(&key.state_key()).await.unwrap() {
            Some(bytes) => serde_json::from_slice(&bytes).unwrap(),
            None => StageState::default(),
        }
    }

    /// Runs the stage, as a process that starts now, until it has read everything and ended every retry.
    async fn run_case(&self, case: &Case) -> Result<(), StageError> {
        let end = self.log.bounds(&at(case.topic.clone())).await.unwrap().end;
        let is_done = async || self.state_of(case).await.next == end && !self.has_requests().await;
        let (log, catalog, clock) = (self.log.clone(), self.catalog.clone(), self.clock.clone());
        let input = at(case.topic.clone());
        let (stage, topic) = (case.stage, case.topic.clone());
        match stage {
            index::STAGE => {
                let embedder = Arc::new(Ones(crate::flow::model()));
                let index = Index::new(
                    log,
                    self.store.clone(),
                    catalog,
                    embedder,
                    clock,
                    vec![input],
                );
                self.run(index, stage, topic, is_done).await
            }
            labels::STAGE => {
                let labels = LabelProjection::new(log, catalog, self.store.clone(), clock, input);
                self.run(labels, stage, topic, is_done).await
            }
            rules::STAGE => {
                let rules = RulesProjection::new(log, catalog.clone(), catalog, clock);
                self.run(rules, stage, topic, is_done).await
            }
            story_catalog::STAGE => {
                let stories = StoryCatalog::new(log, catalog, clock, input);
                self.run(stories, stage, topic, is_done).await
            }
            _ => {
                let stories = Stories::new(log, clock, vec![input], StoriesConfig::default());
                self.run(stories, stage, topic, is_done).await
            }
        }
    }

    /// How many of the good records have had their effect.
    async fn effects(&self, case: &Case) -> usize {
        let keys: Vec<MessageKey> = (0..5).map(|n| format!("7:{n}").parse().unwrap()).collect();
        match case.stage {
            index::STAGE => self.store.get_many(&keys).await.unwrap().len(),
            labels::STAGE => self.catalog.labels_of(&keys).await.unwrap().len(),
            rules::STAGE => self.catalog.rules_list(None, 100).await.unwrap().len(),
            story_catalog::STAGE => {
                let catalog = &*self.catalog;
                let members = telesift_ports::StoryCatalog::story_members(
                    catalog,
                    telesift_schemas::Generation::FIRST,
                    "s",
                    None,
                    None,
                    100,
                );
                members.await.unwrap().len()
            }
            _ => self.records(Topic::STORIES).await.len(),
        }
    }

    /// A record that an earlier build could not read: its letter lies there, and the stage has passed it.
    async fn left_behind(&self, case: &Case) {
        let records = self.records(case.topic.clone()).await;
        let record: StoredRecord = records[2].clone();
        let now: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
        let refusal = Refusal {
            code: DeadLetterCode::Unreadable,
            message: "an older build".into(),
            attempts: 1,
        };
        let letter =
            dead_letter::append(case.stage, &at(case.topic.clone()), &record, refusal, now);
        self.log
            .commit(Transaction::appends(vec![letter]))
            .await
            .unwrap();
    }
}

fn key(case: &Case) -> StageKey {
    StageKey {
        stage: case.stage.into(),
        input: at(case.topic.clone()),
    }
}

#[tokio::test]
async fn poison_at_any_place_blocks_nobody_and_stays_a_letter_when_retried() {
    for case in &CASES {
        for bad in 0..5u64 {
            let flow = Flow::new().await;
            let values: Vec<String> = (0..5)
                .map(|n| {
                    if n == bad {
                        "no json".to_owned()
                    } else {
                        (case.good)(n)
                    }
                })
                .collect();
            flow.append(case.topic.clone(), &values).await;
            flow.run_case(case).await.unwrap();
            let place = (case.stage, bad);
            assert_eq!(flow.effects(case).await, 4, "{place:?}");
            let counters = flow.state_of(case).await.counters;
            assert_eq!(
                (counters.received, counters.dead_lettered),
                (5, 1),
                "{place:?}"
            );
            assert!(conserved(&counters), "{place:?}");

            assert_eq!(flow.ask_again().await, 1);
            flow.run_case(case).await.unwrap();
            let letters = flow.letters().await;
            assert_eq!(letters.len(), 1);
            let open = (bad, DeadLetterCode::Unreadable, 2, LetterState::Open);
            assert_eq!(stands(&letters[0]), open, "{place:?}");
            assert!(
                letters[0].message.contains("not JSON, at 1:"),
                "{}",
                letters[0].message
            );
            assert_eq!(flow.state_of(case).await.counters, counters, "{place:?}");
        }
    }
}

/// What a newer build can read is processed once, wherever the process dies.
#[tokio::test]
async fn a_retry_takes_effect_and_counts_once_wherever_the_process_dies() {
    let gone = || Fault::Refuse(record_log::Error::Closed);
    let lost = || Fault::Lose(record_log::Error::Closed);
    let damaged = || catalog::Error::Damaged("on purpose".into());
    for case in &CASES {
        for plan in 0..7 {
            if case.stage == stories::STAGE && (3..=5).contains(&plan) {
                continue; // the catalog is nothing to it
            }
            let flow = Flow::new().await;
            let values: Vec<String> = (0..5).map(case.good).collect();
            flow.append(case.topic.clone(), &values).await;
            passed_over(&flow, case).await;
            assert_eq!(flow.ask_again().await, 1);
            match plan {
                0 => {}
                1 => flow.log.commits.extend([gone()]),
                2 => flow.log.commits.extend([lost()]),
                3 => flow.catalog.commits.extend([Fault::Refuse(damaged())]),
                4 => flow.catalog.commits.extend([Fault::Lose(damaged())]),
                5 => {
                    flow.catalog.commits.extend([Fault::Lose(damaged())]);
                    flow.log.commits.extend([gone(), lost()]);
                }
                _ => {
                    let away = || message_store::Error::Unavailable("on purpose".into());
                    flow.store
                        .batches
                        .extend([Fault::Refuse(away()), Fault::Lose(away())]);
                }
            }
            let mut n_deaths = 0;
            while flow.run_case(case).await.is_err() {
                n_deaths += 1;
                assert!(n_deaths < 6, "{} {plan}", case.stage);
            }
            let place = (case.stage, plan);
            assert_eq!(flow.effects(case).await, 5, "{place:?}");
            let letters = flow.letters().await;
            assert_eq!(
                stands(&letters[0]),
                (2, DeadLetterCode::Unreadable, 2, LetterState::Solved),
                "{place:?}"
            );
            let counters = flow.state_of(case).await.counters;
            let ended = (
                counters.received,
                counters.dead_lettered,
                counters.retried_ok,
            );
            assert_eq!(ended, (5, 0, 1), "{place:?}");
            assert!(conserved(&counters), "{place:?}: {counters:?}");
        }
    }
}

/// Processes all but the third record, which becomes a letter.
async fn passed_over(flow: &Flow, case: &Case) {
    // What a build that cannot read the third record leaves: everything else processed, the record a letter.
    let good = flow.records(case.topic.clone()).await;
    let other = Flow::new().await;
    let values: Vec<String> = good
        .iter()
        .enumerate()
        .map(|(n, r)| {
            if n == 2 {
                "no json".to_owned()
            } else {
                String::from_utf8(r.value.to_vec()).unwrap()
            }
        })
        .collect();
    other.append(case.topic.clone(), &values).await;
    other.run_case(case).await.unwrap();
    take_over(flow, &other, case).await;
    flow.left_behind(case).await;
}

/// Gives `flow` the effects and the state of `other`.
async fn take_over(flow: &Flow, other: &Flow, case: &Case) {
    let state = other.state_of(case).await;
    assert_eq!(state.next, Offset(5));
    let Counters { dead_lettered, .. } = state.counters;
    assert_eq!(dead_lettered, 1);
    let keys: Vec<MessageKey> = (0..5).map(|n| format!("7:{n}").parse().unwrap()).collect();
    match case.stage {
        index::STAGE => {
            for message in other.store.get_many(&keys).await.unwrap() {
                let indexed = message_store::IndexedMessage {
                    message,
                    vector: Some(vec![1.0]),
                };
                flow.store.apply(vec![indexed]).await.unwrap();
            }
        }
        labels::STAGE => {
            let labels = other.catalog.labels_of(&keys).await.unwrap();
            flow.catalog.put_labels(&labels).await.unwrap();
        }
        rules::STAGE => {
            for row in other.catalog.rules_list(None, 10).await.unwrap() {
                flow.catalog.put_rules(&row).await.unwrap();
            }
        }
        story_catalog::STAGE => {
            let records = other.records(Topic::STORIES).await;
            let members = records
                .iter()
                .filter_map(|r| serde_json::from_slice(&r.value).ok());
            let members: Vec<_> = members.collect();
            telesift_ports::StoryCatalog::add_story_members(
                &*flow.catalog,
                telesift_schemas::Generation::FIRST,
                &members,
            )
            .await
            .unwrap();
        }
        _ => {
            let appends = other.records(Topic::STORIES).await.into_iter().map(|r| {
                let assigned: serde_json::Value = serde_json::from_slice(&r.value).unwrap();
                let message = assigned["message"].as_str().unwrap().to_owned();
                let unique = vec![record_log::UniqueKey::new("story", &[&message])];
                (
                    at(Topic::STORIES),
                    record_log::NewRecord {
                        key: r.key,
                        value: r.value,
                        unique,
                    },
                )
            });
            let transaction = Transaction::appends(appends.collect());
            flow.log.commit(transaction).await.unwrap();
            let (key, value) = (key(case).state_key(), serde_json::to_vec(&state).unwrap());
            let transaction = Transaction {
                finish: Box::new(move |_| vec![(key, Some(value.into()))]),
                ..Transaction::appends(Vec::new())
            };
            flow.log.commit(transaction).await.unwrap();
            return;
        }
    }
    flow.catalog
        .put_stage_state(
            &key(case),
            None,
            &state,
            &telesift_ports::leases::Fence::open(),
        )
        .await
        .unwrap();
}

/// A batch that the store takes only after a while is repeated in place; nothing is lost and nothing is a letter.
#[tokio::test]
async fn a_store_that_fails_for_a_while_makes_no_letters() {
    let flow = Flow::new().await;
    let values: Vec<String> = (0..5).map(indexed).collect();
    flow.append(Topic::MESSAGES, &values).await;
    let away = || message_store::Error::Unavailable("on purpose".into());
    flow.store.batches.extend([
        Fault::Refuse(away()),
        Fault::Lose(away()),
        Fault::Refuse(away()),
    ]);
    flow.run_case(&CASES[0]).await.unwrap();
    assert_eq!(flow.effects(&CASES[0]).await, 5);
    assert!(flow.letters().await.is_empty());
    assert!(conserved(&flow.state_of(&CASES[0]).await.counters));
}

/// One the store refuses for good is taken out, and goes in once the store takes it.
#[tokio::test]
async fn what_the_store_refused_goes_in_later() {
    let flow = Flow::new().await;
    let values: Vec<String> = (0..5).map(indexed).collect();
    flow.append(Topic::MESSAGES, &values).await;
    let rejected = message_store::Error::Rejected {
        key: "7:3".parse().unwrap(),
        reason: "on purpose".into(),
    };
    flow.store.batches.extend([Fault::Refuse(rejected)]);
    flow.run_case(&CASES[0]).await.unwrap();
    assert_eq!(flow.effects(&CASES[0]).await, 4);
    assert_eq!(
        flow.dead_letters().await,
        [(3, DeadLetterCode::StoreRejected, 1)]
    );
    flow.ask_again().await;
    flow.run_case(&CASES[0]).await.unwrap();
    assert_eq!(flow.effects(&CASES[0]).await, 5);
    let counters = flow.state_of(&CASES[0]).await.counters;
    assert_eq!(
        (
            counters.emitted,
            counters.dead_lettered,
            counters.retried_ok
        ),
        (5, 0, 1)
    );
}

/// A store that hangs holds its own stage; the log, the screen and everybody else go on, and nothing is lost.
#[tokio::test]
async fn a_store_that_hangs_holds_its_stage_only() {
    let flow = Flow::new().await;
    let raw: Vec<String> = (0..5).map(|n| message(n, 0, "x")).collect();
    flow.append(Topic::TELEGRAM_RAW, &raw).await;
    let go = Arc::new(tokio::sync::Notify::new());
    flow.store.batches.extend([Fault::Hold(go.clone())]);
    let first: Vec<String> = (10..12).map(indexed).collect();
    flow.append(Topic::MESSAGES, &first).await;
    let work = async {
        while !flow.store.batches.is_over() {
            tokio::task::yield_now().await;
        }
        flow.screen(2, std::time::Duration::from_secs(600))
            .await
            .unwrap();
        assert_eq!(flow.records(Topic::MESSAGES).await.len(), 7);
        assert_eq!(
            flow.state_of(&CASES[0]).await.next,
            Offset::ZERO,
            "the index waits"
        );
        go.notify_one();
    };
    let index = flow.index_until(async || flow.index_state().await.next == Offset(7));
    tokio::join!(index, work);
    assert_eq!(flow.effects(&CASES[0]).await, 5);
    assert!(conserved(&flow.state_of(&CASES[0]).await.counters));
}
