//! The command line: what can be asked of telesift, and how.

mod replays;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use replays::{Comparison, DiffArgs, ReplayAction, ReplayArgs, RulesAction, RulesArgs};

/// Sifts Telegram: imports, screens, indexes, searches and follows many chats.
#[derive(Debug, Parser)]
#[command(name = "telesift", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the server is and how to speak to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// URL of the server; by default that of the server running on the data directory.
    #[arg(long, global = true, env = "TELESIFT_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// API key; by default the admin key in the data directory. Better given as TELESIFT_KEY.
    #[arg(
        long,
        global = true,
        env = "TELESIFT_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub(crate) key: Option<String>,
    /// Data directory; by default the platform's data folder, `telesift/`.
    #[arg(long, global = true, env = "TELESIFT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start on the embedded defaults with a bundled sample, and show what it is for.
    Demo(ServeArgs),
    /// Serve.
    Serve(ServeArgs),
    /// Import Telegram Desktop exports (JSON) through the running server.
    Import(ImportArgs),
    /// Search messages.
    Search(SearchArgs),
    /// Follow a topic live, or from any place in its history.
    Tail(TailArgs),
    /// List topics, or read records of one by offset.
    Topics(TopicsArgs),
    /// Run a stretch of history again beside the live flow.
    Replay(ReplayArgs),
    /// Rule sets, and what they would change.
    Rules(RulesArgs),
    /// Look at what could not be processed.
    DeadLetters(DeadLettersArgs),
    /// Make, list and revoke API keys.
    Keys(KeysArgs),
    /// Check the installation and the running server, and say what to do.
    Doctor,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file (TOML); see deploy/telesift.toml for every key.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on; port 0 = any free one.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Which parts of the flow this process runs; anything but `all` needs Fluvio and Postgres.
    #[arg(
        long,
        value_name = "ROLES",
        default_value = "all",
        value_delimiter = ','
    )]
    pub(crate) roles: Vec<Role>,
}

/// A part of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    All,
    Api,
    Ingest,
    Screen,
    Index,
    Stories,
    Embed,
    Extract,
    Alert,
    Windows,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// `result.json` files of Telegram Desktop ("Machine-readable JSON").
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only this chat, by Bot API id; may be repeated.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// Time zone of dates without one (old exports), an IANA name.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub(crate) tz: String,
    /// Return once the server has taken the file in; it goes on by itself.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Filters {
    /// Only this chat, by Bot API id; may be repeated.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// Only this author, by Bot API id; may be repeated.
    #[arg(long = "author", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) authors: Vec<i64>,
    /// Only this class: noise, weak_signal or signal; may be repeated.
    #[arg(long = "class", value_name = "CLASS")]
    pub(crate) classes: Vec<String>,
    /// Only scores from this on, 0 to 1.
    #[arg(long, value_name = "SCORE")]
    pub(crate) min_score: Option<f64>,
    /// Only this language, such as uk; may be repeated.
    #[arg(long = "lang", value_name = "CODE")]
    pub(crate) langs: Vec<String>,
    /// Only this kind, such as text or photo; may be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    pub(crate) kinds: Vec<String>,
    /// Only with this flag, such as spam; may be repeated.
    #[arg(long = "flag", value_name = "FLAG")]
    pub(crate) flags: Vec<String>,
    /// Sent at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Sent before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Noise too.
    #[arg(long)]
    pub(crate) include_noise: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words; "a phrase", -word and OR are understood.
    #[arg(required = true, value_name = "QUERY", allow_hyphen_values = true)]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Words and vectors (hybrid), words only (text), or vectors only (vector).
    #[arg(long, default_value = "hybrid", value_name = "MODE")]
    pub(crate) mode: String,
    /// How many hits.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TailArgs {
    /// The topic.
    #[arg(default_value = "messages", value_name = "TOPIC")]
    pub(crate) topic: String,
    /// latest, earliest, a cursor, or a time of append (RFC 3339).
    #[arg(long, default_value = "latest", value_name = "WHERE")]
    pub(crate) from: String,
    /// all, or one partition.
    #[arg(long, default_value = "all", value_name = "N")]
    pub(crate) partition: String,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Stop once history is caught up, instead of following.
    #[arg(long)]
    pub(crate) no_follow: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TopicsArgs {
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

#[derive(Clone, Debug, Args)]
pub(crate) struct DeadLettersArgs {
    /// Show this one in full.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Only of this stage.
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// Make a key; it is shown once.
    Create {
        /// A name for people.
        name: String,
        /// What it may do: read, review, ingest, admin; may be repeated.
        #[arg(long = "scope", default_value = "read", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// The only chats it may see; may be repeated.
        #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
        chats: Vec<i64>,
        /// When it stops working (RFC 3339).
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// List keys.
    List,
    /// Revoke a key.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn negative_ids_are_values() {
        let cli =
            Cli::try_parse_from(["telesift", "search", "x", "--chat", "-1001234567890"]).unwrap();
        let Command::Search(search) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(search.filters.chats, [-1001234567890]);
    }

    #[test]
    fn a_query_may_start_with_a_hyphen() {
        let cli = Cli::try_parse_from(["telesift", "search", "-spam deploy"]).unwrap();
        assert!(matches!(cli.command, Command::Search(s) if s.query == "-spam deploy"));
    }
}
