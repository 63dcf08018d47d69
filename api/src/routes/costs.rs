//! What models cost: by calls that were made, beside the budgets; and before any is made.

mod conversations;

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use telesift_ports::{
    Provider,
    extractor::{Unit, UnitMessage},
    message_store::{ListPosition, MessageFilter},
    providers::{Budget, CostBy, CostFilter, CostRow, Enrich, Spent, day_of},
};
use telesift_schemas::{ChatId, Message, Usage};

use crate::{
    auth::Auditor,
    params::{Params, parse_closed},
    problem::Result,
    state::App,
};

/// Messages looked at for one estimate; what lies beyond is not counted, and the answer says so.
const MAX_MESSAGES: usize = 50_000;
/// Messages read at a time.
const PAGE: usize = 1_000;

/// What models cost.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CostView {
    /// By what the items are summed up.
    by: &'static str,
    /// Those that cost most first, 1,000 at most. `{key, calls, cached, failed, tokens_in, tokens_out, micro_usd, latency_ms}`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<CostRow>,
    /// All of them together.
    #[schema(value_type = Object)]
    total: CostRow,
    /// Today's budgets.
    budgets: BudgetsView,
}

/// The budgets of a day, and what counts as spent: also what is set aside for calls under way.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct BudgetsView {
    /// Which day, in UTC.
    #[schema(example = "2026-01-05")]
    day: String,
    /// In all: `{tokens, micro_usd}`, each with its `limit` (`null` = none) and `spent`.
    daily: SidesView,
    /// Of each chat; `spent` is that of the chat asked for, else 0.
    chat_daily: SidesView,
}

/// A budget's two sides.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SidesView {
    tokens: SideView,
    micro_usd: SideView,
}

/// One side of a budget.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SideView {
    limit: Option<u64>,
    spent: u64,
}

impl SidesView {
    fn new(budget: Budget, spent: Spent) -> Self {
        let side = |limit, spent| SideView { limit, spent };
        SidesView {
            tokens: side(budget.tokens, spent.tokens),
            micro_usd: side(budget.micro_usd, spent.micro_usd),
        }
    }
}

