//! Search first: what only analyses waits while the index is far behind, and for nothing else.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_ports::{
    Catalog,
    leases::Fence,
    ledger::{StageKey, StageState},
};
use telesift_schemas::{Offset, Topic};
use telesift_stages::{
    StageError,
    after_index::{AfterIndex, IndexLag, IndexLagConfig},
    consumer::{Input, Process},
};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at};

const N_MESSAGES: u64 = 6_000;

/// A stage that has done its work when it is asked to.
struct Done;

#[async_trait]
impl Process for Done {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        Ok(vec![Offset::ZERO])
    }

    async fn process(&mut self, _: &[Input]) -> Result<(), StageError> {
        Ok(())
    }
}

/// An import of 6,000 messages, of which nothing is indexed yet.
async fn import(patience: Duration) -> (Flow, AfterIndex<Done>) {
    let flow = Flow::new().await;
    let values: Vec<String> = (0..N_MESSAGES).map(|i| format!("{{\"n\":{i}}}")).collect();
    flow.append(Topic::MESSAGES, &values).await;
    let config = IndexLagConfig {
        look_every: Duration::ZERO,
        patience,
        ..IndexLagConfig::default()
    };
    let messages = vec![at(Topic::MESSAGES)];
    let lag = IndexLag::new(flow.log.clone(), flow.catalog.clone(), messages, config);
    let stage = AfterIndex {
        stage: Done,
        lag: Arc::new(lag),
        stop: CancellationToken::new(),
    };
    (flow, stage)
}

/// The index gets to `next`.
async fn index_to(flow: &Flow, next: u64) {
    let key = StageKey {
        stage: "index".into(),
        input: at(Topic::MESSAGES),
    };
    let before = flow.index_state().await.next;
    let state = StageState {
        next: Offset(next),
        ..StageState::default()
    };
    let before = (before > Offset::ZERO).then_some(before);
    let (fence, catalog) = (Fence::open(), &flow.catalog);
    let stored = catalog.put_stage_state(&key, before, &state, &fence);
    stored.await.unwrap();
}

#[tokio::test]
async fn it_waits_while_the_index_gets_on_and_is_far_behind() {
    let (flow, mut stage) = import(Duration::MAX).await;
    for next in (1..1_000).step_by(100) {
        index_to(&flow, next).await;
        let done = tokio::time::timeout(Duration::from_millis(5), stage.process(&[])).await;
        assert!(done.is_err(), "it did not wait at {next}: {done:?}");
    }
    index_to(&flow, N_MESSAGES - 5_000).await;
    stage.process(&[]).await.unwrap();
}

#[tokio::test]
async fn it_does_not_wait_for_an_index_that_stands_still() {
    let (flow, mut stage) = import(Duration::from_millis(50)).await;
    index_to(&flow, 1).await;
    stage.process(&[]).await.unwrap();
    assert_eq!(flow.index_state().await.next, Offset(1));
}

#[tokio::test]
async fn who_is_to_stop_does_not_wait() {
    let (_flow, mut stage) = import(Duration::MAX).await;
    stage.stop.cancel();
    stage.process(&[]).await.unwrap();
}
