//! `telesift atoms …` and `telesift subjects …` on the command line.

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AtomsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<AtomsAction>,
    #[command(flatten)]
    pub(crate) list: ListAtoms,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AtomsAction {
    /// List them, those with the latest evidence first; rejected and retracted ones only where asked for.
    List(ListAtoms),
    /// Show one with its evidence and its versions.
    Show {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Approve atoms.
    Approve {
        /// Their ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Reject atoms.
    Reject {
        /// Their ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Change an atom's words, and approve it so.
    Edit(EditAtom),
    /// Merge atoms into another: their evidence joins its.
    Merge {
        /// Their ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// The other one.
        #[arg(long, value_name = "ID")]
        into: String,
    },
    /// Show the rules that approve atoms by themselves, try others, or set them.
    Rules(ApprovalRules),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListAtoms {
    /// Only about this: words, "a phrase", -word and OR are understood; the best first.
    #[arg(value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// Only this kind, such as problem or decision; may be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    pub(crate) kinds: Vec<String>,
    /// Only in this state: needs_review, approved, rejected or retracted; may be repeated.
    #[arg(long = "status", value_name = "STATUS")]
    pub(crate) statuses: Vec<String>,
    /// Only on this subject, by id; may be repeated.
    #[arg(long = "subject", value_name = "ID")]
    pub(crate) subjects: Vec<String>,
    /// Only of this chat, by Bot API id; may be repeated.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// With evidence sent at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// With evidence sent before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EditAtom {
    /// Its id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Another kind.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Another title.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Another content.
    #[arg(long, value_name = "TEXT")]
    pub(crate) content: Option<String>,
    /// Another subject, by name; empty: none.
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ApprovalRules {
    /// Rules as JSON: `{"rules": [{"name": …, "kinds": […], "min_confidence": …}]}`. Without --set they are only tried.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<std::path::PathBuf>,
    /// Set them, for what is extracted from now on.
    #[arg(long, requires = "file")]
    pub(crate) set: bool,
    /// And for what waits for a review now.
    #[arg(long, requires = "set")]
    pub(crate) existing: bool,
}

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SubjectsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<SubjectsAction>,
    /// How many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SubjectsAction {
    /// Show a subject with its atoms.
    Show {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
        /// How many atoms.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Call a subject otherwise.
    Rename {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
        /// The new name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Merge a subject into another: what is on it, now and later, is on that.
    Merge {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
        /// The other one.
        #[arg(long, value_name = "ID")]
        into: String,
    },
}
