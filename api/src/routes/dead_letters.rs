//! Dead letters: what stages could not process, newest first.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use telesift_ports::record_log::{self, ReadLimits};
use telesift_schemas::{DeadLetter, DeadLetterCode, Offset, PartitionId, Topic};

use crate::{
    auth::Auditor,
    cursor::{self, Page},
    params::{Params, nearest},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "dead-letters";
/// The topic has one partition.
const PARTITION: PartitionId = PartitionId(0);
/// Records read at once.
const CHUNK: u64 = 200;
/// Records one request looks at, so that a rare filter does not read the whole topic: the cursor goes on.
const MAX_SCANNED: u64 = 5_000;
/// Stages there are; a replay's carries its generation, as in `screen-g2`.
const STAGES: &[&str] = &[
    "ingest",
    "screen",
    "index",
    "labels",
    "stories",
    "story-catalog",
    "embed",
    "extract",
    "alert",
    "windows",
];

/// A dead letter, and what can be done about it.
#[derive(Serialize)]
pub(crate) struct DeadLetterView {
    #[serde(flatten)]
    letter: DeadLetter,
    what_to_do: &'static str,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        DeadLetterView {
            what_to_do: letter.code.what_to_do(),
            letter,
        }
    }
}

/// List dead letters, newest first
///
/// With a filter a page may be short although there are more: go on while there is a `next_cursor`.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "dead letters",
    params(
        ("stage" = Option<Vec<String>>, Query, description = "Of this stage", example = json!(["screen"])),
        ("code" = Option<Vec<String>>, Query, description = "With this code, such as `guest_trap`"),
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
    let stages = params.all("stage");
    let codes: Vec<DeadLetterCode> = params.all_closed("code")?;
    let limit = params.limit()?;
    let before: Option<u64> = params.after(LIST)?;
    params.finish()?;
    for stage in &stages {
        check_stage(stage)?;
    }

    let topic = app.log.open(&viewer, Topic::DEAD_LETTERS)?;
    let bounds = match topic.bounds(PARTITION).await {
        Err(record_log::Error::TopicNotFound(_)) => return Ok(Json(empty())),
        bounds => bounds?,
    };
    let wanted = |letter: &DeadLetter| {
        (stages.is_empty() || stages.contains(&letter.stage))
            && (codes.is_empty() || codes.contains(&letter.code))
    };
    let end = before.map_or(bounds.end.0, |b| b.min(bounds.end.0));
    let scan = Scan {
        topic,
        start: bounds.start.0,
    };
    let (items, rest) = scan.newest(end, limit, MAX_SCANNED, wanted).await?;
    let next_cursor = match rest {
        Some(before) => Some(cursor::encode(LIST, before)?),
        None => None,
    };
    Ok(Json(Page {
        items: items.into_iter().map(Into::into).collect(),
        next_cursor,
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
    let missing = || Problem::not_found("dead letter", &id);
    let topic = app.log.open(&viewer, Topic::DEAD_LETTERS)?;
    let bounds = match topic.bounds(PARTITION).await {
        Err(record_log::Error::TopicNotFound(_)) => return Err(missing()),
        bounds => bounds?,
    };
    let scan = Scan {
        topic,
        start: bounds.start.0,
    };
    // The topic is small by nature, and the request timeout bounds the rest.
    let (found, _) = scan
        .newest(bounds.end.0, 1, u64::MAX, |letter| letter.id == id)
        .await?;
    let letter = found.into_iter().next().ok_or_else(missing)?;
    Ok(Json(letter.into()))
}

/// Reads the topic backwards.
struct Scan<'a> {
    topic: crate::visible::Topic<'a>,
    start: u64,
}

impl Scan<'_> {
    /// The newest `limit` letters before `end` that are `wanted`, and where to go on, if there is more to look at.
    async fn newest(
        &self,
        mut end: u64,
        limit: usize,
        max_scanned: u64,
        wanted: impl Fn(&DeadLetter) -> bool,
    ) -> Result<(Vec<DeadLetter>, Option<u64>)> {
        let stop = end.saturating_sub(max_scanned).max(self.start);
        let mut found = Vec::new();
        while end > stop {
            let from = end.saturating_sub(CHUNK).max(stop);
            let letters = self.chunk(from, end).await?;
            for (offset, letter) in letters.into_iter().rev() {
                if !wanted(&letter) {
                    continue;
                }
                found.push(letter);
                if found.len() == limit {
                    return Ok((found, (offset > self.start).then_some(offset)));
                }
            }
            end = from;
        }
        Ok((found, (end > self.start).then_some(end)))
    }

    /// The letters at `from..to`, ascending.
    async fn chunk(&self, from: u64, to: u64) -> Result<Vec<(u64, DeadLetter)>> {
        let mut letters = Vec::new();
        let mut next = Offset(from);
        while next.0 < to {
            let limits = ReadLimits {
                max_records: (to - next.0) as usize,
                ..ReadLimits::default()
            };
            let batch = self.topic.read(PARTITION, next, limits).await?;
            for record in &batch.records {
                let letter = serde_json::from_slice(&record.value).map_err(|e| {
                    Problem::internal(format!("dead letter at offset {}: {e}", record.offset))
                })?;
                letters.push((record.offset.0, letter));
            }
            if batch.next <= next {
                break;
            }
            next = batch.next;
        }
        Ok(letters)
    }
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

fn empty() -> Page<DeadLetterView> {
    Page {
        items: Vec::new(),
        next_cursor: None,
    }
}
