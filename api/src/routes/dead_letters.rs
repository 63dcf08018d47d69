//! Dead letters: what stages could not process, newest first, and another try of them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use telesift_ports::dead_letters::{self, LetterFilter, LetterRow};
use telesift_schemas::{LetterState, Offset};

use crate::{
    auth::{Admin, Auditor},
    body::JsonObject,
    cursor::Page,
    params::{Params, nearest, parse_closed},
    problem::{Problem, Result},
    state::App,
};

mod view;

pub(crate) use view::DeadLetterView;

/// The list's tag in cursors.
const LIST: &str = "dead-letters";
/// Letters one request may name.
const MAX_NAMED: usize = 500;
/// Letters one request asks to be tried again, at most; the rest is left to the next request.
const MAX_AT_ONCE: usize = 5_000;
/// Stages there are; a replay's carries its generation, as in `screen-g2`.
const STAGES: &[&str] = &[
    "ingest",
    "screen",
    "index",
    "labels",
    "chat-settings",
    "rules",
    "stories",
    "story-catalog",
    "embed",
    "units",
    "labelled-units",
    "unit-catalog",
    "extract",
    "knowledge",
    "atom-index",
    "alert",
    "windows",
];

/// List dead letters, newest first
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "dead letters",
    params(
        ("stage" = Option<Vec<String>>, Query, description = "Of this stage", example = json!(["screen"])),
        ("code" = Option<Vec<String>>, Query, description = "With this code, such as `guest_trap`"),
        ("state" = Option<Vec<String>>, Query, description = "`open`, `retrying` or `solved`; all of them unless given"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of dead letters", body = Page<crate::openapi::DeadLetterBody>))
)]
pub(crate) async fn list(
    Auditor(viewer): Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<DeadLetterView>>> {
    let filter = LetterFilter {
        stages: params.all("stage"),
        codes: params.all_closed("code")?,
        states: params.all_closed("state")?,
    };
    let limit = params.limit()?;
    let before: Option<u64> = params.after(LIST)?;
    params.finish()?;
    check_stages(&filter.stages)?;
    let rows = app
        .catalog
        .letters(&filter, before.map(Offset), limit + 1)
        .await?;
    let page = Page::cut(rows, limit, LIST, |row| row.first.0)?;
    let items = view::with_payloads(&app, &viewer, page.items).await?;
    Ok(Json(Page {
        items,
        next_cursor: page.next_cursor,
    }))
}

/// Get a dead letter
#[utoipa::path(
    get, path = "/v1/dead-letters/{id}", tag = "dead letters",
    params(("id" = String, Path, description = "`<stage>:<topic>:<partition>:<offset>`", example = "screen:telegram-raw:0:123")),
    responses((status = 200, description = "The dead letter", body = crate::openapi::DeadLetterBody))
)]
pub(crate) async fn one(
    Auditor(viewer): Auditor,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<DeadLetterView>> {
    params.finish()?;
    let row = find(&app, &id).await?;
    view::with_payload(&app, &viewer, row).await.map(Json)
}

/// Try a dead letter again
///
/// Its stage takes it up by itself, alone: `state` tells how it ended. After a success every store is as if the record had
/// never failed; after another failure `code` and `message` say why, and `attempts` counts it. Asking again while it is
/// being tried, or once it is solved, changes nothing.
#[utoipa::path(
    post, path = "/v1/dead-letters/{id}/retry", tag = "dead letters",
    params(("id" = String, Path, description = "`<stage>:<topic>:<partition>:<offset>`", example = "screen:telegram-raw:0:123")),
    responses(
        (status = 202, description = "It is being tried", body = crate::openapi::DeadLetterBody),
        (status = 200, description = "It is solved already", body = crate::openapi::DeadLetterBody),
    )
)]
pub(crate) async fn retry(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: JsonObject,
) -> Result<(StatusCode, Json<DeadLetterView>)> {
    body.into::<serde::de::IgnoredAny>(&[])?;
    let mut row = find(&app, &id).await?;
    let status = match row.state {
        LetterState::Solved => StatusCode::OK,
        LetterState::Open | LetterState::Retrying => {
            app.log.retry(&viewer, std::slice::from_ref(&row)).await?;
            row.state = LetterState::Retrying;
            StatusCode::ACCEPTED
        }
    };
    let view = view::with_payload(&app, &viewer, row).await?;
    Ok((status, Json(view)))
}

