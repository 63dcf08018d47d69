//! Replays: what a stretch of the log would come to under other rules, without touching anything.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use telesift_ports::replays::{
    Bound, BoundError, Order, ReplayError, ReplayRequest, ReplayStage, RuleText, RulesChoice,
};

use crate::{
    auth::Admin,
    body::JsonObject,
    cursor::Page,
    params::{Closed, Params, parse_closed},
    problem::{Code, Problem, Result},
    state::App,
};

mod view;

pub(crate) use view::ReplayView;

/// The list's tag in cursors.
const LIST: &str = "replays";

impl Closed for ReplayStage {
    const VALUES: &'static [Self] = &[
        ReplayStage::Screen,
        ReplayStage::Index,
        ReplayStage::Stories,
        ReplayStage::Embed,
        ReplayStage::Extract,
        ReplayStage::Alert,
        ReplayStage::Windows,
    ];
    fn name(self) -> &'static str {
        self.as_str()
    }
}

/// A replay to be made.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewReplay {
    /// `screen`; the other stages (`index`, `stories`, `embed`, `extract`, `alert`, `windows`) are refused as 501 so far.
    #[schema(example = "screen")]
    stage: String,
    /// First raw records: `earliest` (unless given), `latest`, a cursor of `telegram-raw`, or a time of append.
    #[serde(default)]
    from: Option<String>,
    /// Where to stop before, in the same words; `latest` unless given.
    #[serde(default)]
    to: Option<String>,
    /// The new rules: the name of a version, or a rule set as TOML text, as JSON text or as a JSON object.
    #[schema(value_type = Value)]
    rules: Value,
    /// What they are compared with, in the same forms; unless given, the rules active in the range.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    base: Option<Value>,
    /// `true`: nothing is written. Anything else is refused as 501 so far.
    #[serde(default)]
    dry_run: bool,
}

const FIELDS: &[&str] = &["stage", "from", "to", "rules", "base", "dry_run"];

/// A replay that was queued.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StartedReplay {
    /// Its id.
    id: String,
}

/// Start a replay
///
/// A dry run of `screen` judges every raw record of the range under two rule sets and compares: nothing is written to
/// topics, stores or statistics, and nobody is notified. The range is fixed now; it is half-open. One replay runs at a
/// time, at low priority; it resumes by itself after a restart.
#[utoipa::path(
    post, path = "/v1/replays", tag = "replays",
    request_body(content = NewReplay, example = json!({"stage": "screen", "from": "2026-01-05T00:00:00Z", "to": "latest", "rules": "name = \"mine\"\nversion = 2\n[thresholds]\nsignal = 0.7\n", "dry_run": true})),
    responses(
        (status = 202, description = "Queued", body = StartedReplay),
        (status = 400, description = "`invalid_rules`: a rule set cannot be used", body = crate::openapi::ProblemBody, content_type = "application/problem+json", example = json!({"type": "/errors#invalid_rules", "title": "Invalid rules", "status": 400, "detail": "`rules`: line 4: threshold `signal` is 7; it must be from 0 to 1", "instance": "urn:telesift:request:…", "code": "invalid_rules", "parameter": "rules", "line": 4, "reason": "threshold `signal` is 7; it must be from 0 to 1"})),
    )
)]
pub(crate) async fn start(
    _admin: Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Response> {
    let body: NewReplay = body.into(FIELDS)?;
    let stage: ReplayStage = parse_closed("stage", &body.stage)?;
    if stage != ReplayStage::Screen || !body.dry_run {
        return Err(Problem::new(
            Code::NotSupportedYet,
            "only dry runs of `screen` are supported yet: send `\"stage\": \"screen\", \"dry_run\": true`",
        )
        .with("supported", serde_json::json!([{"stage": "screen", "dry_run": true}])));
    }
    let request = ReplayRequest {
        from: bound("from", body.from, Bound::Earliest)?,
        to: bound("to", body.to, Bound::Latest)?,
        rules: choice("rules", body.rules)?,
        base: body.base.map(|base| choice("base", base)).transpose()?,
    };
    let replay = app.replays.start(request).await?;
    let location = format!("/v1/replays/{}", replay.id);
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(StartedReplay { id: replay.id }),
    )
        .into_response())
}

