//! The command line: what can be asked of telesift, and how.

mod bots;
mod cluster;
mod connection;
mod dead_letters;
mod eval;
mod knowledge;
mod models;
mod pipelines;
mod providers;
mod replays;
mod rules;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use bots::{BotsAction, BotsArgs, GapsArgs, NewBot};
pub(crate) use cluster::{
    ConfigArgs, SmartmodulesAction, SmartmodulesArgs, TopicsAction, TopicsApplyArgs, TopicsArgs,
};
pub(crate) use connection::{Connection, connection_first};
pub(crate) use dead_letters::{
    DeadLettersAction, DeadLettersArgs, ListLetters, OfLetters, RetryLetters,
};
pub(crate) use eval::{EvalArgs, EvalWhat};
pub(crate) use knowledge::{
    ApprovalRules, AtomsAction, AtomsArgs, EditAtom, ListAtoms, SubjectsAction, SubjectsArgs,
};
pub(crate) use models::{ModelsAction, ModelsArgs, PullArgs};
pub(crate) use pipelines::{ArroyoArgs, FillArgs, PipelinesAction, PipelinesArgs, WindowsArgs};
pub(crate) use providers::{
    ChatsAction, ChatsArgs, CostArgs, NewProvider, ProvidersAction, ProvidersArgs,
};
pub(crate) use replays::{Comparison, DiffArgs, ReplayAction, ReplayArgs, StartArgs};
pub(crate) use rules::{LearnArgs, RulesAction, RulesArgs};

/// Sifts Telegram: imports, screens, indexes, searches and follows many chats.
#[derive(Debug, Parser)]
#[command(name = "telesift", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start on the embedded defaults with a bundled sample, and show what it is for.
    Demo(ServeArgs),
    /// Serve.
    Serve(ServeArgs),
    /// Import Telegram Desktop exports (JSON) through the running server.
    Import(ImportArgs),
    /// Add, list, check and remove bots whose messages are sifted.
    Bots(BotsArgs),
    /// Add, list, try and remove language models that may be asked.
    Providers(ProvidersArgs),
    /// List chats, and set which models may read them.
    Chats(ChatsArgs),
    /// Show what language models cost, what is left of the budgets, and what a stretch would cost.
    Cost(CostArgs),
    /// Show the holes in the message ids of chats.
    Gaps(GapsArgs),
    /// Search messages.
    Search(SearchArgs),
    /// Show why a message got its score: every factor, and the words behind it.
    Explain(ExplainArgs),
    /// Show the messages that tell one story, oldest first.
    Story(StoryArgs),
    /// List, search and review what the conversations claim, with the words it stands on.
    Atoms(AtomsArgs),
    /// List, rename and merge what it is on.
    Subjects(SubjectsArgs),
    /// Show what trends: terms and links of an hour, with their growth against the hour before.
    Trends(WindowsArgs),
    /// Show what became loud, and which chats fell silent.
    Bursts(WindowsArgs),
    /// Follow a topic live, or from any place in its history.
    Tail(TailArgs),
    /// List topics, read records of one by offset, or make them on a Fluvio cluster.
    Topics(TopicsArgs),
    /// Run a stretch of history again beside the live flow.
    Replay(ReplayArgs),
    /// List what could not be processed, look at it, try it again.
    DeadLetters(DeadLettersArgs),
    /// Check, compare, learn, add and activate rule sets, and roll back.
    Rules(RulesArgs),
    /// Label messages, list labels, export them with their texts.
    Feedback(FeedbackArgs),
    /// Make, list and revoke API keys.
    Keys(KeysArgs),
    /// Show who administered what: keys, rules, imports, replays, labels taken back.
    Audit(AuditArgs),
    /// Bring and list embedding models, without a server.
    Models(ModelsArgs),
    /// Measure screening and extraction on what is labelled, without a server.
    Eval(EvalArgs),
    /// Register the SmartModules of this binary on a Fluvio cluster, for reads with Fluvio's own tools.
    Smartmodules(SmartmodulesArgs),
    /// Put the questions over time windows on an Arroyo beside a Fluvio cluster.
    Pipelines(PipelinesArgs),
    /// Check the installation, the log and the running server, and say what to do.
    Doctor(ConfigArgs),
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

impl Role {
    /// All of them, one by one.
    pub(crate) const EACH: [Role; 9] = [
        Role::Api,
        Role::Ingest,
        Role::Screen,
        Role::Index,
        Role::Stories,
        Role::Embed,
        Role::Extract,
        Role::Alert,
        Role::Windows,
    ];

