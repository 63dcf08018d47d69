//! `decisions`: what humans decided. One module per kind: written durably first, then read back from the topic, which is
//! the truth; catalog rows are projections of it.

pub mod rules;

use std::borrow::Cow;

use serde::Deserialize;
use telesift_ports::record_log::StoredRecord;
use telesift_schemas::Decision;

use crate::dead_letter::Refusal;

/// Why a stage skips a decision of another kind.
pub(crate) const OTHER: &str = "other_decision";

/// The decision a value holds if it is of one of `kinds`; `None` for all others, of kinds yet unknown too.
pub(crate) fn of_kinds(value: &[u8], kinds: &[&str]) -> serde_json::Result<Option<Decision>> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        decision: Cow<'a, str>,
    }
    let head: Head<'_> = serde_json::from_slice(value)?;
    match kinds.contains(&&*head.decision) {
        true => serde_json::from_slice(value).map(Some),
        false => Ok(None),
    }
}

/// The same for a stage that reads a record of the topic.
pub(crate) fn read(record: &StoredRecord, kinds: &[&str]) -> Result<Option<Decision>, Refusal> {
    of_kinds(&record.value, kinds).map_err(|e| Refusal::unreadable("decision record", &e))
}
