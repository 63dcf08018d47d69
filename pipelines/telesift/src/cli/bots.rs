//! What can be asked about bots, and about what they may have missed.

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct BotsArgs {
    #[command(subcommand)]
    pub(crate) action: BotsAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BotsAction {
    /// Add a bot: token, then webhook secret, as two lines on standard input, or in TELESIFT_BOT_TOKEN and
    /// TELESIFT_BOT_SECRET. Without a secret one is made.
    Add(NewBot),
    /// List bots and how they stand.
    List,
    /// Show how one bot stands, what Telegram says of it, and what to do.
    Status {
        /// Its name.
        name: String,
    },
    /// Remove a bot; what was taken of it stays.
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NewBot {
    /// Its name here; part of the webhook's address.
    pub(crate) name: String,
    /// The only chat whose updates are taken, by Bot API id; may be repeated.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// Leave Telegram alone: the webhook is set by somebody else.
    #[arg(long)]
    pub(crate) no_register: bool,
    /// Ask Telegram for updates instead of being called; for machines without a public address.
    #[arg(long)]
    pub(crate) poll: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct GapsArgs {
    /// Only this chat, by Bot API id; may be repeated. All of them unless given.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
    /// How many holes of each chat.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
}
