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
