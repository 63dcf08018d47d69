//! A dead letter of the screen, tried again: alone, by the rules that hold at its offset, exactly once.

use telesift_ports::{
    ledger::Fate,
    record_log::{self, NewRecord, Outcome, Transaction},
};
use telesift_schemas::TopicPartition;

use super::{
    Ran, Screen,
    plan::{self, Judged},
    written,
};
use crate::{
    consumer::StageError,
    dead_letter::{Refusal, Retry, Tried},
};

impl Screen {
    /// Message, counters, letter and the end of the request commit in one transaction.
    pub(super) async fn screen_again(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        // Held as for a batch: rules are activated between, never within.
        let rules = self.rules.hold().await?;
        let section = rules.section_in(&self.stretches, self.input.partition, retry.record.offset);
        let record = std::slice::from_ref(&retry.record);
        let ran = match self.run_chain(&section.rules, record).await {
            // The rules that hold there stay what they are: that is for somebody to decide, and nobody waits for it.
            Err(error @ StageError::Rules { .. }) => {
                let refusal = Refusal::new(retry.request.code, error.to_string());
                return self.end(retry, Judged::Refused(refusal)).await;
            }
            ran => ran?,
        };
        match ran {
            Ran::Through(outcomes) => {
                let (outcome, attempt) = (outcomes.into_iter().next(), Some(retry.request.attempt));
                let judged = outcome
                    .map(|o| Judged::of(o, (&self.input, &retry.record), &self.output, attempt));
                let judged = judged.unwrap_or_else(|| Judged::Refused(plan::panicked()));
                self.end(retry, judged).await
            }
            Ran::Panicked => self.end(retry, Judged::Refused(plan::panicked())).await,
            Ran::Hung => {
                // Written before the process gives way to another, which must not try it once more.
                let refusal = plan::timed_out(self.watchdog);
                self.end(retry, Judged::Refused(refusal)).await?;
                Err(self.hung(retry.record.offset))
            }
        }
    }

    async fn end(&mut self, retry: &Retry, judged: Judged) -> Result<Tried, StageError> {
        let (message, fate, refusal) = match judged {
            Judged::Message(append) => (Some(append), Fate::Emitted, None),
            Judged::Reacted(append) => {
                let reason = plan::REACTIONS.to_owned();
                (Some(append), Fate::Skipped(reason), None)
            }
            Judged::Skipped(reason) => (None, Fate::Skipped(reason), None),
            Judged::Refused(refusal) => (None, Fate::Refused, Some(refusal)),
        };
        let transaction = self.ended(retry, message, fate, refusal.as_ref());
        match self.commit_and_load(transaction).await {
            Err(StageError::Log(record_log::Error::TooLarge { n_bytes, limit })) => {
                let refusal = plan::too_large(n_bytes, limit);
                let transaction = self.ended(retry, None, Fate::Refused, Some(&refusal));
                self.commit_and_load(transaction).await?;
            }
            committed => {
                committed?;
            }
        }
        Ok(Tried::Committed)
    }

    fn ended(
        &self,
        retry: &Retry,
        message: Option<(TopicPartition, NewRecord)>,
        fate: Fate,
        refusal: Option<&Refusal>,
    ) -> Transaction {
        let (letter, over) = retry.end(refusal, self.clock.now());
        let has_message = message.is_some();
        let (key, mut state) = (self.state_key(), self.state.clone());
        let guards = vec![(key.clone(), self.stored.clone()), retry.guard()];
        let name = retry.name();
        Transaction {
            appends: message.into_iter().chain([letter]).collect(),
            guards,
            fence: self.fence.clone(),
            finish: Box::new(move |outcomes| {
                // Another record brought the same message meanwhile.
                let fate = match outcomes.first() {
                    Some(Outcome::Duplicate) if has_message => {
                        Fate::Skipped(plan::DUPLICATE.to_owned())
                    }
                    _ => fate,
                };
                state.count_retry(name, &fate);
                vec![written(key, &state), over]
            }),
        }
    }
}