/// Which letters to try again: those named, or all open ones that the filters leave.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct RetryMany {
    /// These, 500 at most.
    #[schema(example = json!(["screen:telegram-raw:0:123"]))]
    ids: Vec<String>,
    /// All open ones, narrowed by `stages` and `codes`.
    all: bool,
    /// Only of these stages.
    stages: Vec<String>,
    /// Only with these codes.
    codes: Vec<String>,
}

const FIELDS: &[&str] = &["ids", "all", "stages", "codes"];

/// What was asked for.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RetriesView {
    /// Letters that will be tried because of this request.
    requested: usize,
    /// Letters that are being tried or solved already.
    passed_over: usize,
    /// Whether there may be more: ask again.
    more: bool,
}

/// Try many dead letters again
///
/// Either `ids` or `"all": true`. With `all`, one request takes up at most 5,000.
#[utoipa::path(
    post, path = "/v1/dead-letters/retry", tag = "dead letters",
    request_body(content = RetryMany, example = json!({"all": true, "stages": ["screen"], "codes": ["guest_trap"]})),
    responses((status = 202, description = "They are being tried", body = RetriesView, example = json!({"requested": 12, "passed_over": 0, "more": false})))
)]
pub(crate) async fn retry_many(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<(StatusCode, Json<RetriesView>)> {
    let asked: RetryMany = body.into(FIELDS)?;
    let view = match (asked.all, asked.ids.is_empty()) {
        (false, false) => retry_named(&app, &viewer, &asked).await?,
        (true, true) => retry_all(&app, &viewer, &asked).await?,
        _ => {
            let detail = "name letters in `ids`, or ask for `\"all\": true`, not both";
            return Err(Problem::invalid("ids", detail));
        }
    };
    Ok((StatusCode::ACCEPTED, Json(view)))
}

async fn retry_named(
    app: &App,
    viewer: &crate::auth::Viewer,
    asked: &RetryMany,
) -> Result<RetriesView> {
    if !asked.stages.is_empty() || !asked.codes.is_empty() {
        let detail =
            "`stages` and `codes` narrow `all`; letters named in `ids` are taken as they are";
        return Err(Problem::invalid("stages", detail));
    }
    if asked.ids.len() > MAX_NAMED {
        let detail = format!("`ids` takes at most {MAX_NAMED} letters");
        return Err(Problem::invalid("ids", detail));
    }
    let mut rows = Vec::with_capacity(asked.ids.len());
    for id in &asked.ids {
        rows.push(find(app, id).await?);
    }
    let requested = app.log.retry(viewer, &rows).await?;
    Ok(RetriesView {
        requested,
        passed_over: rows.len() - requested,
        more: false,
    })
}

async fn retry_all(
    app: &App,
    viewer: &crate::auth::Viewer,
    asked: &RetryMany,
) -> Result<RetriesView> {
    check_stages(&asked.stages)?;
    let codes = asked.codes.iter().map(|code| parse_closed("codes", code));
    let filter = LetterFilter {
        stages: asked.stages.clone(),
        codes: codes.collect::<Result<_>>()?,
        states: vec![LetterState::Open],
    };
    let mut view = RetriesView {
        requested: 0,
        passed_over: 0,
        more: true,
    };
    let mut before = None;
    while view.requested + view.passed_over < MAX_AT_ONCE {
        let page = dead_letters::MAX_REQUESTED;
        let rows = app.catalog.letters(&filter, before, page).await?;
        let requested = app.log.retry(viewer, &rows).await?;
        view.requested += requested;
        view.passed_over += rows.len() - requested;
        if rows.len() < page {
            view.more = false;
            break;
        }
        before = rows.last().map(|row| row.first);
    }
    Ok(view)
}

async fn find(app: &App, id: &str) -> Result<LetterRow> {
    let row = app.catalog.letter(id).await?;
    row.ok_or_else(|| Problem::not_found("dead letter", id))
}

fn check_stages(stages: &[String]) -> Result<()> {
    stages.iter().try_for_each(|stage| check_stage(stage))
}

fn check_stage(stage: &str) -> Result<()> {
    let live = match stage.rsplit_once("-g") {
        Some((live, number)) if number.parse::<u32>().is_ok() => live,
        _ => stage,
    };
    if STAGES.contains(&live) {
        return Ok(());
    }
    let mut problem = Problem::invalid(
        "stage",
        format!(
            "`stage`: unknown value `{stage}`. Valid: {}",
            STAGES.join(", ")
        ),
    )
    .with("value", stage)
    .with("valid", STAGES.to_vec());
    if let Some(nearest) = nearest(stage, STAGES) {
        problem = problem.with("nearest", nearest);
    }
    Err(problem)
}
