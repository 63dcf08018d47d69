//! Bots as the document shows them.

use utoipa::ToSchema;

/// A bot, without its secrets.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents `BotInfo` of the ports")]
pub(crate) struct BotInfoBody {
    /// Its name here.
    #[schema(example = "ops")]
    name: String,
    /// Its user id at Telegram.
    #[schema(example = "123456")]
    id: String,
    /// `webhook`, `polling`.
    delivery: String,
    /// Whether telesift told Telegram where updates go.
    registered: bool,
    /// The only chats whose updates are taken; empty = all.
    chats: Vec<String>,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
    /// `listening`, `starting`, `polling`, `waiting`, `conflict` (another poller or a webhook takes the updates), `revoked`
    /// (Telegram does not know the token any more), `locked` (its secrets cannot be read).
    state: String,
    /// More about the state, in words.
    detail: Option<String>,
    /// Nothing is asked of Telegram before this time.
    #[schema(format = DateTime)]
    waiting_until: Option<String>,
    /// Since when it stands so.
    #[schema(format = DateTime)]
    since: String,
}

/// A bot, with what Telegram says of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents `BotReport` of the ports")]
pub(crate) struct BotReportBody {
    #[schema(inline)]
    #[serde(flatten)]
    bot: BotInfoBody,
    /// Telegram's `getWebhookInfo`; `null` where Telegram could not be asked.
    webhook: Option<WebhookInfoBody>,
    /// Why Telegram could not be asked.
    error: Option<String>,
    /// What is wrong and what to do, in plain words; empty where all is well.
    advice: Vec<String>,
}

/// What Telegram knows of a bot's webhook.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents `WebhookInfo` of the ports")]
pub(crate) struct WebhookInfoBody {
    /// Where Telegram sends updates; empty = nowhere.
    url: String,
    /// Updates that wait at Telegram.
    pending_updates: u64,
    /// The last failure to deliver one, in Telegram's words.
    last_error: Option<String>,
    /// When that was.
    #[schema(format = DateTime)]
    last_error_at: Option<String>,
    /// The kinds of updates asked for; empty = Telegram's default, without reactions.
    allowed_updates: Vec<String>,
}
