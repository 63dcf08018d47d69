//! The arguments of `telesift replay` and `telesift rules diff`.

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) start: StartArgs,
    #[command(subcommand)]
    pub(crate) action: Option<ReplayAction>,
}

/// What to replay.
#[derive(Clone, Debug, Args)]
pub(crate) struct StartArgs {
    /// The stage to run again: screen (messages and all that is made of them; where `--rules` is given, that is meant), index
    /// (the store), embed (a store with the vectors of the other model in the configuration), stories, windows (statistics,
    /// trends, bursts), extract (conversations, where somebody else would read them now) or alert (a dry run only).
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// First raw records: earliest, latest, a cursor of telegram-raw, or a time of append (RFC 3339). What lies before is
    /// taken over as it is.
    #[arg(long, default_value = "earliest", value_name = "WHERE")]
    pub(crate) from: String,
    /// Where to stop before, in the same words. What lies behind follows the rules in force.
    #[arg(long, default_value = "latest", value_name = "WHERE")]
    pub(crate) to: String,
    /// The new rules: a file (TOML or JSON), or the name of a version; by default those that screened each record.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) rules: Option<String>,
    /// What a dry run compares with: a file, or the name of a version; by default the rules that screened each record.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) base: Option<String>,
    /// Write nothing: compare two rule sets; of other stages count what they would work on, of extract what that costs too.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Decide on stories anew, rather than take over those that are recorded.
    #[arg(long)]
    pub(crate) reassign: bool,
    /// Follow it to its end and print the report.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ReplayAction {
    /// Start a replay; the same as `replay` with these options.
    Start(StartArgs),
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
    /// Give it up: what a dry run found so far stays readable, what any other wrote is removed.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Make the generation it filled the live one.
    Switch {
        /// The replay's id.
        id: String,
    },
    /// Make the generation live again that was so before.
    SwitchBack {
        /// The replay's id.
        id: String,
    },
    /// List generations, and how far they are.
    Generations,
    /// Give a generation up: what it alone uses is removed.
    Retire {
        /// Its number.
        generation: u32,
    },
}

/// Two rule sets and a range of the log.
#[derive(Clone, Debug, Args)]
pub(crate) struct Comparison {
    /// The new rules: a file (TOML or JSON), or the name of a version.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) rules: String,
    /// What to compare with: a file, or the name of a version; by default the rules that screened each record.
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
