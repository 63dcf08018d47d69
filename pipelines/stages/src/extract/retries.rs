//! Units that were given up, tried again where somebody asks.

use telesift_ports::{dead_letters::RetryRequest, knowledge::UnitState};
use telesift_schemas::TopicPartition;

use super::{Extract, Flight, STAGE, outcome::Outcome};
use crate::{
    consumer::{StageError, nothing},
    dead_letter::{Refusal, Retry},
};

impl Extract {
    /// Works on every unit somebody asks for. One that must wait stays asked for; one that changed and was extracted from since
    /// is solved.
    pub(super) async fn run_retries(&self, flight: &Flight) -> Result<(), StageError> {
        let prefix = RetryRequest::of_stage(STAGE);
        for (key, stored) in self.parts.log.state_with_prefix(&prefix).await? {
            let Ok(request) = serde_json::from_slice::<RetryRequest>(&stored) else {
                tracing::error!(key, "a request for a retry is unreadable");
                continue;
            };
            let Some(refusal) = self.try_again(&request, flight).await? else {
                continue;
            };
            let origin = &request.origin;
            let retry = Retry {
                at: TopicPartition::new(origin.topic.clone(), origin.partition),
                record: nothing(origin.offset),
                stage: STAGE,
                stored,
                request: request.clone(),
            };
            let ended = retry.ended(refusal.as_ref(), self.parts.clock.now());
            self.parts.log.commit(ended).await?;
        }
        Ok(())
    }

    /// `None`: not now. `Some`: ended, with the reason if it is refused again.
    async fn try_again(
        &self,
        request: &RetryRequest,
        flight: &Flight,
    ) -> Result<Option<Option<Refusal>>, StageError> {
        let origin = &request.origin;
        let found = self
            .parts
            .catalog
            .unit_at(origin.partition.0, origin.offset);
        let Some(mut unit) = found.await? else {
            return Ok(Some(None)); // no unit any more
        };
        let now = self.parts.clock.now();
        let is_waiting = unit.state == UnitState::Due && unit.not_before.is_some_and(|t| t > now);
        if flight.units.contains(&unit.id) || is_waiting {
            return Ok(None);
        }
        if unit.state == UnitState::Done {
            return Ok(Some(None));
        }
        // The tries that count are those since somebody asked.
        if unit.state == UnitState::Failed {
            unit.attempts = self.config.max_unusable.saturating_sub(1);
            unit.state = UnitState::Due;
        }
        let mut outcome = self.work(&unit).await?;
        let refusal = match &mut outcome {
            Outcome::Done => Some(None),
            Outcome::Refused(refusal) => {
                refusal.attempts = request.attempt;
                Some(Some(refusal.clone()))
            }
            Outcome::Later { .. } | Outcome::Until { .. } | Outcome::Again { .. } => None,
        };
        let row = self.settled(&unit, outcome).await?;
        self.parts.catalog.settle_unit(&row).await?;
        Ok(refusal)
    }
}
