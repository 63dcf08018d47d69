//! What is being worked on, and how it ends.

use std::collections::HashSet;

use telesift_ports::knowledge::UnitRow;
use tokio::task::JoinError;

use super::{Extract, told::Gate};
use crate::consumer::StageError;

/// A unit that was worked on.
pub(super) struct Handled {
    pub(super) unit: String,
    pub(super) stories: Vec<String>,
    pub(super) outcome: Result<UnitRow, StageError>,
}

/// A task's end; its panic goes on here. `None`: it was cancelled, as all tasks are when the process ends.
pub(super) fn joined(ended: Result<Handled, JoinError>) -> Option<Handled> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(handled) => Some(handled),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => None,
    }
}

/// What is being worked on.
#[derive(Default)]
pub(super) struct Flight {
    pub(super) units: HashSet<String>,
    pub(super) stories: HashSet<String>,
    /// Units that were due when it was looked last, and are not begun.
    pub(super) due: Vec<UnitRow>,
    /// What must be known of stories before they are; `None` once it is.
    pub(super) gate: Option<Gate>,
    /// Whether the index has so much to do that units would only wait for it, and slow it down.
    pub(super) is_early: bool,
}

impl Extract {
    /// Notes what became of units, in one commit.
    pub(super) async fn note_ends(
        &self,
        flight: &mut Flight,
        ended: Vec<Handled>,
    ) -> Result<(), StageError> {
        let (mut rows, mut failure) = (Vec::new(), None);
        for Handled {
            unit,
            stories,
            outcome,
        } in ended
        {
            flight.units.remove(&unit);
            for story in &stories {
                flight.stories.remove(story);
            }
            match outcome {
                Ok(row) => rows.push(row),
                // What no retry mends is the one to be told.
                Err(error) if error.is_retryable() => failure = failure.or(Some(error)),
                Err(error) => failure = Some(error),
            }
        }
        if !rows.is_empty() {
            self.parts.catalog.settle_units(&rows).await?;
        }
        failure.map_or(Ok(()), Err)
    }
}
