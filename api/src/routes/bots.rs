//! Bots: added, listed with how they stand, looked at closely, removed. No answer ever holds a token or secret.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use telesift_ports::{
    Secret,
    bots::{BotInfo, BotReport, Delivery, NewBot},
};

use crate::{
    auth::Admin,
    body::JsonObject,
    cursor::Page,
    openapi::{BotInfoBody, BotReportBody},
    params::{Params, parse_value},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "bots";

/// A bot to be added.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewBotBody {
    /// Its name here: 1 to 64 of `A-Z a-z 0-9 _ - .`; part of the webhook's address.
    #[schema(example = "ops")]
    name: String,
    /// The token that BotFather gave.
    #[schema(example = "123456:ABC-DEF")]
    token: String,
    /// What Telegram sends with each update, 1 to 256 of `A-Z a-z 0-9 _ -`; made here if it is absent and `register` is
    /// true.
    #[serde(default)]
    secret: Option<String>,
    /// The only chats whose updates are taken; empty = all.
    #[serde(default)]
    chats: Vec<String>,
    /// Whether Telegram is told: to send updates here, or for `poll` to keep them for us. True unless given.
    #[serde(default = "yes")]
    register: bool,
    /// Ask Telegram for updates instead of being called; for machines without a public address.
    #[serde(default)]
    poll: bool,
}

fn yes() -> bool {
    true
}

const FIELDS: &[&str] = &["name", "token", "secret", "chats", "register", "poll"];

/// Add a bot
///
/// Its token and secret are kept encrypted and never shown again. Telegram is told where to send updates, unless `register`
/// is false; if it refuses, nothing is added.
#[utoipa::path(
    post, path = "/v1/bots", tag = "bots",
    request_body(content = NewBotBody, example = json!({"name": "ops", "token": "123456:ABC-DEF", "secret": "a-long-random-text", "chats": ["-1001234567890"], "register": true})),
    responses((status = 201, description = "The bot", body = BotInfoBody))
)]
pub(crate) async fn add(
    _admin: Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Response> {
    let body: NewBotBody = body.into(FIELDS)?;
    let chats = body.chats.iter();
    let chats = chats.map(|c| parse_value("chats", c, "a chat id such as -1001234567890"));
    let bot = NewBot {
        name: body.name,
        token: Secret::new(body.token),
        secret: body.secret.map(Secret::new),
        chats: chats.collect::<Result<_>>()?,
        delivery: match body.poll {
            true => Delivery::Polling,
            false => Delivery::Webhook,
        },
        register: body.register,
    };
    let added = app.bots.add(bot).await?;
    Ok((StatusCode::CREATED, Json(added)).into_response())
}

/// List bots, by name
#[utoipa::path(
    get, path = "/v1/bots", tag = "bots",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of bots", body = Page<BotInfoBody>))
)]
pub(crate) async fn list(
    _admin: Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<BotInfo>>> {
    let limit = params.limit()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let mut bots = app.bots.list().await?;
    bots.retain(|b| after.as_ref().is_none_or(|after| b.name > *after));
    Page::cut(bots, limit, LIST, |last| last.name.clone()).map(Json)
}

/// Get a bot, with what Telegram says of it
///
/// `webhook` is Telegram's `getWebhookInfo`; `advice` says in plain words what is wrong and what to do.
#[utoipa::path(
    get, path = "/v1/bots/{name}", tag = "bots",
    params(("name" = String, Path, description = "The bot's name here")),
    responses((status = 200, description = "The bot", body = BotReportBody))
)]
pub(crate) async fn one(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<BotReport>> {
    params.finish()?;
    let report = app.bots.report(&name).await?;
    report
        .map(Json)
        .ok_or_else(|| Problem::not_found("bot", name))
}

/// Remove a bot
///
/// What was taken of it stays. The webhook that was set for it is taken back at Telegram.
#[utoipa::path(
    delete, path = "/v1/bots/{name}", tag = "bots",
    params(("name" = String, Path, description = "The bot's name here")),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) async fn remove(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    params: Params,
) -> Result<StatusCode> {
    params.finish()?;
    match app.bots.remove(&name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("bot", name)),
    }
}
