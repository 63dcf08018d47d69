//! The index: every message of the topic is in the store, once, and what cannot be is a dead letter.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_ports::{
    Embedder, MessageStore,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    record_log::ReadLimits,
};
use telesift_schemas::{DeadLetterCode, Topic};
use telesift_stages::{Consumer, index::Index};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at, conserved, message, model};

/// The same vector for every text.
pub(crate) struct Ones(pub(crate) EmbeddingModel);

#[async_trait]
impl Embedder for Ones {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }
    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts
            .iter()
            .map(|t| vec![if t.is_empty() { 0.0 } else { 1.0 }])
            .collect())
    }
}

impl Flow {
    pub(crate) async fn index(&self) {
        let end = telesift_ports::RecordLog::bounds(&*self.log, &at(Topic::MESSAGES))
            .await
            .unwrap()
            .end;
        self.index_until(async || self.index_state().await.next == end)
            .await;
    }

    pub(crate) async fn index_until(&self, is_done: impl AsyncFn() -> bool) {
        let embedder = Arc::new(Ones(model()));
        let inputs = vec![at(Topic::MESSAGES)];
        let index = Index::new(
            self.log.clone(),
            self.store.clone(),
            self.catalog.clone(),
            embedder,
            self.clock.clone(),
            inputs.clone(),
        );
        let consumer = Consumer {
            log: self.log.clone(),
            stage: "index",
            inputs,
            limits: ReadLimits {
                max_records: 2,
                ..ReadLimits::default()
            },
            min_interval: Duration::ZERO,
        };
        let stop = CancellationToken::new();
        let run = tokio::spawn(consumer.run(index, stop.clone()));
        self.wait_for(&run, is_done).await;
        stop.cancel();
        run.await.unwrap().unwrap();
    }
}

pub(crate) fn with_origin(message: &str, offset: u64) -> String {
    let origin =
        format!(r#","origin":{{"topic":"telegram-raw","partition":0,"offset":{offset}}}}}"#);
    format!("{}{origin}", message.strip_suffix('}').unwrap())
}

#[tokio::test]
async fn current_versions_are_stored_and_superseded_ones_kept() {
    let flow = Flow::new().await;
    let values = [
        with_origin(&message(1, 0, "first"), 0),
        with_origin(&message(2, 0, "other"), 1),
        with_origin(&message(1, 50, "corrected"), 2),
    ];
    flow.append(Topic::MESSAGES, &values).await;
    flow.index().await;
    let key = "7:1".parse().unwrap();
    assert_eq!(
        flow.store.get(&key).await.unwrap().unwrap().text,
        "corrected"
    );
    let history: Vec<String> = flow
        .store
        .history(&key)
        .await
        .unwrap()
        .into_iter()
        .map(|m| m.text)
        .collect();
    assert_eq!(history, ["first"]);
    let state = flow.index_state().await;
    assert_eq!((state.counters.received, state.counters.emitted), (3, 3));
    assert!(conserved(&state.counters));
}

#[tokio::test]
async fn an_unreadable_record_becomes_a_dead_letter_and_the_rest_goes_on() {
    let flow = Flow::new().await;
    let values = [
        with_origin(&message(1, 0, "a"), 0),
        "{}".to_owned(),
        with_origin(&message(2, 0, "b"), 2),
    ];
    flow.append(Topic::MESSAGES, &values).await;
    flow.index().await;
    assert!(
        flow.store
            .get(&"7:2".parse().unwrap())
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        flow.dead_letters().await,
        [(1, DeadLetterCode::Unreadable, 1)]
    );
    let counters = flow.index_state().await.counters;
    assert_eq!(
        (counters.received, counters.emitted, counters.dead_lettered),
        (3, 2, 1)
    );
}
