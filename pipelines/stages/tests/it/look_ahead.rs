//! The batch to come is told of while one is processed, and is the one that comes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use telesift_ports::record_log::ReadLimits;
use telesift_schemas::{Offset, Topic};
use telesift_stages::{
    Consumer, StageError,
    consumer::{Input, Process},
};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at};

/// Says what it is asked.
struct Teller {
    told: Arc<Mutex<Vec<String>>>,
    ahead: Option<Arc<[Input]>>,
    /// Whether it leaves the second record of the first batch to be read again.
    leaves_one: bool,
}

fn range(inputs: &[Input]) -> String {
    format!("{}..{}", inputs[0].from.0, inputs[0].batch.next.0)
}

#[async_trait]
impl Process for Teller {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        Ok(vec![Offset::ZERO])
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn look_ahead(&mut self, inputs: &Arc<[Input]>) {
        let mut told = self.told.lock().unwrap();
        told.push(format!("ahead {}", range(inputs)));
        self.ahead = Some(inputs.clone());
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let is_it = |ahead: &Arc<[Input]>| range(ahead) == range(inputs);
        if let Some(ahead) = self.ahead.as_ref().filter(|ahead| is_it(ahead)) {
            assert!(std::ptr::eq(&**ahead, inputs), "read twice");
        }
        let mut told = self.told.lock().unwrap();
        told.push(format!("process {}", range(inputs)));
        Ok(())
    }

    fn taken(&self, input: &Input) -> Offset {
        match self.leaves_one && input.from == Offset::ZERO {
            true => Offset(1),
            false => input.batch.next,
        }
    }
}

/// What a stage is told over five records, two at a time.
async fn told(leaves_one: bool) -> Vec<String> {
    let flow = Flow::new().await;
    let values: Vec<String> = (0..5).map(|i| format!("{{\"n\":{i}}}")).collect();
    flow.append(Topic::MESSAGES, &values).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let stage = Teller {
        told: told.clone(),
        ahead: None,
        leaves_one,
    };
    let consumer = Consumer {
        log: flow.log.clone(),
        stage: "teller",
        inputs: vec![at(Topic::MESSAGES)],
        limits: ReadLimits {
            max_records: 2,
            ..ReadLimits::default()
        },
        min_interval: Duration::ZERO,
    };
    let stop = CancellationToken::new();
    let run = tokio::spawn(consumer.run(stage, stop.clone()));
    let is_through = async || {
        let told = told.lock().unwrap();
        told.last()
            .is_some_and(|last| last.starts_with("process") && last.ends_with("..5"))
    };
    flow.wait_for(&run, is_through).await;
    stop.cancel();
    run.await.unwrap().unwrap();
    Arc::into_inner(told).unwrap().into_inner().unwrap()
}

#[tokio::test]
async fn each_batch_is_known_while_the_one_before_is_processed() {
    let expected = [
        "ahead 2..4",
        "process 0..2",
        "ahead 4..5",
        "process 2..4",
        "process 4..5",
    ];
    assert_eq!(told(false).await, expected);
}

#[tokio::test]
async fn what_a_stage_leaves_comes_before_what_was_read_ahead() {
    let expected = [
        "ahead 2..4",
        "process 0..2",
        "ahead 3..5",
        "process 1..3",
        "process 3..5",
    ];
    assert_eq!(told(true).await, expected);
}
