//! Units that were given up, tried again where somebody asks: beside the others, and never in their way.

use bytes::Bytes;
use telesift_ports::{
    dead_letters::RetryRequest,
    knowledge::{UnitRow, UnitState},
};
use telesift_schemas::TopicPartition;

use super::{
    Extract, STAGE,
    flight::{Begun, Flight, Lane},
    outcome::Outcome,
};
use crate::{
    consumer::{StageError, nothing},
    dead_letter::{Refusal, Retry},
};

/// A request for another try, as it stands in the log's state.
pub(super) struct Asked {
    pub(super) key: String,
    stored: Bytes,
    request: RetryRequest,
}

impl Extract {
    /// The units somebody asks for that may begin. One that must wait stays asked for; one that changed and was extracted from
    /// since is solved.
    pub(super) async fn next_retries(&self, flight: &mut Flight) -> Result<(), StageError> {
        let workers = self.config.workers.max(1);
        let prefix = RetryRequest::of_stage(STAGE);
        for (key, stored) in self.parts.log.state_with_prefix(&prefix).await? {
            if flight.retries.contains(&key) {
                continue;
            }
            let Ok(request) = serde_json::from_slice::<RetryRequest>(&stored) else {
                tracing::error!(key, "a request for a retry is unreadable");
                continue;
            };
            let asked = Asked {
                key,
                stored,
                request,
            };
            let Some(mut unit) = self.unit_of(&asked).await? else {
                self.end_retry(&asked, None).await?;
                continue;
            };
            let now = self.parts.clock.now();
            let is_waiting =
                unit.state == UnitState::Due && unit.not_before.is_some_and(|t| t > now);
            // Whom it waits for is not asked: others that wait for him have no less right to his half of the room.
            let lane = Lane {
                is_again: true,
                waits_for: None,
            };
            if flight.units.contains_key(&unit.id) || is_waiting || !flight.admits(&lane, workers) {
                continue;
            }
            // The tries that count are those since somebody asked.
            if unit.state == UnitState::Failed {
                unit.attempts = self.config.max_unusable.saturating_sub(1);
                unit.state = UnitState::Due;
            }
            flight.retries.insert(asked.key.clone());
            flight.units.insert(unit.id.clone(), lane);
            flight.begun.push(Begun {
                unit,
                stories: Vec::new(),
                retry: Some(asked),
            });
        }
        Ok(())
    }

    /// The unit that is to be tried again; `None` if it is no unit any more, or done.
    async fn unit_of(&self, asked: &Asked) -> Result<Option<UnitRow>, StageError> {
        let origin = &asked.request.origin;
        let catalog = &self.parts.catalog;
        let unit = catalog.unit_at(origin.partition.0, origin.offset).await?;
        Ok(unit.filter(|unit| unit.state != UnitState::Done))
    }

    /// Works on one of them, and notes what became of it.
    pub(super) async fn try_again(&self, unit: &UnitRow, asked: &Asked) -> Result<(), StageError> {
        let mut outcome = self.work(unit).await?;
        let ended = match &mut outcome {
            Outcome::Done | Outcome::PassedBy(_) => Some(None),
            Outcome::Refused(refusal) => {
                refusal.attempts = asked.request.attempt;
                Some(Some(refusal.clone()))
            }
            Outcome::Later { .. } | Outcome::Until { .. } | Outcome::Again { .. } => None,
        };
        let row = self.settled(unit, outcome).await?;
        self.parts.catalog.settle_unit(&row).await?;
        match ended {
            Some(refusal) => self.end_retry(asked, refusal.as_ref()).await,
            None => Ok(()),
        }
    }

    /// Ends a request, with the reason if the unit is refused again.
    async fn end_retry(&self, asked: &Asked, refusal: Option<&Refusal>) -> Result<(), StageError> {
        let origin = &asked.request.origin;
        let retry = Retry {
            at: TopicPartition::new(origin.topic.clone(), origin.partition),
            record: nothing(origin.offset),
            stage: STAGE,
            stored: asked.stored.clone(),
            request: asked.request.clone(),
        };
        let ended = retry.ended(refusal, self.parts.clock.now());
        self.parts.log.commit(ended).await?;
        Ok(())
    }
}
