//! Messages: listed newest first, one by one with their edits, and among their neighbours.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use telesift_ports::message_store::ListPosition;
use telesift_schemas::{Message, MessageKey};

use crate::{
    auth::Reader,
    cursor::Page,
    params::{MessageQuery, Params, path_value},
    problem::{Problem, Result},
    state::App,
    view::MessageView,
};

/// The list's tag in cursors.
const LIST: &str = "messages";
/// Neighbours on each side, unless asked otherwise, and at most.
const DEFAULT_NEIGHBOURS: usize = 10;
const MAX_NEIGHBOURS: usize = 200;

/// List messages, newest first
///
/// By (event time, chat, message id). Noise and deleted messages are left out unless `class`, `include_noise=true` or
/// `kind=deleted` asks for them. Different parameters are AND; one repeated is OR.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages",
    params(
        ("chat" = Option<Vec<String>>, Query, description = "In this chat", example = json!(["-1001234567890"])),
        ("author" = Option<Vec<String>>, Query, description = "By this author"),
        ("class" = Option<Vec<String>>, Query, description = "`noise`, `weak_signal`, `signal`; by the label where there is one"),
        ("min_score" = Option<f64>, Query, description = "At least this score of the screen, 0..1, whatever the label"),
        ("lang" = Option<Vec<String>>, Query, description = "ISO 639-1 code, or `und`", example = json!(["uk"])),
        ("flag" = Option<Vec<String>>, Query, description = "With this flag, such as `spam` (by the label where there is one)"),
        ("kind" = Option<Vec<String>>, Query, description = "`text`, `photo`, … `deleted`, `other`"),
        ("subject" = Option<Vec<String>>, Query, description = "On this subject of the knowledge base, by id"),
        ("since" = Option<String>, Query, description = "Sent at or after (RFC 3339)", example = "2026-01-05T00:00:00Z"),
        ("until" = Option<String>, Query, description = "Sent before (RFC 3339)"),
        ("include_noise" = Option<bool>, Query, description = "Noise too"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of messages", body = Page<MessageView>, example = json!({"items": [crate::openapi::message_example()], "next_cursor": null})))
)]
pub(crate) async fn list(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<MessageView>>> {
    let query = MessageQuery::of_list(&mut params)?;
    let limit = params.limit()?;
    let after: Option<ListPosition> = params.after(LIST)?;
    params.finish()?;

    let store = app.store.seen_by(&viewer);
    let found = match app.on_subjects(&viewer, &query).await? {
        Some(filter) => store.list(&filter, after.as_ref(), limit + 1).await?,
        None => Vec::new(),
    };
    let page = Page::cut(found, limit, LIST, |last: &Message| ListPosition {
        event_time: last.event_time,
        key: last.id,
    })?;
    Ok(Json(app.show_page(&viewer, page).await?))
}

/// A message, with its superseded versions where asked for.
#[derive(Serialize)]
pub(crate) struct MessageWithEdits {
    #[serde(flatten)]
    message: MessageView,
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<Vec<MessageView>>,
}

/// Get a message
///
/// `?history=true` adds `edits`: the superseded versions, oldest first.
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages",
    params(
        ("id" = String, Path, description = "`<chat id>:<message id>`", example = "-1001234567890:42"),
        ("history" = Option<bool>, Query, description = "Superseded versions too"),
    ),
    responses((status = 200, description = "The message", body = MessageView, example = json!(crate::openapi::message_example())))
)]
pub(crate) async fn one(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<MessageWithEdits>> {
    let key: MessageKey = path_value("id", &id)?;
    let history = params.flag("history")?;
    params.finish()?;
    let store = app.store.seen_by(&viewer);
    let message = store.get(&key).await?.ok_or_else(|| missing(&key))?;
    let edits = match history {
        true => Some(app.show(&viewer, store.history(&key).await?).await?),
        false => None,
    };
    Ok(Json(MessageWithEdits {
        message: app.show_one(&viewer, message).await?,
        edits,
    }))
}

/// List a message's neighbours in its chat
///
/// Ascending by message id, the message itself included; noise too.
#[utoipa::path(
    get, path = "/v1/messages/{id}/context", tag = "messages",
    params(
        ("id" = String, Path, description = "`<chat id>:<message id>`", example = "-1001234567890:42"),
        ("before" = Option<usize>, Query, description = "Messages before it, 0..=200, 10 unless given"),
        ("after" = Option<usize>, Query, description = "Messages after it, 0..=200, 10 unless given"),
    ),
    responses((status = 200, description = "The neighbours", body = Page<MessageView>))
)]
pub(crate) async fn context(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<Page<MessageView>>> {
    let key: MessageKey = path_value("id", &id)?;
    let before = neighbours("before", &mut params)?;
    let after = neighbours("after", &mut params)?;
    params.finish()?;
    let items = app
        .store
        .seen_by(&viewer)
        .context(&key, before, after)
        .await?;
    if items.iter().all(|m| m.id != key) {
        return Err(missing(&key));
    }
    Ok(Json(Page {
        items: app.show(&viewer, items).await?,
        next_cursor: None,
    }))
}

fn neighbours(name: &'static str, params: &mut Params) -> Result<usize> {
    let n = params
        .parsed(name, "a number from 0 to 200")?
        .unwrap_or(DEFAULT_NEIGHBOURS);
    if n > MAX_NEIGHBOURS {
        let detail = format!("`{name}` is a number from 0 to {MAX_NEIGHBOURS}, not {n}");
        return Err(Problem::invalid(name, detail));
    }
    Ok(n)
}

pub(super) fn missing(key: &MessageKey) -> Problem {
    Problem::not_found("message", key)
}
