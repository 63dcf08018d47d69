//! What a generation takes over from its base as it stands: messages from before the part that is replayed, and recorded
//! stories.

mod messages;
mod stories;

use std::time::Duration;

use bytes::Bytes;
use telesift_ports::{
    RecordLog,
    record_log::{Batch, Error, ReadLimits},
};
use telesift_schemas::{Offset, TopicPartition};
use tokio_util::sync::CancellationToken;

use crate::consumer::{StageError, delays, pause};

pub(super) use messages::MessagesTakeOver;
pub(super) use stories::StoriesTakeOver;
pub(crate) use stories::{is_done, state_key as stories_state_key};

/// The name of the take-over of messages in the ledger.
pub(crate) const TAKE_OVER: &str = "take-over";

/// How often it is looked whether the base has come further.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Something that is done step by step, each one transaction.
#[async_trait::async_trait]
pub(super) trait Steps: Send {
    /// The next step; each starts from what is stored.
    async fn step(&mut self) -> Result<Step, StageError>;
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more.
    Went,
    /// Nothing can be done before somebody else has come further.
    Waits,
    /// Through.
    Done,
}

/// Goes on to the end, repeating what is retryable; `false` if `stop` came first.
pub(super) async fn run(
    steps: &mut dyn Steps,
    pace: Option<&super::Pace>,
    stop: &CancellationToken,
) -> Result<bool, StageError> {
    let mut again = delays();
    while !stop.is_cancelled() {
        let step = match pace {
            Some(pace) => pace.take_turn(steps.step(), stop).await,
            None => steps.step().await,
        };
        match step {
            Ok(Step::Done) => return Ok(true),
            Ok(Step::Went) => again = delays(),
            Ok(Step::Waits) => pause(LOOK_AGAIN, stop).await,
            Err(error) if error.is_retryable() || is_race(&error) => {
                tracing::warn!(%error, "taking over waits");
                pause(again.next().unwrap_or(LOOK_AGAIN), stop).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether somebody changed a state in between, such as an ambiguous commit of the step before.
fn is_race(error: &StageError) -> bool {
    matches!(error, StageError::Log(Error::GuardFailed { .. }))
}

/// Reads on; what was evicted is stepped over.
async fn read(
    log: &dyn RecordLog,
    at: &TopicPartition,
    mut from: Offset,
) -> Result<(Offset, Batch), StageError> {
    loop {
        match log.read(at, from, ReadLimits::default()).await {
            Ok(batch) => return Ok((from, batch)),
            Err(Error::Evicted { first, .. }) if first > from => from = first,
            Err(error) => return Err(error.into()),
        }
    }
}

fn to_bytes(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("positions and counters are numbers and strings")
        .into()
}
