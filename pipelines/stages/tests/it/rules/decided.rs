//! Rules as decisions: refused, kept, rolled back, brought back from the topic.

use std::{sync::Arc, time::Duration};

use telesift_ports::{
    RuleSets, RulesCatalog,
    chain::ChainError,
    memory::{MemoryCatalog, MemoryRules},
    record_log::{self, ReadLimits},
    rules::{NewRules, RulesError, StartFrom},
};
use telesift_schemas::{Offset, PartitionId, Topic};
use telesift_stages::{Consumer, decisions::rules::RulesProjection, screen::ChainFactory};
use tokio_util::sync::CancellationToken;

use super::{
    NEVER, activate, add, append, fresh_keeper, from, keeper, names, screened_by, two_changes,
};
use crate::flow::{Flow, at, scripted};

#[tokio::test]
async fn positions_that_cannot_be_kept_are_refused() {
    let flow = Flow::new().await;
    append(&flow, 0..6).await;
    flow.screen(100, NEVER).await.unwrap();
    append(&flow, 6..8).await;
    let keeper = fresh_keeper(&flow).await;
    add(&keeper, "a").await;
    let refused = activate(&keeper, "a", from(5)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            RulesError::AlreadyScreened {
                partition: PartitionId(0),
                from: Offset(5),
                screened: Offset(6)
            }
        ),
        "{refused}"
    );
    let refused = activate(&keeper, "a", from(9)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            RulesError::Log(record_log::Error::BeyondEnd { .. })
        ),
        "{refused}"
    );
    let elsewhere = StartFrom::Offsets(vec![(PartitionId(7), Offset(0))]);
    let refused = activate(&keeper, "a", elsewhere).await.unwrap_err();
    assert!(
        matches!(
            refused,
            RulesError::Log(record_log::Error::PartitionNotFound(_))
        ),
        "{refused}"
    );
    let refused = activate(&keeper, "nobody", from(7)).await.unwrap_err();
    assert!(matches!(refused, RulesError::Unknown(_)), "{refused}");
    assert_eq!(keeper.active().await.unwrap(), None);

    for offset in [6, 7, 8] {
        let activation = activate(&keeper, "a", from(offset)).await.unwrap();
        assert_eq!(activation.from, [(PartitionId(0), Offset(offset))]);
    }
}

#[tokio::test]
async fn rules_the_smartmodules_refuse_are_never_activated() {
    let flow = Flow::new().await;
    append(&flow, 0..2).await;
    let refusing: ChainFactory = Arc::new(|set| match set.name() {
        "bad" => Err(ChainError("module `signal-score`: no such weight".into())),
        _ => scripted()(set),
    });
    let book = flow.book().await;
    let keeper = keeper(&flow, book.clone(), refusing.clone());
    add(&keeper, "bad").await;
    let n_before = flow.records(Topic::DECISIONS).await.len();
    let refused = activate(&keeper, "bad", from(0)).await.unwrap_err();
    assert!(
        matches!(&refused, RulesError::Refused { reason, .. } if reason.contains("no such weight")),
        "{refused}"
    );
    assert_eq!(flow.records(Topic::DECISIONS).await.len(), n_before);
    flow.screen_by(book, refusing, 10, NEVER).await.unwrap();
    assert_eq!(screened_by(&flow).await, names(&[("default", 2)]));
}

