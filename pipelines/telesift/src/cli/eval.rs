//! What can be measured.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(subcommand)]
    pub(crate) what: EvalWhat,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum EvalWhat {
    /// Classes, scores and spam beside labels: confusion, figures per language, calibration, worst mistakes.
    Screen {
        /// Labelled messages: a JSON object a line with `text`, `lang`, `class` and, or instead, `spam`.
        #[arg(long, value_name = "FILE")]
        labels: PathBuf,
        /// A rule set (TOML) instead of the one that ships.
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// How many of the worst mistakes to show.
        #[arg(long, default_value_t = 10, value_name = "N")]
        worst: usize,
    },
    /// Claims beside those an analyst would make: precision and recall per kind and language, evidence, subjects, mistakes.
    Extract {
        /// Conversations: a JSON object a line with `name`, `lang`, `messages` and the claims to `expect`.
        #[arg(long, value_name = "FILE")]
        labels: PathBuf,
        /// How many mistakes to show.
        #[arg(long, default_value_t = 20, value_name = "N")]
        worst: usize,
    },
}
