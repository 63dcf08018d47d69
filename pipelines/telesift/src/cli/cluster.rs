//! Topics, and what is put on a Fluvio cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The configuration of the server, for commands that do its work without it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML) of the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SmartmodulesArgs {
    #[command(subcommand)]
    pub(crate) action: SmartmodulesAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SmartmodulesAction {
    /// Register them, in the place of other versions.
    Push(ConfigArgs),
    /// List them: those of this binary, and whether the cluster has them.
    List(ConfigArgs),
    /// Fail unless the cluster has exactly those of this binary.
    Verify(ConfigArgs),
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TopicsAction {
    /// Show which topics a Fluvio cluster lacks, and make them with --yes.
    Apply(TopicsApplyArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TopicsApplyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Topics file; by default that of the configuration, else the one this binary carries (deploy/topics.toml).
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Make what is missing.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<TopicsAction>,
    /// Read records of this topic instead of listing all.
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// Its partition.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) partition: u32,
    /// First offset; by default the first kept.
    #[arg(long, value_name = "OFFSET")]
    pub(crate) from: Option<u64>,
    /// How many records.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) limit: usize,
}
