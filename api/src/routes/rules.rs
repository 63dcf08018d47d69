//! Rule sets: listed, shown, added, activated; every change is a decision on the topic `decisions`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_ports::rules::{ActivateRules, NewRules, StartFrom};
use telesift_schemas::{Cursor, Generation, Offset};

use crate::{
    auth::{Admin, Auditor},
    body::{JsonObject, RuleText},
    cursor::Page,
    params::Params,
    problem::{Code, Problem, Result},
    state::App,
};

mod view;

use view::{ActivationView, ActiveView, InForceView, RulesDetailView, RulesView};

/// The lists' tags in cursors.
const LIST: &str = "rules";
const HISTORY: &str = "rules-history";

/// Notes are for people.
const MAX_NOTE_CHARS: usize = 1000;

/// List rule sets, newest first
///
/// Those that were added, then the set that ships with this build, which is always there.
#[utoipa::path(
    get, path = "/v1/rules", tag = "rules",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of rule sets", body = Page<RulesView>))
)]
pub(crate) async fn list(
    _auditor: Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<RulesView>>> {
    let limit = params.limit()?;
    let before: Option<u64> = params.after(LIST)?;
    params.finish()?;
    let active = app.rules.active().await?;
    let mut found = app.rules.list(before.map(Offset), limit + 1).await?;
    if found.len() <= limit {
        found.push(app.rules.shipped().await?);
    }
    let page = Page::cut(found, limit, LIST, |last| {
        last.added.as_ref().map(|made| made.decision.0)
    })?;
    Ok(Json(page.map(|info| RulesView::new(info, active.as_ref()))))
}

/// Get the rule set that is active
///
/// With the rules that screen the next record of each partition of `telegram-raw`: a set activated from a later offset on
/// is active before it screens anything.
#[utoipa::path(
    get, path = "/v1/rules/active", tag = "rules",
    responses((status = 200, description = "The active set", body = ActiveView))
)]
pub(crate) async fn active(
    _auditor: Auditor,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<ActiveView>> {
    params.finish()?;
    let active = app.rules.active().await?;
    let info = match &active {
        Some(activation) if !activation.shipped => app.rules.get(&activation.version).await?.info,
        _ => app.rules.shipped().await?,
    };
    let partitions = app.rules.in_force().await?;
    Ok(Json(ActiveView {
        rules: RulesView::new(info, active.as_ref()),
        partitions: partitions.into_iter().map(InForceView::from).collect(),
    }))
}

/// List activations, newest first
///
/// A rollback is an activation like any other, so a set may stand here more than once. Before the oldest of them the set
/// that ships screened everything.
#[utoipa::path(
    get, path = "/v1/rules/history", tag = "rules",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of activations", body = Page<ActivationView>))
)]
pub(crate) async fn history(
    _auditor: Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<ActivationView>>> {
    let limit = params.limit()?;
    let before: Option<u64> = params.after(HISTORY)?;
    params.finish()?;
    let found = app.rules.history(before.map(Offset), limit + 1).await?;
    let page = Page::cut(found, limit, HISTORY, |last| last.made.decision.0)?;
    Ok(Json(page.map(|a| ActivationView::new(a, app.log.epoch()))))
}

/// Get a rule set
///
/// Its data as JSON and TOML. It may be named by its version, `name@version+hash`, with `@` and `+` percent-encoded or not;
/// by the version this build computes (`screens_as`); or by `name@version` or `name`, where that fits one set only.
#[utoipa::path(
    get, path = "/v1/rules/{version}", tag = "rules",
    params(("version" = String, Path, description = "`name@version+hash`", example = "ops@2+9c41d0aa")),
    responses((status = 200, description = "The rule set", body = RulesDetailView))
)]
pub(crate) async fn one(
    _auditor: Auditor,
    State(app): State<Arc<App>>,
    Path(version): Path<String>,
    params: Params,
) -> Result<Json<RulesDetailView>> {
    params.finish()?;
    let found = app.rules.get(&version).await?;
    let active = app.rules.active().await?;
    Ok(Json(RulesDetailView {
        rules: RulesView::new(found.info, active.as_ref()),
        json: RawValue::from_string(found.data.to_string()).map_err(Problem::internal)?,
        toml: found.toml,
    }))
}

