//! The arguments of `telesift replay` and `telesift rules diff`.

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(subcommand)]
    pub(crate) action: ReplayAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ReplayAction {
    /// Start a replay; so far, dry runs of `screen`, which write nothing.
    Start {
        /// The stage to run again.
        #[arg(long, default_value = "screen", value_name = "STAGE")]
        stage: String,
        /// Write nothing, only compare. Required: other replays are not supported yet.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        what: Comparison,
        /// Follow it to its end and print the report.
        #[arg(long)]
        wait: bool,
    },
    /// List replays, newest first.
    List {
        /// How many.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Show what a replay found, so far or in the end.
    Show {
        /// Its id.
        id: String,
        /// Samples to show of each change.
        #[arg(long, default_value_t = 20, value_name = "N")]
        samples: usize,
    },
    /// Stop it after the batch in flight; it keeps its place.
    Pause {
        /// Its id.
        id: String,
    },
    /// Let it go on where it stood.
    Resume {
        /// Its id.
        id: String,
    },
    /// Give it up; what it found so far stays readable.
    Cancel {
        /// Its id.
        id: String,
    },
}

/// Two rule sets and a range of the log.
#[derive(Clone, Debug, Args)]
pub(crate) struct Comparison {
    /// The new rules: a file (TOML or JSON), or the name of a version.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) rules: String,
    /// What to compare with: a file, or the name of a version; by default the rules active in the range.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) base: Option<String>,
    /// First raw records: earliest, latest, a cursor of telegram-raw, or a time of append (RFC 3339).
    #[arg(long, default_value = "earliest", value_name = "WHERE")]
    pub(crate) from: String,
    /// Where to stop before, in the same words.
    #[arg(long, default_value = "latest", value_name = "WHERE")]
    pub(crate) to: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) what: Comparison,
    /// Samples to show of each change.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) samples: usize,
}
