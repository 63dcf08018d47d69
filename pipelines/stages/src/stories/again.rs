//! A dead letter of the stories stage, tried again: decided on as one that comes late, exactly once.

use telesift_ports::{
    ledger::Fate,
    record_log::{Outcome, Transaction},
};

use super::{Arrival, Stories, Verdict, append, unreadable};
use crate::{
    consumer::StageError,
    dead_letter::{Retry, Tried},
    state::json,
};

impl Stories {
    /// Assignments, counters, letter and the end of the request commit in one transaction.
    pub(super) async fn decide_again(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.load().await?;
        let i = self.index_of(&retry.at);
        let Some(i) = i.filter(|i| retry.record.offset < self.states[*i].current().next) else {
            return Ok(Tried::Later);
        };
        // The window of the log as it stands, in which this record has its place now; read again afterwards, so that it is
        // a function of the log whatever was retried.
        self.window = None;
        let (mut assigned, mut refusal) = (Vec::new(), None);
        let fate = match Arrival::read(&retry.at, &retry.record) {
            Ok(arrival) => {
                let mut window = self.read_window().await?;
                match window.take(arrival) {
                    Verdict::Alone(reason) => Fate::Skipped(reason.to_owned()),
                    Verdict::Joins { first, joined } => {
                        assigned.extend(first.into_iter().chain([joined]));
                        Fate::Emitted
                    }
                }
            }
            Err(error) => {
                refusal = Some(unreadable(&error));
                Fate::Refused
            }
        };
        let (letter, over) = retry.end(refusal.as_ref(), self.clock.now());
        let (key, mut state) = (self.states[i].key(), self.states[i].current().clone());
        let guards = vec![self.states[i].guard(), retry.guard()];
        let name = retry.name();
        let joined = assigned.len().checked_sub(1);
        let appends = assigned
            .iter()
            .map(|assigned| append(self.generation, assigned));
        let transaction = Transaction {
            appends: appends.chain([letter]).collect(),
            guards,
            fence: self.fence.clone(),
            finish: Box::new(move |outcomes| {
                let fate = match joined.map(|i| outcomes[i]) {
                    Some(Outcome::Duplicate) => Fate::Skipped("duplicate".to_owned()),
                    _ => fate,
                };
                state.count_retry(name, &fate);
                vec![(key, Some(json(&state))), over]
            }),
        };
        self.log.commit(transaction).await?;
        self.load().await?;
        Ok(Tried::Committed)
    }
}
