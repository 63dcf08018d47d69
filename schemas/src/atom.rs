//! `atoms`: a claim with its evidence, as it stands now.

use serde::{Deserialize, Serialize};

use crate::{ExtractorRef, MessageKey, Origin, Timestamp};

/// A record of `atoms`: one version of one atom. The greatest version is current.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Atom {
    /// Record version: 1.
    pub v: u32,
    /// The atom: the same for the same claim of the same unit, whoever extracts it again.
    pub id: String,
    /// What kind of claim.
    pub kind: AtomKind,
    /// In a few words.
    pub title: String,
    /// In a sentence or a few.
    pub content: String,
    /// 0..1; how sure the extractor was.
    pub confidence: f64,
    /// What a reader said of it.
    pub status: AtomStatus,
    /// The subject it belongs to.
    pub subject: Option<SubjectRef>,
    /// Where it stands; empty only once retracted.
    pub evidence: Vec<Evidence>,
    /// Relations to other atoms.
    pub links: Vec<AtomLink>,
    /// Counts changes, from 1.
    pub version: u32,
    /// Who extracted it, with what.
    pub extractor: ExtractorRef,
    /// The unit of conversation it was extracted from.
    pub unit: String,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl Atom {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// What an atom claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AtomKind {
    /// Something does not work, or threatens to.
    Problem,
    /// What mended or avoids a problem.
    Solution,
    /// Something was decided.
    Decision,
    /// Something is asked that matters to more than one.
    Question,
    /// Something was understood: a cause, a connection.
    Insight,
    /// Something that happens again and again.
    Pattern,
    /// Something has to be so.
    Requirement,
    /// Something has to be done.
    Task,
}

impl AtomKind {
    /// All kinds, in the order above.
    pub const ALL: [AtomKind; 8] = [
        Self::Problem,
        Self::Solution,
        Self::Decision,
        Self::Question,
        Self::Insight,
        Self::Pattern,
        Self::Requirement,
        Self::Task,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Solution => "solution",
            Self::Decision => "decision",
            Self::Question => "question",
            Self::Insight => "insight",
            Self::Pattern => "pattern",
            Self::Requirement => "requirement",
            Self::Task => "task",
        }
    }
}

/// What readers said of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AtomStatus {
    /// Nobody looked at it yet.
    NeedsReview,
    /// Somebody stands for it, or a rule does.
    Approved,
    /// It is wrong or of no use.
    Rejected,
    /// What it stood on is gone.
    Retracted,
}

impl AtomStatus {
    /// All states, in the order above.
    pub const ALL: [AtomStatus; 4] = [
        Self::NeedsReview,
        Self::Approved,
        Self::Rejected,
        Self::Retracted,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsReview => "needs_review",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Retracted => "retracted",
        }
    }
}

/// What a reader says of an atom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum AtomVerdict {
    /// It is right.
    Approve,
    /// It is wrong, or of no use.
    Reject,
    /// It is right once these fields are as given; what is absent stays.
    Edit {
        /// Another kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<AtomKind>,
        /// Another title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Another content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        /// Another subject, by name; empty: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
    },
    /// It says what another one says: its evidence joins that one's.
    Merge {
        /// The other one.
        into: String,
    },
}

/// What becomes of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum SubjectChange {
    /// It is called otherwise.
    Rename {
        /// The new name.
        name: String,
    },
    /// It is another one: what is on it, now and later, is on that.
    Merge {
        /// The other one.
        into: String,
    },
}

/// Atoms that are approved without anybody looking at them: those that are all of this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ApprovalRule {
    /// Its name, which stands beside what it approves.
    pub name: String,
    /// Of one of these kinds; empty: of any.
    #[serde(default)]
    pub kinds: Vec<AtomKind>,
    /// Of at least this confidence, 0..1.
    pub min_confidence: f64,
    /// On one of these subjects, by id; empty: on any, or none.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// With all evidence in these chats; empty: anywhere.
    #[serde(default)]
    pub chats: Vec<crate::ChatId>,
    /// By one of these extractors, by name; empty: by any.
    #[serde(default)]
    pub extractors: Vec<String>,
    /// With at least so many messages as evidence.
    #[serde(default)]
    pub min_messages: u32,
}

impl ApprovalRule {
    /// Whether it approves `atom`, which nobody has looked at.
    pub fn matches(&self, atom: &Atom) -> bool {
        fn asks<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        let mut messages: Vec<MessageKey> = atom.evidence.iter().map(|e| e.message).collect();
        messages.sort_unstable();
        messages.dedup();
        let subject_ok = self.subjects.is_empty()
            || atom
                .subject
                .as_ref()
                .is_some_and(|s| self.subjects.contains(&s.id));
        atom.status == AtomStatus::NeedsReview
            && !messages.is_empty()
            && asks(&self.kinds, &atom.kind)
            && atom.confidence >= self.min_confidence
            && subject_ok
            && messages.iter().all(|m| asks(&self.chats, &m.chat))
            && asks(&self.extractors, &atom.extractor.name)
            && messages.len() >= self.min_messages as usize
    }
}

/// How two claims are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// This mends that.
    Solves,
    /// This answers that.
    Answers,
    /// This explains that.
    Explains,
    /// This contradicts that.
    Contradicts,
    /// Both are about one thing.
    Relates,
}

/// A subject area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct SubjectRef {
    /// Which.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Where a claim stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// The message.
    pub message: MessageKey,
    /// The version of it that was read, as in [`crate::Message::edit`].
    pub edit: i64,
    /// The words, exactly as they stand there.
    pub quote: String,
    /// First character of them in the message's text, counted in Unicode code points from 0.
    pub start: u32,
    /// The character after them.
    pub end: u32,
    /// The raw record of the version.
    pub origin: Origin,
}

/// A relation to another atom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct AtomLink {
    /// Which relation.
    pub kind: LinkKind,
    /// The other atom.
    pub to: String,
}