/// Sum up calls of language models
///
/// Answers of the cache count as calls that cost nothing.
#[utoipa::path(
    get, path = "/v1/stats/cost", tag = "providers",
    params(
        ("since" = Option<String>, Query, description = "Over at this time or later"),
        ("until" = Option<String>, Query, description = "Over before this time"),
        ("by" = Option<String>, Query, description = "`total` (unless given), `day`, `chat`, `provider`, `model`, `outcome`"),
        ("chat" = Option<String>, Query, description = "The chat whose budget is shown"),
    ),
    responses((status = 200, description = "Tokens and money", body = CostView))
)]
pub(crate) async fn costs(
    _auditor: Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<CostView>> {
    let filter = CostFilter {
        since: params.time("since")?,
        until: params.time("until")?,
    };
    let by = params.one("by")?;
    let by = by.map(|by| parse_closed("by", &by)).transpose()?;
    let by = by.unwrap_or(CostBy::Total);
    let chat: Option<ChatId> = params.parsed("chat", "a chat id such as -1001234567890")?;
    params.finish()?;
    let items = app.catalog.costs(&filter, by).await?;
    let total = app.catalog.costs(&filter, CostBy::Total).await?;
    Ok(Json(CostView {
        by: by.as_str(),
        items,
        total: total.into_iter().next().unwrap_or_default(),
        budgets: budgets(&app, chat).await?,
    }))
}

async fn budgets(app: &App, chat: Option<ChatId>) -> Result<BudgetsView> {
    let now = app.clock.now();
    let day = day_of(now);
    let all = app.catalog.spent(day, None).await?;
    let of_chat = match chat {
        Some(_) => app.catalog.spent(day, chat).await?,
        None => Spent::default(),
    };
    let limits = &app.config.budgets;
    Ok(BudgetsView {
        day: now.to_string().chars().take(10).collect(),
        daily: SidesView::new(limits.daily, all),
        chat_daily: SidesView::new(limits.chat_daily, of_chat),
    })
}

/// What extracting from a stretch would cost.
#[derive(Default, Serialize, utoipa::ToSchema)]
pub(crate) struct EstimateView {
    /// Messages that would be read: signals and weak signals.
    messages: u64,
    /// Units they would come to, about.
    units: u64,
    /// Whether there are more messages than were looked at.
    truncated: bool,
    /// By who would read them, the provider's name or `rules`.
    #[schema(value_type = Object)]
    by: BTreeMap<String, ShareView>,
    /// Messages of chats that are `off`.
    off: u64,
    /// Money at most, in millionths of a US dollar: as if every answer were as long as it may be, and none were there
    /// already.
    micro_usd_at_most: u64,
}

/// A reader's share.
#[derive(Default, Serialize, utoipa::ToSchema)]
pub(crate) struct ShareView {
    messages: u64,
    units: u64,
    /// Tokens sent, about.
    tokens_in: u64,
    /// Tokens received at most.
    tokens_out_at_most: u64,
    /// In millionths of a US dollar.
    micro_usd_at_most: u64,
}

/// Estimate what extraction from a stretch would cost
///
/// Nobody is asked. What is answered already is counted all the same, so that it may cost less.
#[utoipa::path(
    get, path = "/v1/stats/cost/estimate", tag = "providers",
    params(
        ("since" = Option<String>, Query, description = "Messages of this time or later"),
        ("until" = Option<String>, Query, description = "Messages before this time"),
        ("chat" = Option<Vec<String>>, Query, description = "Only these chats"),
    ),
    responses((status = 200, description = "Tokens and money, at most", body = EstimateView))
)]
pub(crate) async fn estimate(
    Auditor(viewer): Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<EstimateView>> {
    let filter = MessageFilter {
        since: params.time("since")?,
        until: params.time("until")?,
        chats: params.all_parsed("chat", "a chat id such as -1001234567890")?,
        ..MessageFilter::default()
    };
    params.finish()?;
    let mut view = EstimateView::default();
    let mut chats: BTreeMap<ChatId, Vec<Message>> = BTreeMap::new();
    let mut after: Option<ListPosition> = None;
    let store = app.store.seen_by(&viewer);
    loop {
        let page = store.list(&filter, after.as_ref(), PAGE).await?;
        after = page.last().map(|m| ListPosition {
            event_time: m.event_time,
            key: m.id,
        });
        let is_last = page.len() < PAGE;
        view.messages += page.len() as u64;
        for message in page.into_iter().filter(|m| !m.text.trim().is_empty()) {
            chats.entry(message.chat.id).or_default().push(message);
        }
        view.truncated = !is_last && view.messages >= MAX_MESSAGES as u64;
        if is_last || view.truncated {
            break;
        }
    }
    for (chat, messages) in chats {
        add_chat(&app, chat, messages, &mut view).await?;
    }
    Ok(Json(view))
}

async fn add_chat(
    app: &App,
    chat: ChatId,
    messages: Vec<Message>,
    view: &mut EstimateView,
) -> Result<()> {
    let setting = app.catalog.chat_setting(chat).await?;
    let enrich = setting.map(|s| s.effective()).unwrap_or_default();
    if enrich == Enrich::Off {
        view.off += messages.len() as u64;
        return Ok(());
    }
    let provider = app.providers.chosen(enrich).await?;
    let name = match &provider {
        Some(provider) => provider.by().name.clone(),
        None => "rules".to_owned(),
    };
    let share = view.by.entry(name).or_default();
    for part in conversations::conversations(messages, &app.config.conversations) {
        view.units += 1;
        share.units += 1;
        share.messages += part.len() as u64;
        if let Some(provider) = &provider {
            let most = cost_of(&**provider, &part);
            share.tokens_in += most.tokens_in;
            share.tokens_out_at_most += most.tokens_out;
            share.micro_usd_at_most += most.micro_usd;
            view.micro_usd_at_most += most.micro_usd;
        }
    }
    Ok(())
}

fn cost_of(provider: &dyn Provider, part: &[Message]) -> Usage {
    let Some(first) = part.first() else {
        return Usage::default();
    };
    let messages = part.iter().filter_map(|message| {
        Some(UnitMessage {
            id: message.id,
            edit: message.edit,
            origin: message.origin.clone()?,
            event_time: message.event_time,
            author: message.author.as_ref().and_then(|a| a.name.clone()),
            reply_to: message.reply_to,
            text: message.text.clone(),
            lang: String::new(),
            score: message.screen.as_ref().map_or(0.0, |s| s.score),
        })
    });
    let unit = Unit {
        id: String::new(),
        chat: first.chat.clone(),
        messages: messages.collect(),
        subjects: Vec::new(),
    };
    provider.estimate(&unit).most
}
