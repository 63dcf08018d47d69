//! `telesift dead-letters …` on the command line.

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    pub(crate) action: Option<DeadLettersAction>,
    #[command(flatten)]
    pub(crate) list: ListLetters,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DeadLettersAction {
    /// List them, newest first; those that are not solved unless asked otherwise.
    List(ListLetters),
    /// Show one in full, with its payload.
    Show {
        /// `<stage>:<topic>:<partition>:<offset>`.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Try them again, and say how each ended.
    Retry(RetryLetters),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListLetters {
    #[command(flatten)]
    pub(crate) of: OfLetters,
    /// Only in this state: open, retrying or solved; may be repeated. By default open and retrying.
    #[arg(long = "state", value_name = "STATE")]
    pub(crate) states: Vec<String>,
    /// How many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OfLetters {
    /// Only of this stage; may be repeated.
    #[arg(long = "stage", value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    /// Only with this code, such as guest_trap; may be repeated.
    #[arg(long = "code", value_name = "CODE")]
    pub(crate) codes: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RetryLetters {
    /// These letters.
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with_all = ["all", "stages", "codes"]
    )]
    pub(crate) ids: Vec<String>,
    /// All open ones, narrowed by --stage and --code.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) of: OfLetters,
    /// Return once the server has taken the request; the stages go on by themselves.
    #[arg(long)]
    pub(crate) no_wait: bool,
}
