//! Batches of a replay go in one by one, with a rest after each: so it takes at most a set share of the time.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_schemas::Offset;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{Input, Process, StageError, pause},
    dead_letter::{Retry, Tried},
};

/// The turn of a replay: whoever works for it has it alone.
#[derive(Debug)]
pub struct Pace {
    turn: tokio::sync::Mutex<()>,
    share: f64,
}

impl Pace {
    /// A replay that works at most `share` of the time, 0..=1.
    pub fn new(share: f64) -> Self {
        Pace {
            turn: tokio::sync::Mutex::default(),
            share: share.clamp(0.01, 1.0),
        }
    }

    /// How long to rest after what took `worked`.
    pub fn rest(&self, worked: Duration) -> Duration {
        worked.mul_f64(1.0 / self.share - 1.0)
    }

    /// Does `work` once it has the turn, and rests, keeping the turn. A cancelled `stop` ends the rest.
    pub(crate) async fn take_turn<T>(
        &self,
        work: impl Future<Output = T>,
        stop: &CancellationToken,
    ) -> T {
        let _turn = self.turn.lock().await;
        let started = Instant::now();
        let outcome = work.await;
        pause(self.rest(started.elapsed()), stop).await;
        outcome
    }
}

/// A stage that works at the pace of a replay; without one, as it likes.
pub(super) struct Paced<P> {
    pub(super) stage: P,
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) stop: CancellationToken,
}

#[async_trait]
impl<P: Process> Process for Paced<P> {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.stage.positions().await
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        match &self.pace {
            None => self.stage.process(inputs).await,
            Some(pace) => pace.take_turn(self.stage.process(inputs), &self.stop).await,
        }
    }

    fn taken(&self, input: &Input) -> Offset {
        self.stage.taken(input)
    }

    fn looks_ahead(&self) -> bool {
        self.pace.is_none() && self.stage.looks_ahead()
    }

    fn look_ahead(&mut self, inputs: &Arc<[Input]>) {
        self.stage.look_ahead(inputs);
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.stage.retry(retry).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn nobody_works_for_a_replay_while_it_rests() {
        let (pace, stop) = (Pace::new(0.01), CancellationToken::new());
        let (done, began) = (tokio::sync::Notify::new(), AtomicBool::new(false));
        let work = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            done.notify_one();
        };
        let first = pace.take_turn(work, &stop);
        let second = pace.take_turn(async { began.store(true, Ordering::SeqCst) }, &stop);
        tokio::pin!(first, second);
        tokio::select! {
            () = done.notified() => {}
            () = &mut first => panic!("without any rest"),
        }
        // It rests for a hundred times as long as it worked, and the other one waits.
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        assert!(!began.load(Ordering::SeqCst));
        stop.cancel();
        tokio::join!(first, second);
        assert!(began.load(Ordering::SeqCst));
    }

    #[test]
    fn a_quarter_of_the_time_means_three_times_as_much_rest() {
        let worked = Duration::from_millis(100);
        assert_eq!(Pace::new(0.25).rest(worked), Duration::from_millis(300));
        assert_eq!(Pace::new(1.0).rest(worked), Duration::ZERO);
        assert_eq!(Pace::new(7.0).rest(worked), Duration::ZERO);
    }
}