#[tokio::test]
async fn the_same_data_is_the_same_set_and_the_same_activation_is_none() {
    let flow = Flow::new().await;
    let keeper = fresh_keeper(&flow).await;
    let first = add(&keeper, "a").await;
    assert!(first.is_new);
    let again = NewRules {
        text: r#"{"name":"a","version":1}"#.into(),
        is_json: true,
        by: "other".into(),
        note: None,
    };
    let again = keeper.add(again).await.unwrap();
    assert!(!again.is_new);
    assert_eq!(again.rules, first.rules);
    let one = activate(&keeper, "a", StartFrom::Latest).await.unwrap();
    let other = activate(&keeper, "a", StartFrom::Latest).await.unwrap();
    assert_eq!(one, other);
    let default = add(&keeper, "b").await;
    assert!(default.is_new);
    assert_eq!(flow.records(Topic::DECISIONS).await.len(), 3);
    assert_eq!(keeper.list(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_rollback_is_an_activation_and_history_shows_both() {
    let flow = Flow::new().await;
    let keeper = fresh_keeper(&flow).await;
    for name in ["a", "b"] {
        add(&keeper, name).await;
    }
    for (name, n) in [("a", 2), ("b", 3), ("a", 1), ("default", 2)] {
        activate(&keeper, name, StartFrom::Latest).await.unwrap();
        let first = flow.records(Topic::TELEGRAM_RAW).await.len() as i64;
        append(&flow, first..first + n).await;
    }
    flow.screen(100, NEVER).await.unwrap();
    let expected = names(&[("a", 2), ("b", 3), ("a", 1), ("default", 2)]);
    assert_eq!(screened_by(&flow).await, expected);
    let history = keeper.history(None, 10).await.unwrap();
    let shown: Vec<_> = history
        .iter()
        .map(|a| (a.version.split('@').next().unwrap(), a.from[0].1.0))
        .collect();
    assert_eq!(shown, [("default", 6), ("a", 5), ("b", 2), ("a", 0)]);
    assert_eq!(keeper.active().await.unwrap().as_ref(), history.first());
    let older = keeper.history(Some(history[1].made.decision), 1).await;
    assert_eq!(older.unwrap(), history[2..3]);
}

#[tokio::test]
async fn rules_come_back_from_the_topic_when_the_catalog_is_lost() {
    let mut flow = two_changes().await;
    // Decisions of other kinds stand between them.
    flow.append(Topic::DECISIONS, &[r#"{"decision":"of_tomorrow"}"#.into()])
        .await;
    let keeper = fresh_keeper(&flow).await;
    add(&keeper, "c").await;
    let (sets, history) = (
        keeper.list(None, 10).await.unwrap(),
        keeper.history(None, 10).await.unwrap(),
    );
    assert_eq!((sets.len(), history.len()), (3, 2));

    flow.catalog = Arc::new(MemoryCatalog::new());
    let keeper = fresh_keeper(&flow).await;
    assert!(keeper.list(None, 10).await.unwrap().is_empty());
    for _ in 0..2 {
        project(&flow).await;
        assert_eq!(keeper.list(None, 10).await.unwrap(), sets);
        assert_eq!(keeper.history(None, 10).await.unwrap(), history);
    }
    let rows = flow.catalog.rules_list(None, 10).await.unwrap();
    assert_eq!(rows[0].source, "name = \"c\"\nversion = 1 # ours\n");
}

/// Runs the projection until it has read everything.
async fn project(flow: &Flow) {
    let projection = RulesProjection::new(
        flow.log.clone(),
        flow.catalog.clone(),
        flow.catalog.clone(),
        flow.clock.clone(),
    );
    let consumer = Consumer {
        log: flow.log.clone(),
        stage: telesift_stages::decisions::rules::STAGE,
        inputs: vec![at(Topic::DECISIONS)],
        limits: ReadLimits {
            max_records: 2,
            ..ReadLimits::default()
        },
        min_interval: Duration::ZERO,
    };
    let stop = CancellationToken::new();
    let run = tokio::spawn(consumer.run(projection, stop.clone()));
    let key = telesift_ports::ledger::StageKey {
        stage: "rules".into(),
        input: at(Topic::DECISIONS),
    };
    flow.wait_for(&run, async || {
        use telesift_ports::{Catalog, RecordLog};
        let end = flow.log.bounds(&at(Topic::DECISIONS)).await.unwrap().end;
        let state = flow.catalog.stage_state(&key).await.unwrap();
        state.is_some_and(|s| s.next == end && s.counters.pending() == 0)
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn another_build_computes_another_version_of_the_same_set() {
    let mut flow = Flow::new().await;
    append(&flow, 0..2).await;
    let keeper = fresh_keeper(&flow).await;
    let added = add(&keeper, "a").await.rules;
    activate(&keeper, "a", from(0)).await.unwrap();
    flow.screen(100, NEVER).await.unwrap();

    flow.reader = Arc::new(MemoryRules { revision: 1 });
    let keeper = fresh_keeper(&flow).await;
    let now = keeper.get("a").await.unwrap().info;
    assert_eq!(now.version, added.version, "its identity stays");
    assert_ne!(now.now, added.now, "messages carry what the new build does");
    let again = add(&keeper, "a").await;
    assert!(
        !again.is_new,
        "the same data is the same set in every build"
    );
    append(&flow, 2..4).await;
    flow.screen(100, NEVER).await.unwrap();
    let last = flow.records(Topic::MESSAGES).await.pop().unwrap();
    let last: serde_json::Value = serde_json::from_slice(&last.value).unwrap();
    assert_eq!(last["screen"]["rules"], now.now.clone().unwrap());
    // Messages of both builds lead to the set.
    for version in [added.version, now.now.unwrap()] {
        let set = keeper.screened_by(&version).await.unwrap();
        assert_eq!(set.unwrap().name(), "a");
    }
    assert!(keeper.screened_by("a@1+other").await.unwrap().is_none());
}
