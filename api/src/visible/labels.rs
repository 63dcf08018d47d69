//! Labels on their way into the log: an owner's word about a message the viewer was shown, appended once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use telesift_ports::{
    catalog::{KeyRow, LabelRow},
    record_log::{self, NewRecord, Outcome, Transaction},
};
use telesift_schemas::{
    Class, Decision, DecisionKind, Message, Offset, PartitionId, Timestamp, Topic, TopicPartition,
};

use super::Log;
use crate::problem::{Problem, Result};

/// What to say: `None` leaves it as it is, `Some(None)` takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) class: Option<Option<Class>>,
    pub(crate) spam: Option<Option<bool>>,
}

/// An owner's label, as the log's state keeps it beside the decisions: exact, while the catalog may lag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    class: Option<Class>,
    spam: Option<bool>,
    at: Timestamp,
    decided: Offset,
}

/// How often somebody else with the same owner may be faster before the request is given up.
const ATTEMPTS: usize = 8;

impl Log {
    /// Appends what `by` says of this version, unless it says so already. Returns the owner's whole label and whether a
    /// decision was appended for it.
    ///
    /// # Errors
    /// 409 if requests of the same owner keep being faster.
    pub(crate) async fn label(
        &self,
        by: &KeyRow,
        message: &Message,
        change: Change,
        now: Timestamp,
    ) -> Result<(LabelRow, bool)> {
        let now = whole_microseconds(now);
        let state_key = format!("label/{}/{}/{}", message.id, message.edit, by.name);
        for _ in 0..ATTEMPTS {
            let held = self.0.state(&state_key).await?;
            let said = held.as_deref().map(read).transpose()?;
            let before = said.as_ref().map_or((None, None), |s| (s.class, s.spam));
            let class = change.class.unwrap_or(before.0);
            let spam = change.spam.unwrap_or(before.1);
            let mut label = LabelRow {
                message: message.id,
                edit: message.edit,
                owner: by.name.clone(),
                class,
                spam,
                at: said.as_ref().map_or(now, |s| s.at),
                decided: said.as_ref().map_or(Offset::ZERO, |s| s.decided),
            };
            if before == (class, spam) {
                return Ok((label, false));
            }
            label.at = now;
            let transaction = Transaction {
                guards: vec![(state_key.clone(), held)],
                finish: remember(state_key.clone(), label.clone()),
                ..Transaction::appends(vec![decision(by, &label)?])
            };
            match self.0.commit(transaction).await {
                Ok(outcomes) => {
                    if let Some(Outcome::Appended { offset, .. }) = outcomes.first() {
                        label.decided = *offset;
                    }
                    return Ok((label, true));
                }
                Err(record_log::Error::GuardFailed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(record_log::Error::GuardFailed { key: state_key }.into())
    }
}

/// As the catalog keeps times, so that the answer and what is read later show the same.
fn whole_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// The one partition of `decisions`.
pub(crate) fn decisions() -> TopicPartition {
    TopicPartition::new(Topic::DECISIONS, PartitionId(0))
}

fn decision(by: &KeyRow, label: &LabelRow) -> Result<(TopicPartition, NewRecord)> {
    let decision = Decision {
        v: Decision::VERSION,
        at: label.at,
        by: by.id.clone(),
        decision: DecisionKind::Labelled {
            message: label.message,
            edit: label.edit,
            class: label.class,
            spam: label.spam,
            owner: Some(label.owner.clone()),
        },
    };
    let record = NewRecord {
        key: label.message.chat.to_string().into(),
        value: serde_json::to_vec(&decision)
            .map_err(Problem::internal)?
            .into(),
        unique: Vec::new(),
    };
    Ok((decisions(), record))
}

/// What the state says once the decision has its offset; nothing, once all was taken back.
fn remember(state_key: String, label: LabelRow) -> record_log::Finish {
    Box::new(move |outcomes| {
        let Some(Outcome::Appended { offset, .. }) = outcomes.first() else {
            return Vec::new();
        };
        let said = Said {
            class: label.class,
            spam: label.spam,
            at: label.at,
            decided: *offset,
        };
        let kept = (!label.is_taken_back())
            .then(|| serde_json::to_vec(&said).ok().map(Bytes::from))
            .flatten();
        vec![(state_key, kept)]
    })
}

fn read(state: &[u8]) -> Result<Said> {
    serde_json::from_slice(state).map_err(|e| Problem::internal(format!("state of a label: {e}")))
}
