//! What is being worked on, and how it ends.

use std::collections::{HashMap, HashSet};

use telesift_ports::knowledge::UnitRow;
use telesift_schemas::ChatId;
use tokio::task::JoinError;

use super::{Extract, STAGE, retries::Asked, told::Gate};
use crate::{consumer::StageError, telemetry};

/// Due units that are looked at, at most, for one that need not wait for others.
const MAX_WINDOW: usize = 4_096;

/// What is begun with.
pub(super) struct Begun {
    pub(super) unit: UnitRow,
    pub(super) stories: Vec<String>,
    /// Because somebody asked for another try.
    pub(super) retry: Option<Asked>,
}

/// A unit that was worked on.
pub(super) struct Handled {
    pub(super) unit: String,
    pub(super) stories: Vec<String>,
    /// The request it was worked on for, where somebody asked for another try.
    pub(super) retry: Option<String>,
    /// As that leaves it; absent if it is noted already.
    pub(super) outcome: Result<Option<UnitRow>, StageError>,
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
    /// By unit.
    pub(super) units: HashMap<String, Lane>,
    pub(super) stories: HashSet<String>,
    /// Requests for another try of a dead letter that are being worked on.
    pub(super) retries: HashSet<String>,
    /// Units that were due when it was looked last, and are not begun.
    pub(super) due: Vec<UnitRow>,
    /// The stories they tell, by unit, once those are known.
    told: Option<HashMap<String, Vec<String>>>,
    /// How many were looked for.
    window: usize,
    /// What has room, and is to be worked on.
    pub(super) begun: Vec<Begun>,
    /// What must be known of stories before they are; `None` once it is.
    pub(super) gate: Option<Gate>,
    /// Whether the index has so much to do that units would only wait for it, and slow it down.
    pub(super) is_early: bool,
}

/// With whom a unit shares room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// Whether it was worked on before, and something was in its way.
    pub(super) is_again: bool,
    /// Whose answer it waits for.
    pub(super) waits_for: Option<String>,
}

impl Lane {
    /// The lane of a unit that waits for nobody, or for `waits_for`.
    pub(super) fn of(unit: &UnitRow, waits_for: Option<String>) -> Self {
        Lane {
            is_again: unit.attempts > 0 || unit.note.is_some(),
            waits_for,
        }
    }
}

impl Flight {
    /// Whether one more may begin, of `workers`.
    pub(super) fn has_room(&self, workers: usize) -> bool {
        self.units.len() < workers
    }

    /// Whether one more of this lane may begin: half of the room is for what was not tried before, and nobody whose answers
    /// are waited for has more than half.
    pub(super) fn admits(&self, lane: &Lane, workers: usize) -> bool {
        let half = workers.div_ceil(2).max(1);
        let lanes = || self.units.values();
        let n_again = lanes().filter(|l| l.is_again).count();
        let same = |l: &&Lane| l.waits_for.is_some() && l.waits_for == lane.waits_for;
        self.has_room(workers)
            && (!lane.is_again || n_again < half)
            && lanes().filter(same).count() < half
    }
}

impl Extract {
    /// What to begin with now. A unit that tells a story which is being worked on waits: it may cost nothing. So does one in
    /// whose lane there is no room, and others pass it by.
    /// What is found before something fails is begun with too.
    pub(super) async fn next_units(&self, flight: &mut Flight) -> Result<(), StageError> {
        let workers = self.config.workers.max(1);
        if !flight.has_room(workers) {
            return Ok(());
        }
        self.next_retries(flight).await?;
        let mut is_fresh = false;
        if flight.due.is_empty() {
            flight.is_early = self.parts.index_lag.is_far().await?;
            if flight.is_early {
                return Ok(());
            }
            flight.window = workers * 8;
            self.look(flight).await?;
            is_fresh = true;
        }
        while !flight.due.is_empty() && self.are_stories_known(flight).await? {
            let n_begun = flight.begun.len();
            self.begin_due(flight, workers).await?;
            let is_stuck = flight.begun.len() == n_begun && flight.has_room(workers);
            let is_all = flight.due.len() < flight.window || flight.window >= MAX_WINDOW;
            if !is_stuck || (is_fresh && is_all) {
                break;
            }
            // All that was looked at waits for others: what came since, or stands behind it, need not.
            if is_fresh {
                flight.window = (flight.window * 4).min(MAX_WINDOW);
            }
            self.look(flight).await?;
            is_fresh = true;
        }
        Ok(())
    }

