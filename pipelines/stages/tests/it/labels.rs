//! Labels: whatever the order of message and decision, and whatever is lost, the last word counts.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use telesift_ports::{
    Catalog, MessageStore, RecordLog,
    catalog::Labels,
    leases::Fence,
    ledger::{StageKey, StageState},
    memory::{MemoryCatalog, MemoryStore},
    message_store::MessageFilter,
    record_log::ReadLimits,
};
use telesift_schemas::{Class, DeadLetterCode, MessageKey, Topic};
use telesift_stages::{
    Consumer,
    labels::{self, LabelProjection},
};
use tokio_util::sync::CancellationToken;

use crate::{
    flow::{Flow, at, conserved, message, model},
    index::with_origin,
};

impl Flow {
    async fn label(&self, records_at_once: usize) {
        let input = at(Topic::DECISIONS);
        let projection = LabelProjection::new(
            self.log.clone(),
            self.catalog.clone(),
            self.store.clone(),
            self.clock.clone(),
            input.clone(),
        );
        let consumer = Consumer {
            log: self.log.clone(),
            stage: labels::STAGE,
            inputs: vec![input.clone()],
            limits: ReadLimits {
                max_records: records_at_once,
                ..ReadLimits::default()
            },
            min_interval: Duration::ZERO,
        };
        let stop = CancellationToken::new();
        let run = tokio::spawn(consumer.run(projection, stop.clone()));
        let end = self.log.bounds(&input).await.unwrap().end;
        self.wait_for(&run, async || self.label_state().await.next == end)
            .await;
        stop.cancel();
        run.await.unwrap().unwrap();
    }

    async fn label_state(&self) -> StageState {
        let key = StageKey {
            stage: labels::STAGE.into(),
            input: at(Topic::DECISIONS),
        };
        let state = self.catalog.stage_state(&key).await.unwrap();
        state.unwrap_or_default()
    }

    async fn decide(&self, decisions: &[String]) {
        self.append(Topic::DECISIONS, decisions).await;
    }

    async fn messages(&self, messages: &[String]) {
        let from = self.records(Topic::MESSAGES).await.len() as u64;
        let records: Vec<String> = messages
            .iter()
            .zip(from..)
            .map(|(m, i)| with_origin(m, i))
            .collect();
        self.append(Topic::MESSAGES, &records).await;
    }

    /// Ids of the messages of a class, newest first.
    async fn of_class(&self, class: Class) -> Vec<i64> {
        let filter = MessageFilter {
            classes: vec![class],
            ..MessageFilter::default()
        };
        let found = self.store.list(&filter, None, 100).await.unwrap();
        found.into_iter().map(|m| m.message_id).collect()
    }
}

/// A decision about message `id` of the flow's chat.
fn labelled(id: i64, edit: i64, owner: &str, class: Option<&str>) -> String {
    json!({
        "v": 1, "at": "2026-01-05T11:00:00Z", "by": "key-1", "decision": "labelled",
        "message": format!("7:{id}"), "edit": edit, "class": class, "spam": null, "owner": owner,
    })
    .to_string()
}

#[tokio::test]
async fn a_label_reaches_a_message_stored_before_it() {
    let flow = Flow::new().await;
    flow.messages(&[message(1, 0, "a"), message(2, 0, "b")])
        .await;
    flow.index().await;
    flow.decide(&[labelled(1, 0, "a", Some("noise"))]).await;
    flow.label(10).await;
    assert_eq!(flow.of_class(Class::Noise).await, [1]);
    assert_eq!(flow.of_class(Class::Signal).await, [2]);
}

#[tokio::test]
async fn a_label_reaches_a_message_stored_after_it() {
    let flow = Flow::new().await;
    let decisions = [
        labelled(1, 0, "a", Some("noise")),
        labelled(1, 50, "a", Some("weak_signal")),
    ];
    flow.decide(&decisions).await;
    flow.label(10).await;
    flow.messages(&[message(1, 0, "a"), message(2, 0, "b")])
        .await;
    flow.index().await;
    assert_eq!(flow.of_class(Class::Noise).await, [1]);
    flow.messages(&[message(1, 50, "edited"), message(2, 60, "edited")])
        .await;
    flow.index().await;
    assert_eq!(flow.of_class(Class::WeakSignal).await, [1]);
    assert_eq!(flow.of_class(Class::Signal).await, [2]);
}