/// Add a rule set
///
/// TOML (`text/plain` or `application/toml`) or JSON (`application/json`); it holds `name`, `version` and whatever it
/// changes. It screens nothing until it is activated. The same data again is the same set: 200, and nothing changes.
#[utoipa::path(
    post, path = "/v1/rules", tag = "rules",
    params(("note" = Option<String>, Query, description = "Why, in words", example = "too much was signal")),
    request_body(content = String, content_type = "application/toml", example = "name = \"ops\"\nversion = 2\n\n[thresholds]\nsignal = 0.7\n"),
    responses(
        (status = 201, description = "Added", body = RulesView),
        (status = 200, description = "It was there already", body = RulesView),
        (status = 400, description = "`invalid_rules`: it cannot be used", body = crate::openapi::ProblemBody, content_type = "application/problem+json", example = json!({"type": "/errors#invalid_rules", "title": "Invalid rules", "status": 400, "detail": "line 5: threshold `signal` is 7; it must be from 0 to 1", "instance": "urn:telesift:request:…", "code": "invalid_rules", "line": 5, "reason": "threshold `signal` is 7; it must be from 0 to 1"})),
    )
)]
pub(crate) async fn add(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
    RuleText { text, is_json }: RuleText,
) -> Result<Response> {
    let note = params.one("note")?;
    params.finish()?;
    let new = NewRules {
        text,
        is_json,
        by: viewer.key.id.clone(),
        note: checked(note)?,
    };
    let added = app.rules.add(new).await?;
    let active = app.rules.active().await?;
    let status = match added.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let location = format!("/v1/rules/{}", added.rules.version);
    let view = RulesView::new(added.rules, active.as_ref());
    Ok((status, [(header::LOCATION, location)], Json(view)).into_response())
}

/// From where on a rule set shall count.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct Activate {
    /// `latest` (unless given): what is appended from now on. `unscreened`: all that is not screened yet. Or a cursor of
    /// `telegram-raw`, in no partition below what is screened.
    #[serde(default)]
    #[schema(example = "g1@k3x9/0:124,1:7,2:0,3:55")]
    from: Option<String>,
    /// Why, in words.
    #[serde(default)]
    note: Option<String>,
}

/// Activate a rule set
///
/// Everything before the positions in the answer was screened by the rules before, everything from there on is screened by
/// this set. Going back to an earlier set is the same. Already screened messages stay as they are: screen them again by a
/// replay.
#[utoipa::path(
    post, path = "/v1/rules/{version}/activate", tag = "rules",
    params(("version" = String, Path, description = "As in `GET /v1/rules/{version}`", example = "ops@2+9c41d0aa")),
    request_body(content = Activate, example = json!({"from": "latest", "note": "after the back-test of Monday"})),
    responses(
        (status = 200, description = "Active, durably", body = ActivationView),
        (status = 409, description = "`already_screened`: a position lies below what is screened", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn activate(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(version): Path<String>,
    body: JsonObject,
) -> Result<Json<ActivationView>> {
    let body: Activate = body.into(&["from", "note"])?;
    let asked = ActivateRules {
        asked: version,
        from: start(&app, body.from.as_deref())?,
        by: viewer.key.id.clone(),
        note: checked(body.note)?,
    };
    let activation = app.rules.activate(asked).await?;
    Ok(Json(ActivationView::new(activation, app.log.epoch())))
}

/// Reads `from`.
///
/// # Errors
/// 400 if it is none of the three; 409 for a cursor of another history or generation of the log.
fn start(app: &App, text: Option<&str>) -> Result<StartFrom> {
    let text = match text {
        None | Some("latest") => return Ok(StartFrom::Latest),
        Some("unscreened") => return Ok(StartFrom::Unscreened),
        Some(text) => text,
    };
    let cursor: Cursor = text.parse().map_err(|_| {
        Problem::invalid(
            "from",
            format!("`from`: expected `latest`, `unscreened` or a cursor of `telegram-raw` such as `g1@{}/0:12`, found `{text}`", app.log.epoch().as_str()),
        )
        .with("value", text)
    })?;
    if cursor.epoch != *app.log.epoch() || cursor.generation != Generation::FIRST {
        return Err(Problem::new(
            Code::CursorUnknown,
            "the cursor is of another history of the log",
        ));
    }
    Ok(StartFrom::Offsets(cursor.next))
}

/// # Errors
/// 400 for a note that is longer than a note.
fn checked(note: Option<String>) -> Result<Option<String>> {
    let note = note.filter(|note| !note.trim().is_empty());
    match note {
        Some(note) if note.chars().count() > MAX_NOTE_CHARS => Err(Problem::invalid(
            "note",
            format!("`note` may have {MAX_NOTE_CHARS} characters at most"),
        )),
        note => Ok(note),
    }
}
