//! Telegram calls: who it is is checked before the body is read, and 200 is said only once the update is durable.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use telesift_ports::{
    bots::{Admission, TakeError},
    record_log,
};

use crate::{
    problem::{Code, Problem, Result, from_ports::shutting_down},
    state::App,
};

/// Where Telegram puts the secret it was given.
const SECRET: &str = "x-telegram-bot-api-secret-token";

/// Take an update of a bot
///
/// For Telegram. 200 = the update is in the log, durably, or was there before, or is of a chat outside the bot's list; any
/// JSON object with the right secret is taken. Telegram repeats what is not answered with 200.
#[utoipa::path(
    post, path = "/v1/telegram/webhook/{bot}", tag = "bots",
    security(("webhook" = [])),
    params(
        ("bot" = String, Path, description = "The bot's name here"),
        ("X-Telegram-Bot-Api-Secret-Token" = String, Header, description = "The secret that was given to Telegram"),
    ),
    request_body(content = Object, description = "An `Update` of the Bot API, 1 MiB at most"),
    responses(
        (status = 200, description = "Taken"),
        (status = 401, description = "`unauthorized`: no such bot, or not its secret", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: the log cannot take it now; with `Retry-After`", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn take(
    State(app): State<Arc<App>>,
    Path(bot): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode> {
    let secret = headers.get(SECRET).map_or(&b""[..], |v| v.as_bytes());
    let mut admission = app.bots.admit(&bot, secret);
    // It may have been added at another process, and Telegram calls at once.
    if matches!(admission, Admission::Refused) && app.bots.look_again().await {
        admission = app.bots.admit(&bot, secret);
    }
    let source = match admission {
        Admission::Admitted(source) => source,
        Admission::Refused => return Err(refused()),
        Admission::Unknown { reason } => {
            return Err(Problem::unavailable("this bot", reason).retry_after(60));
        }
    };
    let limit = app.config.max_update_bytes;
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|n_bytes| n_bytes > limit) {
        return Err(too_large(limit));
    }
    let payload = read_whole(body, announced.unwrap_or(0), limit).await?;
    match app.bots.take(&source, payload).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(TakeError::Malformed(reason)) => Err(Problem::new(Code::MalformedRequest, reason)),
        Err(TakeError::Log(record_log::Error::Closed)) => Err(shutting_down()),
        // Whatever it is, the update is not stored, and Telegram keeps it.
        Err(TakeError::Log(error)) => Err(Problem::unavailable("the log", error)),
    }
}

async fn read_whole(body: Body, announced: usize, limit: usize) -> Result<Bytes> {
    let mut payload = BytesMut::with_capacity(announced);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(Code::MalformedRequest, "the update broke off").because(error)
        })?;
        if payload.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        payload.extend_from_slice(&chunk);
    }
    Ok(payload.freeze())
}

fn refused() -> Problem {
    Problem::new(
        Code::Unauthorized,
        "no such bot, or not the secret it was added with",
    )
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("an update may have {limit} bytes at most"),
    )
    .with("limit", limit)
}
