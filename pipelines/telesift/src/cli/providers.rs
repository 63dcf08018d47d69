//! What can be asked about providers of language models, which chats they may read, and what they cost.

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct ProvidersArgs {
    #[command(subcommand)]
    pub(crate) action: ProvidersAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProvidersAction {
    /// Add a provider: its key as a line on standard input, or in TELESIFT_PROVIDER_KEY.
    Add(NewProvider),
    /// List providers, without their keys.
    List,
    /// Remove a provider; what it answered stays.
    Remove {
        /// Its name.
        name: String,
    },
    /// Make one small call, and say how it went.
    Test {
        /// Its name.
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NewProvider {
    /// Its name here.
    pub(crate) name: String,
    /// The interface: `openai` (any OpenAI-compatible endpoint), `ollama`, `anthropic`.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: String,
    /// Its base address, https and public; others stand in the configuration file.
    #[arg(long = "base-url", value_name = "URL")]
    pub(crate) base_url: String,
    /// Its name of the model.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: String,
    /// It needs no key.
    #[arg(long)]
    pub(crate) no_key: bool,
    /// US dollars per million tokens sent.
    #[arg(long, default_value_t = 0.0, value_name = "USD")]
    pub(crate) usd_per_million_in: f64,
    /// US dollars per million tokens received.
    #[arg(long, default_value_t = 0.0, value_name = "USD")]
    pub(crate) usd_per_million_out: f64,
    /// Tokens an answer may have.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens_out: Option<u32>,
    /// The model thinks before it answers.
    #[arg(long)]
    pub(crate) reasoning: bool,
    /// Seconds one attempt may take.
    #[arg(long, value_name = "S")]
    pub(crate) timeout_s: Option<u64>,
    /// Calls under way at once.
    #[arg(long, value_name = "N")]
    pub(crate) max_concurrent: Option<usize>,
    /// Calls begun per minute; 0 = no limit.
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<u32>,
    /// Tokens sent per minute; 0 = no limit.
    #[arg(long, value_name = "N")]
    pub(crate) tokens_per_minute: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ChatsArgs {
    #[command(subcommand)]
    pub(crate) action: ChatsAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ChatsAction {
    /// List chats, with the models that may read them.
    List,
    /// Set which models may read a chat.
    Set {
        /// The chat, by its Bot API id.
        #[arg(allow_negative_numbers = true)]
        chat: i64,
        /// `off`, `local` or `remote`.
        #[arg(long, value_name = "WHICH")]
        enrich: String,
        /// The chat's texts may go to models of others; needed for `remote`.
        #[arg(long)]
        consent: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CostArgs {
    /// From this time on, such as 2026-01-05T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Sum up by `total`, `day`, `chat`, `provider`, `model` or `outcome`.
    #[arg(long, default_value = "day", value_name = "WHAT")]
    pub(crate) by: String,
    /// Estimate instead what extraction from the messages of that time would cost at most. Asks nobody.
    #[arg(long, conflicts_with = "by")]
    pub(crate) estimate: bool,
    /// With --estimate: only this chat, by Bot API id; may be repeated. Else: the chat whose budget is shown.
    #[arg(long = "chat", value_name = "ID", allow_negative_numbers = true)]
    pub(crate) chats: Vec<i64>,
}
