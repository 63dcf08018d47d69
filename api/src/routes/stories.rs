//! Stories: the messages that tell the same.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use telesift_ports::story_catalog::MemberPosition;

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

/// List the messages of a story, oldest first
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
    responses((status = 200, description = "A page of messages", body = Page<MessageView>, example = json!({"items": [crate::openapi::message_example()], "next_cursor": null})))
)]
pub(crate) async fn members(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<Page<MessageView>>> {
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
    Ok(Json(app.show_page(&viewer, page).await?))
}