    /// Looks which units are due, and what must be known of stories before they are begun.
    async fn look(&self, flight: &mut Flight) -> Result<(), StageError> {
        let now = self.parts.clock.now();
        let wanted = flight.window + flight.units.len();
        let mut due = self.parts.catalog.due_units(now, wanted).await?;
        due.retain(|unit| !flight.units.contains_key(&unit.id));
        if flight.units.is_empty() {
            let counts = self.parts.catalog.unit_counts().await?;
            telemetry::backlog(STAGE, "units", counts.due);
        }
        flight.gate = match due.is_empty() {
            true => None,
            false => Some(self.gate().await?),
        };
        (flight.due, flight.told) = (due, None);
        Ok(())
    }

    /// Those of the due units that may begin.
    async fn begin_due(&self, flight: &mut Flight, workers: usize) -> Result<(), StageError> {
        let told = match flight.told.take() {
            Some(told) => told,
            None => self.stories_of(&flight.due).await?,
        };
        let mut rest = Vec::new();
        let mut readers: HashMap<ChatId, Option<String>> = HashMap::new();
        for unit in std::mem::take(&mut flight.due) {
            if !flight.has_room(workers) {
                rest.push(unit);
                continue;
            }
            let chat = unit.chat.id;
            let reader = match readers.get(&chat) {
                Some(reader) => reader.clone(),
                // Where that cannot be told the unit finds out when it asks.
                None => self.parts.extractor.waits_for(chat).await.ok().flatten(),
            };
            readers.insert(chat, reader.clone());
            let lane = Lane::of(&unit, reader);
            if !flight.admits(&lane, workers) {
                rest.push(unit);
                continue;
            }
            let stories = told.get(&unit.id).cloned().unwrap_or_default();
            if stories.iter().any(|story| flight.stories.contains(story)) {
                rest.push(unit);
                continue;
            }
            flight.stories.extend(stories.iter().cloned());
            flight.units.insert(unit.id.clone(), lane);
            flight.begun.push(Begun {
                unit,
                stories,
                retry: None,
            });
        }
        (flight.due, flight.told) = (rest, Some(told));
        Ok(())
    }

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
            retry,
            outcome,
        } in ended
        {
            if let Some(retry) = retry {
                flight.retries.remove(&retry);
            }
            flight.units.remove(&unit);
            for story in &stories {
                flight.stories.remove(story);
            }
            match outcome {
                Ok(row) => rows.extend(row),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(is_again: bool, waits_for: Option<&str>) -> Lane {
        Lane {
            is_again,
            waits_for: waits_for.map(str::to_owned),
        }
    }

    #[test]
    fn half_of_the_room_is_for_what_was_not_tried_before() {
        let mut flight = Flight::default();
        for n in 0..4 {
            assert!(flight.admits(&lane(true, None), 8));
            flight.units.insert(format!("a{n}"), lane(true, None));
        }
        assert!(!flight.admits(&lane(true, None), 8));
        for n in 0..4 {
            assert!(flight.admits(&lane(false, None), 8));
            flight.units.insert(format!("f{n}"), lane(false, None));
        }
        assert!(!flight.admits(&lane(false, None), 8));
    }

    #[test]
    fn nobody_who_is_waited_for_has_more_than_half_and_one_worker_does_everything() {
        let mut flight = Flight::default();
        for n in 0..4 {
            flight
                .units
                .insert(format!("f{n}"), lane(false, Some("slow")));
        }
        assert!(!flight.admits(&lane(false, Some("slow")), 8));
        assert!(flight.admits(&lane(false, Some("other")), 8));
        assert!(flight.admits(&lane(false, None), 8));
        for lane in [lane(true, Some("slow")), lane(false, None)] {
            assert!(Flight::default().admits(&lane, 1));
        }
    }
}
