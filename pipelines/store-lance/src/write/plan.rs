//! What a batch means for what is stored, before anything is written.

use std::collections::{BTreeMap, HashMap, HashSet};

use telesift_ports::message_store::{Applied, IndexedMessage, Versions};
use telesift_schemas::MessageKey;

use crate::{
    error::{Attempt, Fault},
    labels::Mark,
    rows,
    schema::{self, VersionRow, offset_column},
};

/// The current version of a key, as the table holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Edit and origin offset.
    pub(super) version: (i64, i64),
    pub(super) has_vector: bool,
    pub(super) label: Option<Mark>,
    pub(super) row_id: u64,
}

/// What to write.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Rows of keys not stored yet.
    pub(super) added: Vec<IndexedMessage>,
    /// Rows that take the place of stored ones.
    pub(super) merged: Vec<IndexedMessage>,
    /// The labels that `merged` rows go on with.
    pub(super) labels: HashMap<MessageKey, Mark>,
    /// Versions that are no longer, or never were, current.
    pub(crate) superseded: Vec<VersionRow>,
    /// Rows whose current version is replaced by another one.
    replaced: Vec<u64>,
    /// Incoming versions that are stored as current already.
    n_known: usize,
}

/// Sorts what came into what is new, what replaces, and what is old.
pub(super) fn plan(
    by_key: BTreeMap<MessageKey, Versions>,
    held: &HashMap<MessageKey, Held>,
) -> Attempt<Plan> {
    let mut plan = Plan::default();
    for (key, mut versions) in by_key {
        let Some(newest) = versions.pop() else {
            continue;
        };
        match held.get(&key) {
            None => plan.added.push(newest),
            Some(held) => plan.against(held, newest, &mut versions),
        }
        for older in versions {
            plan.superseded.push(VersionRow::of(&older.message)?);
        }
    }
    Ok(plan)
}

fn version(indexed: &IndexedMessage) -> (i64, i64) {
    (indexed.message.version().0, offset_column(&indexed.message))
}

impl Plan {
    /// A key that is stored. Leaves in `older` what is neither current nor known to be stored.
    fn against(&mut self, held: &Held, newest: IndexedMessage, older: &mut Versions) {
        let n_older = older.len();
        older.retain(|i| version(i) != held.version);
        self.n_known += n_older - older.len();
        // A label is of the edit, whichever record of it is current.
        if let Some(label) = held.label.filter(|_| newest.message.edit == held.version.0) {
            self.labels.insert(newest.message.id, label);
        }
        match version(&newest).cmp(&held.version) {
            std::cmp::Ordering::Greater => {
                self.replaced.push(held.row_id);
                self.merged.push(newest);
            }
            std::cmp::Ordering::Equal => {
                self.n_known += 1;
                if schema::direction(&newest).is_some() && !held.has_vector {
                    self.merged.push(newest);
                }
            }
            std::cmp::Ordering::Less => older.push(newest),
        }
    }

    pub(super) fn replaced_rows(&self) -> Vec<u64> {
        self.replaced.clone()
    }

    /// Adds the stored versions that are about to be replaced.
    pub(super) fn keep_replaced(&mut self, bodies: &HashMap<u64, String>) -> Attempt<()> {
        for row_id in &self.replaced {
            let body = bodies.get(row_id);
            let body = body.ok_or_else(|| Fault::Damaged("a row is missing".to_owned()))?;
            let message = rows::message(body)?;
            self.superseded.push(VersionRow::of(&message)?);
        }
        Ok(())
    }

    /// Drops the versions that are stored already, and counts what is left.
    pub(super) fn settle(&mut self, stored: &[String], n_repeated: usize) -> Applied {
        let stored: HashSet<&str> = stored.iter().map(String::as_str).collect();
        let n_replaced = self.replaced.len();
        let n_incoming = self.superseded.len() - n_replaced;
        let mut n_older = 0;
        let mut i = 0;
        self.superseded.retain(|row| {
            let new = !stored.contains(row.id().as_str());
            n_older += usize::from(new && i < n_incoming);
            i += 1;
            new
        });
        Applied {
            n_new: self.added.len(),
            n_replaced,
            n_older,
            n_known: n_repeated + self.n_known + n_incoming - n_older,
        }
    }
}
