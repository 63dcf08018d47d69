//! Providers of language models: added, listed, tried, removed. No answer ever holds a key.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use telesift_ports::{
    Provider, Secret,
    extractor::{Unit, UnitMessage},
    providers::{
        AskError, Asked, CallOutcome, CallRow, Limits, NewProvider, ProviderInfo, Reservation,
        Terms, day_of,
    },
};
use telesift_schemas::{Chat, ChatId, ChatKind, MessageKey, Offset, Origin, PartitionId, Topic};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::{
    auth::Admin,
    body::JsonObject,
    cursor::Page,
    params::{Params, parse_closed},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "providers";
/// A test is given up after this long: below the time a request may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);

/// A provider to be added.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewProviderBody {
    /// Its name here: 1 to 64 of `A-Z a-z 0-9 _ - .`.
    #[schema(example = "example")]
    name: String,
    /// `openai` (any OpenAI-compatible endpoint), `ollama`, `anthropic`.
    #[schema(example = "openai")]
    kind: String,
    /// Its base address, https and public; others stand in the configuration file.
    #[schema(example = "https://api.example/v1")]
    url: String,
    /// Its name of the model.
    #[schema(example = "small-model")]
    model: String,
    /// The key, where one is needed.
    #[serde(default)]
    key: Option<String>,
    /// US dollars per million tokens sent.
    #[serde(default)]
    usd_per_million_in: Option<f64>,
    /// US dollars per million tokens received.
    #[serde(default)]
    usd_per_million_out: Option<f64>,
    /// Tokens an answer may have, 64 to 32,768; 2,048 unless given.
    #[serde(default)]
    max_tokens_out: Option<u32>,
    /// Whether the model thinks before it answers.
    #[serde(default)]
    reasoning: Option<bool>,
    /// Seconds one attempt may take, 1 to 600; 60 unless given.
    #[serde(default)]
    timeout_s: Option<u64>,
    /// Calls under way at once, 1 to 64; 4 unless given.
    #[serde(default)]
    max_concurrent: Option<usize>,
    /// Calls begun per minute; 0 = no limit.
    #[serde(default)]
    requests_per_minute: Option<u32>,
    /// Tokens sent per minute; 0 = no limit.
    #[serde(default)]
    tokens_per_minute: Option<u32>,
}

const FIELDS: &[&str] = &[
    "name",
    "kind",
    "url",
    "model",
    "key",
    "usd_per_million_in",
    "usd_per_million_out",
    "max_tokens_out",
    "reasoning",
    "timeout_s",
    "max_concurrent",
    "requests_per_minute",
    "tokens_per_minute",
];

impl NewProviderBody {
    fn terms(&self) -> Terms {
        let usual = Terms::default();
        Terms {
            usd_per_million_in: self.usd_per_million_in.unwrap_or(0.0),
            usd_per_million_out: self.usd_per_million_out.unwrap_or(0.0),
            max_tokens_out: self.max_tokens_out.unwrap_or(usual.max_tokens_out),
            reasoning: self.reasoning.unwrap_or(usual.reasoning),
            timeout_s: self.timeout_s.unwrap_or(usual.timeout_s),
            max_concurrent: self.max_concurrent.unwrap_or(usual.max_concurrent),
            requests_per_minute: self.requests_per_minute.unwrap_or(0),
            tokens_per_minute: self.tokens_per_minute.unwrap_or(0),
        }
    }
}

/// Add a provider of language models
///
/// Its key is kept encrypted and never shown again. Its address is resolved and refused if it is private. Texts of a chat go
/// to it only once the chat is set to `remote`, with consent.
#[utoipa::path(
    post, path = "/v1/providers", tag = "providers",
    request_body(content = NewProviderBody, example = json!({"name": "example", "kind": "openai", "url": "https://api.example/v1", "model": "small-model", "key": "sk-…", "usd_per_million_in": 0.15, "usd_per_million_out": 0.6})),
    responses((status = 201, description = "The provider, without its key", body = Object))
)]
pub(crate) async fn add(
    _admin: Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Response> {
    let body: NewProviderBody = body.into(FIELDS)?;
    let added = app.providers.add(NewProvider {
        kind: parse_closed("kind", &body.kind)?,
        terms: body.terms(),
        name: body.name,
        url: body.url,
        model: body.model,
        key: body.key.map(Secret::new),
    });
    Ok((StatusCode::CREATED, Json(added.await?)).into_response())
}

/// List providers, by name
#[utoipa::path(
    get, path = "/v1/providers", tag = "providers",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of providers, without their keys", body = Page<Object>, example = json!({"items": [{"name": "example", "kind": "openai", "url": "https://api.example/v1", "model": "small-model", "has_key": true, "local": false, "source": "api", "usd_per_million_in": 0.15, "usd_per_million_out": 0.6, "max_tokens_out": 2048, "reasoning": false, "timeout_s": 60, "max_concurrent": 4, "requests_per_minute": 0, "tokens_per_minute": 0, "created_at": "2026-01-05T10:00:00Z", "failure": null}], "next_cursor": null})))
)]
pub(crate) async fn list(
    _admin: Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<ProviderInfo>>> {
    let limit = params.limit()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let mut all = app.providers.list().await?;
    all.retain(|p| after.as_ref().is_none_or(|after| p.name > *after));
    let page = Page::cut(all, limit, LIST, |last| last.name.clone())?;
    Ok(Json(page))
}

/// Remove a provider
///
/// What it answered stays. One of the configuration file is removed there.
#[utoipa::path(
    delete, path = "/v1/providers/{name}", tag = "providers",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) async fn remove(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    params: Params,
) -> Result<StatusCode> {
    params.finish()?;
    match app.providers.remove(&name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("provider", name)),
    }
}

