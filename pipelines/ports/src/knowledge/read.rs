//! What readers ask of atoms and subjects.

use serde::{Deserialize, Serialize};
use telesift_schemas::{AtomKind, AtomStatus, ChatId, MessageKey, Timestamp};

use super::StoredAtom;

/// Which atoms. Different fields are AND, values of one field OR; an empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AtomFilter {
    /// Of these kinds.
    pub kinds: Vec<AtomKind>,
    /// In these states; empty: neither rejected nor retracted.
    pub statuses: Vec<AtomStatus>,
    /// On these subjects, by id.
    pub subjects: Vec<String>,
    /// With evidence, or a further source, in one of these chats.
    pub chats: Vec<ChatId>,
    /// With evidence sent at or after.
    pub since: Option<Timestamp>,
    /// With evidence sent before.
    pub until: Option<Timestamp>,
    /// What the caller's key may see: atoms all of whose evidence stands in these chats. `None`: all.
    pub visible_chats: Option<Vec<ChatId>>,
}

impl AtomFilter {
    /// Whether `stored` passes.
    pub fn matches(&self, stored: &StoredAtom) -> bool {
        fn asks<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        let atom = &stored.atom;
        let status_ok = match self.statuses.is_empty() {
            true => !matches!(atom.status, AtomStatus::Rejected | AtomStatus::Retracted),
            false => self.statuses.contains(&atom.status),
        };
        let subject_ok = self.subjects.is_empty()
            || atom
                .subject
                .as_ref()
                .is_some_and(|s| self.subjects.contains(&s.id));
        status_ok
            && subject_ok
            && stored.merged_into.is_none()
            && asks(&self.kinds, &atom.kind)
            && (self.chats.is_empty() || stored.chats().any(|chat| self.chats.contains(&chat)))
            && self.since.is_none_or(|t| stored.last_at >= t)
            && self.until.is_none_or(|t| stored.first_at < t)
            && stored.is_visible_in(self.visible_chats.as_deref())
    }
}

impl StoredAtom {
    /// The units it stands on, or would have stood on had their story not been extracted before.
    pub fn units(&self) -> impl Iterator<Item = &String> {
        let claims = self.claims.iter().map(|c| &c.unit);
        claims.chain(self.sources.iter().map(|s| &s.unit))
    }

    /// The messages of its evidence and further sources, with repeats.
    pub fn messages(&self) -> impl Iterator<Item = MessageKey> {
        let evidence = self.atom.evidence.iter().map(|e| e.message);
        let sources = self.sources.iter().flat_map(|s| &s.messages);
        evidence.chain(sources.copied())
    }

    /// The chats of its evidence and further sources, with repeats; of a retracted atom those it stood on last.
    pub fn chats(&self) -> impl Iterator<Item = ChatId> {
        let evidence = self.atom.evidence.iter().map(|e| e.message.chat);
        let sources = self.sources.iter().flat_map(|s| &s.messages);
        evidence
            .chain(sources.map(|m| m.chat))
            .chain(self.stood_in.iter().copied())
    }

    /// Whether a key that sees `chats` only may see it: all of its evidence stands there, or stood there last.
    pub fn is_visible_in(&self, chats: Option<&[ChatId]>) -> bool {
        let Some(chats) = chats else {
            return true;
        };
        self.atom
            .evidence
            .iter()
            .map(|e| e.message.chat)
            .chain(self.stood_in.iter().copied())
            .all(|chat| chats.contains(&chat))
    }
}

/// A place in a list of atoms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AtomPosition {
    /// Event time of the first evidence.
    pub first_at: Timestamp,
    /// The atom.
    pub id: String,
}

impl From<&StoredAtom> for AtomPosition {
    fn from(stored: &StoredAtom) -> Self {
        AtomPosition {
            first_at: stored.first_at,
            id: stored.atom.id.clone(),
        }
    }
}

/// A subject with what is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Atoms on it that are neither rejected nor retracted.
    pub n_atoms: u64,
    /// Event time of the last evidence of any.
    pub last_at: Timestamp,
}

/// A place in a list of subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubjectPosition {
    /// The name, folded.
    pub sort: String,
    /// The subject.
    pub id: String,
}

impl From<&SubjectSummary> for SubjectPosition {
    fn from(subject: &SubjectSummary) -> Self {
        SubjectPosition {
            sort: sort_name(&subject.name),
            id: subject.id.clone(),
        }
    }
}

/// What subjects are sorted by.
pub fn sort_name(name: &str) -> String {
    telesift_text::fold(name)
}
