//! Generations: what there is beside the live one, how far it is, and how to give it up.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;

use telesift_ports::replays::GenerationStatus;
use telesift_schemas::{Generation, Timestamp};

use crate::{
    auth::Admin,
    cursor::Page,
    params::{Params, path_value},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "generations";

/// A generation. Each of its parts is its own, or shared with the generation it was made from.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GenerationView {
    /// Its number.
    number: u32,
    /// `building`: a replay fills it; `ready`: it holds all of history and follows; `retired`: given up.
    state: String,
    /// Whether it is the live one.
    live: bool,
    /// By which generation each part was made.
    parts: GenerationParts,
    /// The replay that made it; `null` for the first.
    replay: Option<String>,
    /// The generation it was made from.
    base: Option<u32>,
    /// When it was begun; `null` for the first.
    #[schema(value_type = Option<String>)]
    created_at: Option<Timestamp>,
    /// Since when it is complete and not live: from then on its days are counted.
    #[schema(value_type = Option<String>)]
    idle_since: Option<Timestamp>,
    /// The model of the vectors in the store it uses; `null` if it is retired, or the model is not configured any more.
    model: Option<String>,
    /// How far the stages are that fill its parts, shared ones too.
    stages: Vec<GenerationStage>,
}

/// By which generation each part was made.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GenerationParts {
    /// The topic `messages`; cursors name this number.
    messages: u32,
    /// The message store.
    store: u32,
    /// The topic and the table of stories.
    stories: u32,
    /// The rows that statistics, trends and bursts are answered from.
    windows: u32,
    /// What was read of conversations, and with it atoms and subjects.
    knowledge: u32,
}

/// A stage on one partition.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GenerationStage {
    /// The stage, such as `screen-g2`.
    stage: String,
    /// What it reads, as the log calls it.
    topic: String,
    partition: u32,
    /// The next offset it takes.
    next: u64,
    /// Records it has not taken yet.
    lag: u64,
}

impl From<GenerationStatus> for GenerationView {
    fn from(status: GenerationStatus) -> Self {
        let entry = status.entry;
        GenerationView {
            number: entry.generation.0,
            state: entry.state.as_str().to_owned(),
            live: status.is_live,
            parts: GenerationParts {
                messages: entry.parts.messages.0,
                store: entry.parts.store.0,
                stories: entry.parts.stories.0,
                windows: entry.parts.windows.0,
                knowledge: entry.parts.knowledge.0,
            },
            replay: entry.replay,
            base: entry.base.map(|g| g.0),
            created_at: entry.base.map(|_| entry.created_at),
            idle_since: entry.idle_since,
            model: status.model,
            stages: status
                .stages
                .into_iter()
                .map(|s| GenerationStage {
                    lag: s.lag(),
                    stage: s.stage,
                    topic: s.input.topic.to_string(),
                    partition: s.input.partition.0,
                    next: s.next.0,
                })
                .collect(),
        }
    }
}

/// List generations
///
/// By number, retired ones too.
#[utoipa::path(
    get, path = "/v1/generations", tag = "replays",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 500 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "Every generation there was", body = Page<GenerationView>, example = json!({"items": [{"number": 1, "state": "ready", "live": true, "parts": {"messages": 1, "store": 1, "stories": 1, "windows": 1, "knowledge": 1}, "replay": null, "base": null, "created_at": null, "idle_since": null, "model": "hash@1/256", "stages": [{"stage": "screen", "topic": "telegram-raw", "partition": 0, "next": 124, "lag": 0}]}], "next_cursor": null})))
)]
pub(crate) async fn list(
    _admin: Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<GenerationView>>> {
    let limit = params.limit_of_short()?;
    let after: Option<u32> = params.after(LIST)?;
    params.finish()?;
    let all = app.replays.generations().await?.into_iter();
    let mut items: Vec<GenerationView> = all.map(GenerationView::from).collect();
    items.retain(|g| after.is_none_or(|after| g.number > after));
    Page::cut(items, limit, LIST, |last| last.number).map(Json)
}

/// Retire a generation
///
/// What it alone uses is removed, soon; it cannot be switched to any more, and its cursors are of no use. Doing so again
/// changes nothing.
#[utoipa::path(
    delete, path = "/v1/generations/{number}", tag = "replays",
    params(("number" = u32, Path, description = "The generation")),
    responses(
        (status = 204, description = "Retired"),
        (status = 409, description = "`replay_state`: it is the live one, or a replay fills or reads it", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retire(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
    params: Params,
) -> Result<StatusCode> {
    params.finish()?;
    let generation = Generation(path_value("number", &number)?);
    match app.replays.retire(generation).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("generation", &number)),
    }
}