    /// As it is written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Api => "api",
            Role::Ingest => "ingest",
            Role::Screen => "screen",
            Role::Index => "index",
            Role::Stories => "stories",
            Role::Embed => "embed",
            Role::Extract => "extract",
            Role::Alert => "alert",
            Role::Windows => "windows",
        }
    }
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
    /// Only on this subject, by id (`telesift subjects`); may be repeated.
    #[arg(long = "subject", value_name = "ID")]
    pub(crate) subjects: Vec<String>,
    /// Words and vectors (hybrid), words only (text), or vectors only (vector).
    #[arg(long, default_value = "hybrid", value_name = "MODE")]
    pub(crate) mode: String,
    /// How many hits.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The message, as `<chat id>:<message id>`.
    #[arg(value_name = "MESSAGE", allow_hyphen_values = true)]
    pub(crate) message: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StoryArgs {
    /// Its id, as `story.id` of a message gives it.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// How many messages.
    #[arg(long, default_value_t = 50, value_name = "N")]
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
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct FeedbackArgs {
    #[command(subcommand)]
    pub(crate) action: Option<FeedbackAction>,
    /// The message to label, as `<chat id>:<message id>`.
    #[arg(required = true, value_name = "MESSAGE", allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// What it is: signal, weak_signal or noise; none takes it back.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
    /// Whether it is spam; none takes it back.
    #[arg(long, value_name = "ANSWER")]
    pub(crate) spam: Option<Spam>,
}

/// An answer to whether a message is spam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spam {
    Yes,
    No,
    None,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum FeedbackAction {
    /// List labels, the last given first.
    List {
        #[command(flatten)]
        filters: LabelFilters,
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Print the labelled messages as lines of JSON: text, lang, class, spam, chat, message. Where owners differ, what
    /// is in force.
    Export {
        #[command(flatten)]
        filters: LabelFilters,
    },
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LabelFilters {
    /// Only this message; may be repeated.
    #[arg(long = "message", value_name = "MESSAGE", allow_hyphen_values = true)]
    pub(crate) messages: Vec<String>,
    /// Only this class: noise, weak_signal or signal; may be repeated.
    #[arg(long = "class", value_name = "CLASS")]
    pub(crate) classes: Vec<String>,
    /// Only this chat, by Bot API id; may be repeated.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// Only labels of this owner, by the name of the key; may be repeated.
    #[arg(long = "by", value_name = "NAME")]
    pub(crate) by: Vec<String>,
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

#[derive(Clone, Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only this action, such as keys.create.
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only of the key with this id.
    #[arg(long, value_name = "KEY-ID")]
    pub(crate) by: Option<String>,
    /// Only on this: the id or version of what was administered.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) target: Option<String>,
    /// At or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
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
    fn a_message_is_labelled_by_its_id_or_labels_are_listed() {
        let id = "-1001234567890:42";
        for args in [
            vec!["feedback", id, "--class", "signal", "--spam", "no"],
            vec![
                "feedback", "--class", "signal", "--spam", "no", id, "--json",
            ],
        ] {
            let cli = Cli::try_parse_from([&["telesift"], &args[..]].concat()).unwrap();
            let Command::Feedback(feedback) = cli.command else {
                panic!("{args:?}")
            };
            assert_eq!(feedback.message.as_deref(), Some(id));
            assert_eq!(feedback.class.as_deref(), Some("signal"));
            assert_eq!(feedback.spam, Some(Spam::No));
            assert!(feedback.action.is_none());
        }
        let args = [
            "telesift",
            "feedback",
            "list",
            "--message",
            id,
            "--chat",
            "-7",
        ];
        let Command::Feedback(feedback) = Cli::try_parse_from(args).unwrap().command else {
            panic!("{args:?}")
        };
        assert!(
            matches!(feedback.action, Some(FeedbackAction::List { filters, .. })
            if filters.messages == [id] && filters.chats == [-7])
        );
        assert!(Cli::try_parse_from(["telesift", "feedback"]).is_err());
    }

    #[test]
    fn dead_letters_are_retried_by_id_or_all_of_a_kind() {
        let parse = |args: &[&str]| {
            Cli::try_parse_from([&["telesift", "dead-letters"], args].concat()).map(|c| c.command)
        };
        let retried = parse(&["retry", "a", "b"]).unwrap();
        assert!(
            matches!(retried, Command::DeadLetters(DeadLettersArgs { action: Some(DeadLettersAction::Retry(r)), .. })
            if r.ids == ["a", "b"] && !r.all)
        );
        assert!(
            parse(&[
                "retry",
                "--all",
                "--stage",
                "screen",
                "--code",
                "guest_trap"
            ])
            .is_ok()
        );
        assert!(parse(&["--stage", "screen", "--limit", "5"]).is_ok());
        for wrong in [
            &["retry"][..],
            &["retry", "a", "--all"],
            &["retry", "a", "--stage", "screen"],
            &["show"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_query_may_start_with_a_hyphen() {
        let cli = Cli::try_parse_from(["telesift", "search", "-spam deploy"]).unwrap();
        assert!(matches!(cli.command, Command::Search(s) if s.query == "-spam deploy"));
    }
}
