//! What can be wrong with a replay that is asked for, steered or switched to.

use super::{ReplayState, RuleFault};

/// Why a replay cannot be started, steered or looked up.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A rule set cannot be used.
    #[error("`{field}`: {fault}")]
    Rules {
        /// `rules` or `base`.
        field: &'static str,
        /// What is wrong with it.
        fault: RuleFault,
    },
    /// There is no rules version of that name.
    #[error("`{field}`: there is no rules version `{name}`")]
    UnknownRules {
        /// `rules` or `base`.
        field: &'static str,
        /// The name asked for.
        name: String,
    },
    /// The range makes no sense.
    #[error("`{field}`: {reason}")]
    Range {
        /// `from` or `to`.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A cursor of another log, or beyond the end.
    #[error("`{field}`: {reason}")]
    CursorUnknown {
        /// `from` or `to`.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Too many replays are unfinished.
    #[error("{0} replays are unfinished already; try again when one is over, or cancel one")]
    QueueFull(usize),
    /// The replay filled no generation: it is a dry run, failed or was cancelled.
    #[error("this replay has no generation to switch to or from: {0}")]
    NoGeneration(&'static str),
    /// The generation's place does not allow it.
    #[error("generation {generation} {reason}")]
    Generation {
        /// Which.
        generation: u32,
        /// Why not.
        reason: String,
    },
    /// The generation lacks what the live one has.
    #[error("generation {generation} is behind: {}; try again", missing.join(", "))]
    NotCaughtUp {
        /// Which.
        generation: u32,
        /// Stages and how many records they lack.
        missing: Vec<String>,
    },
    /// The replay's state does not allow it.
    #[error("the replay is {}", .0.as_str())]
    State(ReplayState),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crate::record_log::Error),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] crate::catalog::Error),
    /// The list of generations cannot be read or changed.
    #[error(transparent)]
    Generations(#[from] crate::generations::GenerationsError),
}
