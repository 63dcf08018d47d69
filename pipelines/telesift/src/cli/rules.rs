//! `telesift rules …` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::replays::DiffArgs;

#[derive(Clone, Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) action: RulesAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RulesAction {
    /// List rule sets, newest first; the active one is marked.
    List,
    /// Show a rule set as TOML, the active one unless named.
    Show {
        /// `name@version+hash`, or a beginning of it that fits one set only.
        #[arg(value_name = "VERSION")]
        version: Option<String>,
    },
    /// Add a rule set; it screens nothing until it is activated.
    Add {
        /// TOML, or JSON where the name ends in `.json`.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Why, in words.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Make a rule set screen what comes from now on; an earlier one again to roll back.
    Activate {
        /// `name@version+hash`, or a beginning of it that fits one set only.
        #[arg(value_name = "VERSION")]
        version: String,
        /// latest, unscreened (all that is not screened yet), or a cursor of telegram-raw.
        #[arg(long, default_value = "latest", value_name = "WHERE")]
        from: String,
        /// Why, in words.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// List activations, newest first.
    History {
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Show what new rules would change on a stretch of history, without touching anything. Ctrl-C cancels.
    Diff(DiffArgs),
    /// Propose a next version of the active rules from analysts' labels, with its measured effect. Changes nothing.
    Learn(LearnArgs),
    /// Check a rule set without a server.
    Check {
        /// TOML, or JSON where the name ends in `.json`.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LearnArgs {
    /// Labels in a file (a JSON object a line with `text`, `class`, `chat`) instead of those the server keeps.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Rules to start from (TOML) instead of the active ones; with --labels, instead of those that ship.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Write the proposed set here instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