/// How a test went.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TestView {
    /// Whether it answered as asked.
    ok: bool,
    /// What went wrong, in words.
    error: Option<String>,
    /// The model.
    model: Option<String>,
    /// The prompt's version.
    prompt: String,
    /// Milliseconds it took.
    latency_ms: u64,
    /// Tokens sent.
    tokens_in: u64,
    /// Tokens received.
    tokens_out: u64,
    /// What it cost, in millionths of a US dollar.
    micro_usd: u64,
}

/// Try a provider
///
/// Makes one small call, with a text of telesift's own. It counts as spent, whatever the budgets say.
#[utoipa::path(
    post, path = "/v1/providers/{name}/test", tag = "providers",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "How it went", body = TestView))
)]
pub(crate) async fn test(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<TestView>> {
    params.finish()?;
    let provider = app.providers.get(&name).await?;
    let provider = provider.ok_or_else(|| Problem::not_found("provider", &name))?;
    let unit = sample(&app);
    let reservation = Reservation {
        day: day_of(app.clock.now()),
        chat: unit.chat.id,
        most: provider.estimate(&unit).most,
    };
    let is_counted = !provider.is_local();
    if is_counted {
        // Without limits nothing is refused.
        app.catalog
            .reserve(&reservation, &Limits::default())
            .await?;
    }
    let started = Instant::now();
    let asked = timeout(TEST_TIMEOUT, provider.ask(&unit)).await;
    let asked = asked.unwrap_or_else(|_| given_up(&reservation));
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let call = call(&app, &*provider, &unit, &asked, latency_ms);
    let reserved = is_counted.then_some(&reservation);
    app.catalog.settle(&call, reserved).await?;
    let readable = asked.answer.and_then(|a| provider.claims(&unit, &a));
    Ok(Json(TestView {
        ok: readable.is_ok(),
        error: readable.err().map(|e| e.to_string()),
        model: provider.by().model.clone(),
        prompt: provider.by().version.clone(),
        latency_ms,
        tokens_in: asked.usage.tokens_in,
        tokens_out: asked.usage.tokens_out,
        micro_usd: asked.usage.micro_usd,
    }))
}

fn given_up(reservation: &Reservation) -> Asked {
    Asked {
        answer: Err(AskError::Unavailable {
            reason: format!("no answer within {} s", TEST_TIMEOUT.as_secs()),
            retry_after: None,
        }),
        usage: reservation.most,
        is_estimated: true,
    }
}

fn call(
    app: &App,
    provider: &dyn Provider,
    unit: &Unit,
    asked: &Asked,
    latency_ms: u64,
) -> CallRow {
    let outcome = match &asked.answer {
        Ok(_) => CallOutcome::Ok,
        Err(AskError::Resting { .. } | AskError::Unavailable { .. }) => CallOutcome::Unavailable,
        Err(AskError::Unusable { .. }) => CallOutcome::Unusable,
        Err(AskError::Refused { .. }) => CallOutcome::Refused,
    };
    CallRow {
        id: Uuid::now_v7().simple().to_string(),
        at: app.clock.now(),
        chat: unit.chat.id,
        unit: unit.id.clone(),
        by: provider.by().clone(),
        input: provider.estimate(unit).input,
        outcome,
        usage: asked.usage,
        is_estimated: asked.is_estimated,
        latency_ms,
    }
}

/// A unit of nobody's chat.
fn sample(app: &App) -> Unit {
    let chat = Chat {
        id: ChatId(0),
        title: None,
        kind: ChatKind::Group,
        username: None,
    };
    Unit {
        id: "test".to_owned(),
        messages: vec![UnitMessage {
            id: MessageKey {
                chat: chat.id,
                message_id: 1,
            },
            edit: 0,
            origin: Origin {
                topic: Topic::TELEGRAM_RAW,
                partition: PartitionId(0),
                offset: Offset(0),
            },
            event_time: app.clock.now(),
            author: None,
            reply_to: None,
            text: "The nightly backup fails since Monday: the disk of db-2 is full.".to_owned(),
            lang: "en".to_owned(),
            score: 1.0,
        }],
        chat,
        subjects: Vec::new(),
    }
}
