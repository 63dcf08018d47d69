//! Arroyo's pipelines, and what trends and bursts.

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigArgs;

#[derive(Clone, Debug, Args)]
pub(crate) struct PipelinesArgs {
    #[command(subcommand)]
    pub(crate) action: PipelinesAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PipelinesAction {
    /// List the questions, their topics and UDFs.
    List,
    /// Print the SQL of a question, or of all, filled in.
    Render {
        /// Its name, as `list` shows it.
        name: Option<String>,
        #[command(flatten)]
        fill: FillArgs,
    },
    /// Show what Arroyo lacks, and submit it with --yes: topics, UDFs, pipelines.
    Apply {
        #[command(flatten)]
        fill: FillArgs,
        #[command(flatten)]
        arroyo: ArroyoArgs,
        /// Operators of each kind that run beside each other.
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
        parallelism: u64,
        /// Leave the topics alone: they are there.
        #[arg(long)]
        no_topics: bool,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Show the pipelines on Arroyo and how their jobs are.
    Status {
        #[command(flatten)]
        arroyo: ArroyoArgs,
    },
    /// Show which of our pipelines and UDFs are on Arroyo, and take them away with --yes; topics stay.
    Remove {
        #[command(flatten)]
        arroyo: ArroyoArgs,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

/// What stands in the SQL for the cluster at hand.
#[derive(Clone, Debug, Args)]
pub(crate) struct FillArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where Arroyo reaches the cluster; by default `log.fluvio.endpoint`.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) fluvio: Option<String>,
    /// Where the pipelines begin: live, or with all that is kept (which on a topic of several partitions loses what the
    /// partitions are apart).
    #[arg(long, default_value = "latest", value_name = "WHERE")]
    pub(crate) from: From,
    /// Another name for a topic, as `messages=messages-g2`; may be repeated.
    #[arg(long = "topic", value_name = "TOPIC=NAME")]
    pub(crate) topics: Vec<String>,
}

/// A place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    Latest,
    Earliest,
}

impl From {
    /// As Arroyo writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            From::Latest => "latest",
            From::Earliest => "earliest",
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ArroyoArgs {
    /// URL of Arroyo's API.
    #[arg(
        long,
        env = "TELESIFT_ARROYO",
        default_value = "http://127.0.0.1:5115",
        value_name = "URL"
    )]
    pub(crate) arroyo: String,
    /// In front of the pipelines' names, so that several flows can share an Arroyo.
    #[arg(long, default_value = "telesift", value_name = "WORD", value_parser = word)]
    pub(crate) prefix: String,
}

/// What a name of Arroyo's may begin with.
fn word(text: &str) -> Result<String, String> {
    const MAX: usize = 64;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (1..=MAX).contains(&text.len()) && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected 1 to {MAX} of `A-Z a-z 0-9 - _`")),
    }
}

/// What of the windows is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct WindowsArgs {
    /// Windows that end at this time or before (RFC 3339); now unless given.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Windows that end after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only this kind: term or link of trends; chat, term or silence of bursts; may be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    pub(crate) kinds: Vec<String>,
    /// Only messages of this chat, by Bot API id; may be repeated.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// How many.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
}