#[tokio::test]
async fn the_last_word_counts_and_may_be_taken_back() {
    for records_at_once in [1, 2, 100] {
        let flow = Flow::new().await;
        let messages = [1, 2, 3].map(|id| message(id, 0, "text"));
        flow.messages(&messages).await;
        flow.index().await;
        let decisions = [
            labelled(1, 0, "a", Some("noise")),
            labelled(1, 0, "b", Some("weak_signal")),
            labelled(2, 0, "a", Some("noise")),
            labelled(2, 0, "a", None),
            labelled(3, 0, "a", Some("noise")),
            labelled(3, 0, "b", Some("weak_signal")),
            labelled(3, 0, "b", None),
        ];
        flow.decide(&decisions).await;
        flow.label(records_at_once).await;
        assert_eq!(flow.of_class(Class::WeakSignal).await, [1]);
        assert_eq!(flow.of_class(Class::Signal).await, [2], "as screened");
        assert_eq!(flow.of_class(Class::Noise).await, [3], "another's label");
        let counters = flow.label_state().await.counters;
        assert_eq!((counters.received, counters.emitted), (7, 7));
    }
}

#[tokio::test]
async fn other_decisions_are_passed_over_and_broken_ones_set_aside() {
    let flow = Flow::new().await;
    flow.messages(&[message(1, 0, "a")]).await;
    flow.index().await;
    let rules = json!({
        "v": 1, "at": "2026-01-05T11:00:00Z", "by": "k", "decision": "rules_activated",
        "rules": "x@1+0", "from": ["0:0"],
    });
    let decisions = [
        rules.to_string(),
        json!({"v": 1, "decision": "of a later version"}).to_string(),
        labelled(1, 0, "a", Some("importantish")),
        "no JSON".to_owned(),
        labelled(1, 0, "a", Some("noise")),
    ];
    flow.decide(&decisions).await;
    flow.label(2).await;
    assert_eq!(flow.of_class(Class::Noise).await, [1]);
    assert_eq!(
        flow.dead_letters().await,
        [
            (2, DeadLetterCode::Unreadable, 1),
            (3, DeadLetterCode::Unreadable, 1)
        ]
    );
    let counters = flow.label_state().await.counters;
    assert_eq!(counters.skipped["other_decision"], 2);
    assert_eq!((counters.emitted, counters.dead_lettered), (1, 2));
    assert!(conserved(&counters));
}

#[tokio::test]
async fn the_owner_of_a_decision_without_one_is_its_key() {
    let flow = Flow::new().await;
    let decision = json!({
        "v": 1, "at": "2026-01-05T11:00:00Z", "by": "key-1", "decision": "labelled",
        "message": "7:1", "edit": 0, "class": "noise", "spam": true,
    });
    flow.decide(&[decision.to_string()]).await;
    flow.label(10).await;
    let key: MessageKey = "7:1".parse().unwrap();
    let stored = flow.catalog.labels_of(&[key]).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].owner, "key-1");
    assert_eq!(stored[0].spam, Some(true));
}

#[tokio::test]
async fn a_store_that_was_thrown_away_gets_messages_and_labels_again() {
    let mut flow = Flow::new().await;
    flow.messages(&[message(1, 0, "a"), message(2, 0, "b")])
        .await;
    flow.index().await;
    flow.decide(&[labelled(1, 0, "a", Some("noise"))]).await;
    flow.label(10).await;
    flow.store = Arc::new(MemoryStore::new(Some(model())));
    flow.index_until(async || {
        let n_messages = flow.store.stats().await.unwrap().n_messages;
        n_messages == 2 && flow.index_state().await.next.0 == 2
    })
    .await;
    assert_eq!(flow.of_class(Class::Noise).await, [1]);
    assert_eq!(flow.of_class(Class::Signal).await, [2]);
    let counters = flow.index_state().await.counters;
    assert_eq!((counters.received, counters.emitted), (2, 2));
}

#[tokio::test]
async fn a_catalog_that_was_thrown_away_gets_its_labels_again() {
    let mut flow = Flow::new().await;
    flow.messages(&[message(1, 0, "a")]).await;
    flow.index().await;
    flow.decide(&[labelled(1, 0, "a", Some("noise"))]).await;
    flow.label(10).await;
    let before = flow.label_state().await;
    flow.catalog = Arc::new(MemoryCatalog::new());
    // The positions may have outlived the labels.
    let key = StageKey {
        stage: labels::STAGE.into(),
        input: at(Topic::DECISIONS),
    };
    let put = flow
        .catalog
        .put_stage_state(&key, None, &before, &Fence::open())
        .await;
    put.unwrap();
    flow.decide(&[labelled(2, 0, "a", Some("noise"))]).await;
    flow.label(10).await;
    let keys = ["7:1".parse().unwrap(), "7:2".parse().unwrap()];
    let stored = flow.catalog.labels_of(&keys).await.unwrap();
    assert_eq!(stored.len(), 2);
    let counters = flow.label_state().await.counters;
    assert_eq!((counters.received, counters.emitted), (2, 2));
}
