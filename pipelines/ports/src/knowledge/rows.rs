//! The rows of what is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telesift_schemas::{
    ApprovalRule, Atom, AtomKind, AtomLink, AtomVerdict, Chat, ChatId, Class, Evidence,
    ExtractorRef, Generation, MessageKey, Offset, Origin, Timestamp, UnitMember, Usage,
};

/// A unit, and where its extraction stands.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitRow {
    /// Its id.
    pub id: String,
    /// The chat.
    pub chat: Chat,
    /// Its messages in order of arrival, as far as they are left.
    pub members: Vec<UnitMember>,
    /// Its most important class.
    pub class: Class,
    /// When its newest message was sent.
    pub newest: Timestamp,
    /// The record of `units` it came from.
    pub origin: Origin,
    /// Counts what changed its members, from 1.
    pub revision: u64,
    /// Where its extraction stands.
    pub state: UnitState,
    /// How often it was tried since it changed.
    pub attempts: u32,
    /// Before when it is not to be tried again.
    pub not_before: Option<Timestamp>,
    /// What it waits for, why it was given up, or, of one that is done, why nothing was made of it; without message text.
    pub note: Option<String>,
    /// The generation for which it is to be asked for anew, whatever was extracted from it.
    pub again: Option<Generation>,
}

/// Where the extraction of a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitState {
    /// It waits.
    Due,
    /// It was extracted from, or there is nothing to extract.
    Done,
    /// It was given up, and is a dead letter.
    Failed,
}

impl UnitState {
    /// All of them.
    pub const ALL: [UnitState; 3] = [Self::Due, Self::Done, Self::Failed];

    /// The name in JSON and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// How many units stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnitCounts {
    /// Wait.
    pub due: u64,
    /// Are done, those that were passed by among them.
    pub done: u64,
    /// Of those that are done: of which nothing was made, by reason.
    pub passed_by: BTreeMap<String, u64>,
    /// Were given up.
    pub failed: u64,
}

/// What was last extracted from a unit, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExtractionRow {
    /// The unit.
    pub unit: String,
    /// The message versions it was made of.
    pub members: Vec<UnitMember>,
    /// Who answered.
    pub extractor: ExtractorRef,
    /// The unit that was extracted from instead.
    pub same_as: Option<String>,
    /// The generation whose reading it is; `None`: that of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// Claims that were kept.
    pub n_atoms: u32,
    /// Claims that were not, by reason.
    pub rejected: BTreeMap<String, u32>,
    /// What it cost.
    pub usage: Usage,
    /// When it was answered.
    pub at: Timestamp,
    /// Its offset on `extractions`.
    pub offset: Offset,
}

/// Where what a generation reads of a unit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingRow {
    /// The generation; the first: what was read for all.
    pub generation: Generation,
    /// The unit.
    pub unit: String,
    /// Its offset on `extractions`; `None`: the unit was never read for all.
    pub offset: Option<Offset>,
}

/// What changes of the readings, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadingChange {
    /// This one, in place of the same generation's.
    Put(ReadingRow),
    /// None of this unit any more: what was read for all last counts for all.
    Dropped(String),
}

/// An atom with all it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAtom {
    /// As it stands.
    pub atom: Atom,
    /// What units claim, the first to claim it first; none once its evidence is gone.
    pub claims: Vec<AtomClaim>,
    /// What a reader, or a rule, said of it last.
    pub review: Option<AtomReview>,
    /// The atom it was merged into.
    pub merged_into: Option<String>,
    /// Messages that tell the same story as its evidence, by unit.
    pub sources: Vec<AtomSource>,
    /// Whether somebody reviewed it and what it stood on is gone since.
    pub evidence_removed: bool,
    /// The chats of its evidence, where that is gone: who may see it stays the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stood_in: Vec<ChatId>,
    /// Event time of its first evidence; kept when that is gone.
    pub first_at: Timestamp,
    /// Event time of its last evidence; kept when that is gone.
    pub last_at: Timestamp,
}

/// What one unit claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtomClaim {
    /// The unit.
    pub unit: String,
    /// What kind.
    pub kind: AtomKind,
    /// In a few words.
    pub title: String,
    /// In a sentence or a few.
    pub content: String,
    /// 0..1.
    pub confidence: f64,
    /// The subject, by id, as it was claimed: merges are followed when the atom is made.
    pub subject: Option<String>,
    /// Where it stands.
    pub evidence: Vec<Evidence>,
    /// Relations to other atoms.
    pub links: Vec<AtomLink>,
    /// Who extracted it.
    pub extractor: ExtractorRef,
    /// Event time of the first evidence.
    pub first_at: Timestamp,
    /// Event time of the last evidence.
    pub last_at: Timestamp,
}

/// What was said of an atom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtomReview {
    /// What.
    pub verdict: ReviewVerdict,
    /// By whom.
    pub by: String,
    /// Whether a rule said it: then nothing is frozen, and the rules are asked again when the claim changes.
    pub automatic: bool,
    /// When.
    pub at: Timestamp,
    /// What was looked at: it stays whatever is extracted later.
    pub frozen: Option<Frozen>,
}

/// What a review came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// It is right.
    Approved,
    /// It is right as edited.
    Edited,
    /// It is wrong, or of no use.
    Rejected,
}

/// The words of a reviewed atom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// What kind.
    pub kind: AtomKind,
    /// In a few words.
    pub title: String,
    /// In a sentence or a few.
    pub content: String,
    /// 0..1.
    pub confidence: f64,
    /// The subject, by id.
    pub subject: Option<String>,
}

/// Messages of a unit that tell the story an atom was extracted from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtomSource {
    /// Their unit.
    pub unit: String,
    /// The unit that was extracted from instead.
    pub same_as: String,
    /// The messages.
    pub messages: Vec<MessageKey>,
}

/// A subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRow {
    /// Its id, made of `key`.
    pub id: String,
    /// The stems of the name it was first given.
    pub key: String,
    /// Its name.
    pub name: String,
    /// The subject it was merged into.
    pub merged_into: Option<String>,
}

/// A review of an atom that is not there yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingReview {
    /// Its offset on `decisions`.
    pub offset: Offset,
    /// The atom.
    pub atom: String,
    /// What was said.
    pub review: AtomVerdict,
    /// By whom.
    pub owner: String,
    /// When.
    pub at: Timestamp,
}

/// The rules in force by which atoms are approved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRules {
    /// In the order they are asked.
    pub rules: Vec<ApprovalRule>,
    /// Since when.
    pub at: Option<Timestamp>,
    /// Whose word it is.
    pub by: Option<String>,
}
