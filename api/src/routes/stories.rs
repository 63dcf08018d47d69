//! Stories: the messages that tell the same.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use telesift_ports::story_catalog::MemberPosition;
use telesift_schemas::{ChatId, Timestamp};
use telesift_windows::spread::Spread;

use crate::{
    auth::Reader,
    cursor::Page,
    params::Params,
    problem::{Problem, Result},
    state::App,
    view::MessageView,
};

/// The list's tag in cursors.
const LIST: &str = "story";

/// A story: how it spread, and who tells it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StoryView {
    /// Over all its messages, whatever page is shown.
    spread: SpreadView,
    /// Its messages, oldest first.
    #[serde(flatten)]
    page: Page<MessageView>,
}

/// How a story spread over chats.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SpreadView {
    /// When its oldest message was sent.
    #[schema(value_type = String, format = DateTime)]
    first_seen: Timestamp,
    /// When its newest was.
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
    /// How many messages tell it.
    messages: u64,
    /// In how many chats.
    chats: u64,
    /// Chats per hour from the oldest message to the first one of the chat reached last; `null` where it stands in one chat
    /// only.
    chats_per_hour: Option<f64>,
    /// The most chats that told it again within an hour.
    peak_chats_per_hour: f64,
    /// The chats in the order it came to them, a hundred at most.
    path: Vec<ReachedView>,
}

/// A chat a story came to.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ReachedView {
    /// The chat.
    #[schema(value_type = String)]
    chat: ChatId,
    /// Its newest title.
    title: Option<String>,
    /// When it was first told there.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Chats of a path that are named.
const MAX_PATH: usize = 100;

impl SpreadView {
    fn new(spread: Spread, mut titles: HashMap<ChatId, String>) -> Self {
        let reached = spread.path.into_iter().take(MAX_PATH);
        SpreadView {
            first_seen: spread.first_seen,
            last_seen: spread.last_seen,
            messages: spread.messages,
            chats: spread.chats,
            chats_per_hour: spread.chats_per_hour,
            peak_chats_per_hour: spread.peak_chats_per_hour,
            path: reached
                .map(|(chat, at)| ReachedView {
                    chat,
                    title: titles.remove(&chat),
                    at,
                })
                .collect(),
        }
    }
}

/// Show how a story spread, and list its messages, oldest first
///
/// By (event time, chat, message id): reposts, forwards and near duplicates of one text, noise too. To a key limited to
/// chats only those count; where fewer than two are left, there is no story. A message that was just assigned may come a
/// moment later.
#[utoipa::path(
    get, path = "/v1/stories/{id}", tag = "messages",
    params(
        ("id" = String, Path, description = "`story.id` of a message", example = "1f0c9a7be2d34456a1b2c3d4e5f60718"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of messages", body = StoryView, example = json!({"spread": {"first_seen": "2026-01-05T10:00:00Z", "last_seen": "2026-01-05T11:30:00Z", "messages": 3, "chats": 2, "chats_per_hour": 2.0, "peak_chats_per_hour": 1.0, "path": [{"chat": "-1001234567890", "title": "Ops", "at": "2026-01-05T10:00:00Z"}, {"chat": "-1009876543210", "title": "News", "at": "2026-01-05T11:00:00Z"}]}, "items": [crate::openapi::message_example()], "next_cursor": null})))
)]
pub(crate) async fn members(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<StoryView>> {
    let limit = params.limit()?;
    let after: Option<MemberPosition> = params.after(LIST)?;
    params.finish()?;
    // Two at least, so that a story of one is known as none.
    let members = app
        .story_members(&viewer, &id, after.as_ref(), (limit + 1).max(2))
        .await?;
    if after.is_none() && members.len() < 2 {
        return Err(Problem::not_found("story", &id));
    }
    let page = Page::cut(members, limit, LIST, |last| MemberPosition::from(last))?;
    let keys: Vec<_> = page.items.iter().map(|m| m.message).collect();
    let messages = app.store.seen_by(&viewer).get_many(&keys).await?;
    let mut messages: HashMap<_, _> = messages.into_iter().map(|m| (m.id, m)).collect();
    let in_order = keys.iter().filter_map(|key| messages.remove(key)).collect();
    let page = Page {
        items: in_order,
        next_cursor: page.next_cursor,
    };
    let spread = app.story_spread(&viewer, &id).await?;
    let spread = spread.ok_or_else(|| Problem::not_found("story", &id))?;
    Ok(Json(StoryView {
        spread: SpreadView::new(spread, app.titles(&viewer).await?),
        page: app.show_page(&viewer, page).await?,
    }))
}
