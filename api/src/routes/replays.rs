//! Replays: what a stretch of the log would come to under other rules, or comes to in a generation of its own.

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
    Bound, BoundError, Order, ReplayError, ReplayRequest, ReplayStage, ReplayStatus, RuleText,
    RulesChoice,
};

use crate::{
    auth::{Admin, Viewer},
    body::JsonObject,
    cursor::Page,
    params::{Closed, Params, parse_closed},
    problem::{Problem, Result},
    state::App,
};

mod samples;
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
    /// `screen`: messages, store, stories and rows of windows of a new generation; `index`: a new store of the messages as they
    /// are; `embed`: the same with the vectors of the other model that is configured; `stories`: new stories of them;
    /// `windows`: the rows of statistics, trends and bursts; `extract`: recorded conversations are asked for anew where somebody
    /// else would answer now, and the answers count once the generation is live. `alert`: a dry run only, as nobody is notified.
    #[schema(example = "screen")]
    stage: String,
    /// First raw records: `earliest` (unless given), `latest`, a cursor of `telegram-raw`, or a time of append. What lies
    /// before is taken over as it is.
    #[serde(default)]
    from: Option<String>,
    /// Where to stop before, in the same words; `latest` unless given. What lies behind follows the rules in force.
    #[serde(default)]
    to: Option<String>,
    /// The new rules: the name of a version, or a rule set as TOML text, as JSON text or as a JSON object. Without
    /// them `screen` goes by those that screened each record. A set that stands in the request is added, unless this is a dry
    /// run.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    rules: Option<Value>,
    /// What a dry run compares with, in the same forms; unless given, the rules that screened each record.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    base: Option<Value>,
    /// `true`: nothing is written. `screen`: two rule sets are compared; `extract`: conversations that would be asked for are
    /// counted, with what the calls would cost at most (`estimate`); of the others the messages that would be worked on
    /// (`cost.new`).
    #[serde(default)]
    dry_run: bool,
    /// `true`: stories are decided anew. Unless given, those recorded are taken over.
    #[serde(default)]
    reassign: bool,
}

const FIELDS: &[&str] = &[
    "stage", "from", "to", "rules", "base", "dry_run", "reassign",
];

/// A replay that was queued.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StartedReplay {
    /// Its id.
    id: String,
}

/// Start a replay
///
/// A dry run of `screen` judges every raw record of the range under two rule sets and compares: nothing is written to
/// topics, stores or statistics. Any other replay fills a generation beside the live one, which holds all of history and
/// follows the live topics once it is `done`; `switch` makes it the live one. Live positions are untouched, and nobody is
/// ever notified. The range is fixed now; it is half-open. One replay runs at a time, at low priority; it resumes by
/// itself after a restart.
#[utoipa::path(
    post, path = "/v1/replays", tag = "replays",
    request_body(content = NewReplay, example = json!({"stage": "screen", "from": "2026-01-05T00:00:00Z", "to": "latest", "rules": "name = \"mine\"\nversion = 2\n[thresholds]\nsignal = 0.7\n", "dry_run": true})),
    responses(
        (status = 202, description = "Queued", body = StartedReplay),
        (status = 400, description = "`invalid_rules`: a rule set cannot be used", body = crate::openapi::ProblemBody, content_type = "application/problem+json", example = json!({"type": "/errors#invalid_rules", "title": "Invalid rules", "status": 400, "detail": "`rules`: line 4: threshold `signal` is 7; it must be from 0 to 1", "instance": "urn:telesift:request:…", "code": "invalid_rules", "parameter": "rules", "line": 4, "reason": "threshold `signal` is 7; it must be from 0 to 1"})),
    )
)]
pub(crate) async fn start(
    Admin(admin): Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Response> {
    let body: NewReplay = body.into(FIELDS)?;
    let request = ReplayRequest {
        stage: parse_closed("stage", &body.stage)?,
        dry_run: body.dry_run,
        from: bound("from", body.from, Bound::Earliest)?,
        to: bound("to", body.to, Bound::Latest)?,
        rules: body.rules.map(|rules| choice("rules", rules)).transpose()?,
        base: body.base.map(|base| choice("base", base)).transpose()?,
        reassign: body.reassign,
        by: admin.key.id.clone(),
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
    let register = app.generations.now();
    Ok(Json(
        page.map(|replay| ReplayView::in_list(replay, &register)),
    ))
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
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found((&app, &viewer), app.replays.status(&id).await, &id).await
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
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(
        (&app, &viewer),
        app.replays.steer(&id, Order::Pause).await,
        &id,
    )
    .await
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
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(
        (&app, &viewer),
        app.replays.steer(&id, Order::Resume).await,
        &id,
    )
    .await
}

/// Cancel a replay
///
/// What a dry run found so far stays readable; what any other replay wrote is removed. Doing so again changes nothing. One
/// that is `done` is not cancelled: retire its generation.
#[utoipa::path(
    post, path = "/v1/replays/{id}/cancel", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 200, description = "Where it stood", body = ReplayView))
)]
pub(crate) async fn cancel(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found(
        (&app, &viewer),
        app.replays.steer(&id, Order::Cancel).await,
        &id,
    )
    .await
}

/// Switch to a replay's generation
///
/// From then on it is the live one: messages, search, stories and the topic names `messages` and `stories` are its own.
/// Waits until it has everything the live one had when this was asked for. Tails get a gap frame `switched` and go on at
/// the same place; the generation before is kept up to date, so that `switch-back` is possible until it is retired.
#[utoipa::path(
    post, path = "/v1/replays/{id}/switch", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses(
        (status = 200, description = "Switched, or live already", body = ReplayView),
        (status = 409, description = "`replay_state`: it is a dry run, is not `done`, or its generation is retired or behind (`missing` says by what)", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn switch(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found((&app, &viewer), app.replays.switch(&id).await, &id).await
}

/// Switch back from a replay's generation
///
/// Makes the generation live again that was so before. Doing so again changes nothing.
#[utoipa::path(
    post, path = "/v1/replays/{id}/switch-back", tag = "replays",
    params(("id" = String, Path, description = "The replay")),
    responses(
        (status = 200, description = "Switched back", body = ReplayView),
        (status = 409, description = "`replay_state`: it was never switched to, another one is live, or the generation before is retired or behind", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn switch_back(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReplayView>> {
    params.finish()?;
    found((&app, &viewer), app.replays.switch_back(&id).await, &id).await
}

async fn found(
    (app, viewer): (&App, &Viewer),
    replay: std::result::Result<Option<ReplayStatus>, ReplayError>,
    id: &str,
) -> Result<Json<ReplayView>> {
    let mut replay = replay?.ok_or_else(|| Problem::not_found("replay", id))?;
    let samples =
        samples::with_texts((app, viewer), std::mem::take(&mut replay.progress.samples)).await?;
    Ok(Json(ReplayView::whole(
        replay,
        samples,
        &app.generations.now(),
    )))
}