fn bound(field: &'static str, text: Option<String>, default: Bound) -> Result<Bound> {
    let Some(text) = text else {
        return Ok(default);
    };
    text.parse().map_err(|error: BoundError| {
        Problem::invalid(field, format!("`{field}`: {error}")).with("value", text)
    })
}

/// A name, or a rule set. A name holds neither line breaks nor `=`, and every rule set in TOML does.
fn choice(field: &'static str, value: Value) -> Result<RulesChoice> {
    match value {
        Value::Object(_) => Ok(RulesChoice::Inline(RuleText::Json(value.to_string()))),
        Value::String(text) if text.trim_start().starts_with('{') => {
            Ok(RulesChoice::Inline(RuleText::Json(text)))
        }
        Value::String(text) if text.contains(['\n', '=']) => {
            Ok(RulesChoice::Inline(RuleText::Toml(text)))
        }
        Value::String(text) if !text.trim().is_empty() => {
            Ok(RulesChoice::Named(text.trim().to_owned()))
        }
        _ => Err(Problem::invalid(
            field,
            format!("`{field}` is the name of a rules version, or a rule set in TOML or JSON"),
        )),
    }
}

/// List replays, newest first
///
/// Without their samples.
#[utoipa::path(
    get, path = "/v1/replays", tag = "replays",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of replays", body = Page<ReplayView>))
)]
pub(crate) async fn list(
    _admin: Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<ReplayView>>> {
    let limit = params.limit()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let found = app.replays.list(after.as_deref(), limit + 1).await?;
    let page = Page::cut(found, limit, LIST, |last| last.id.clone())?;
    Ok(Json(page.map(ReplayView::in_list)))
}

/// Get a replay
///
/// Progress and result are those of the last checkpoint, about a second old; they count nothing twice.
#[utoipa::path(
    get, path = "/v1/replays/{id}", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 200, description = "Where it stands and what it found", body = ReplayView, example = json!(view::example())))
)]
pub(crate) async fn one(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(app.replays.status(&id).await, &id)
}

/// Pause a replay
///
/// It stops after the batch in flight and keeps its place. Doing so again changes nothing.
#[utoipa::path(
    post, path = "/v1/replays/{id}/pause", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 200, description = "Where it stands", body = ReplayView))
)]
pub(crate) async fn pause(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(app.replays.steer(&id, Order::Pause).await, &id)
}

/// Resume a replay
///
/// It waits for its turn, then goes on where it stood. Doing so again changes nothing.
#[utoipa::path(
    post, path = "/v1/replays/{id}/resume", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 200, description = "Where it stands", body = ReplayView))
)]
pub(crate) async fn resume(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(app.replays.steer(&id, Order::Resume).await, &id)
}

/// Cancel a replay
///
/// What it found so far stays readable. Doing so again changes nothing.
#[utoipa::path(
    post, path = "/v1/replays/{id}/cancel", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 200, description = "Where it stood", body = ReplayView))
)]
pub(crate) async fn cancel(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(app.replays.steer(&id, Order::Cancel).await, &id)
}

/// Switch to a replay's results
///
/// Only for replays that are no dry run: a dry run writes nothing that could be switched to, and answers 409.
#[utoipa::path(
    post, path = "/v1/replays/{id}/switch", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 409, description = "`replay_state`: it is a dry run", body = crate::openapi::ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn switch(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    refuse_switch(&app, &id).await
}

/// Switch back from a replay's results
///
/// Only for replays that are no dry run, and were switched to.
#[utoipa::path(
    post, path = "/v1/replays/{id}/switch-back", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 409, description = "`replay_state`: it is a dry run", body = crate::openapi::ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn switch_back(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    refuse_switch(&app, &id).await
}

async fn refuse_switch(app: &App, id: &str) -> Result<Json<ReplayView>> {
    let replay = app.replays.status(id).await?;
    let replay = replay.ok_or_else(|| Problem::not_found("replay", id))?;
    Err(Problem::new(
        Code::ReplayState,
        "this replay is a dry run: it wrote nothing that could be switched to",
    )
    .with("state", replay.state.as_str()))
}

fn found(
    replay: std::result::Result<Option<telesift_ports::replays::ReplayStatus>, ReplayError>,
    id: &str,
) -> Result<Json<ReplayView>> {
    let replay = replay?.ok_or_else(|| Problem::not_found("replay", id))?;
    Ok(Json(ReplayView::whole(replay)))
}
