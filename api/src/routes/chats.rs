//! The chats messages were seen of.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use telesift_ports::message_store::ChatSummary;
use telesift_schemas::{Chat, ChatId};

use crate::{auth::Reader, cursor::Page, params::Params, problem::Result, state::App};

/// The list's tag in cursors.
const LIST: &str = "chats";

/// A chat, as its newest message shows it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ChatView {
    /// `{id, title, kind, username}`.
    #[serde(flatten)]
    #[schema(value_type = Object, inline)]
    chat: Chat,
    /// Messages of it, each in its current version.
    n_messages: u64,
    /// The supergroup that this basic group became; its messages go on there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    migrated_to: Option<ChatId>,
    /// The basic group that this supergroup was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    migrated_from: Option<ChatId>,
}

impl ChatView {
    fn new(summary: ChatSummary, links: &[(ChatId, ChatId)]) -> Self {
        let id = summary.chat.id;
        ChatView {
            migrated_to: links
                .iter()
                .find(|(from, _)| *from == id)
                .map(|(_, to)| *to),
            migrated_from: links
                .iter()
                .find(|(_, to)| *to == id)
                .map(|(from, _)| *from),
            chat: summary.chat,
            n_messages: summary.n_messages,
        }
    }
}

/// List chats, by id
#[utoipa::path(
    get, path = "/v1/chats", tag = "messages",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of chats", body = Page<Object>, example = json!({"items": [{"id": "-1001234567890", "title": "Ops", "kind": "supergroup", "n_messages": 100}], "next_cursor": null})))
)]
pub(crate) async fn list(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<ChatView>>> {
    let limit = params.limit()?;
    let after: Option<ChatId> = params.after(LIST)?;
    params.finish()?;
    let mut chats = app.store.seen_by(&viewer).chats().await?;
    chats.sort_unstable_by_key(|c| c.chat.id);
    chats.retain(|c| after.is_none_or(|after| c.chat.id > after));
    let page = Page::cut(chats, limit, LIST, |last| last.chat.id)?;
    let mut links = app.catalog.chat_links().await?;
    // Of a chat that the key may not see, not even the id is told.
    let visible = viewer.visible_chats();
    links.retain(|(from, to)| visible.is_none_or(|v| v.contains(from) && v.contains(to)));
    Ok(Json(page.map(|summary| ChatView::new(summary, &links))))
}
