//! Records of a partition as stored, byte for byte, with true offsets.

use std::{str::FromStr, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use telesift_ports::record_log::{self, Batch, Gap, GapReason, ReadLimits};
use telesift_schemas::{Cursor, CursorError, Offset, PartitionId, Topic};

use crate::{
    auth::Reader,
    params::{Params, parse_value},
    problem::{Code, Problem, Result},
    splice,
    state::App,
    tail::moved,
    visible::Named,
};

/// Bytes of keys and values in one answer, unless the first record alone is larger.
const MAX_BYTES: usize = 4 << 20;

/// Read records
///
/// `data` is the value as stored, byte for byte, put into the answer without being parsed and written again; a value that
/// is no JSON stands in `data_base64` instead. Go on with `from=next` while `next < end`. An answer holds fewer records
/// than `limit` when they are large. Offsets that cannot be read any more are named in `gaps`; a gap of reason `switched`
/// says that another generation is live: `from` is the offset of the cursor in the old one, `to` the first in the new one.
/// Go on with `from=cursor` to come through a switch without losing or repeating anything.
#[utoipa::path(
    get, path = "/v1/topics/{topic}/partitions/{partition}/records", tag = "log",
    params(
        ("topic" = String, Path, description = "The topic", example = "messages"),
        ("partition" = u32, Path, description = "From 0"),
        ("from" = Option<String>, Query, description = "First offset wanted, or a cursor; the first kept one unless given. An offset counts in the live generation; a cursor of another one is followed to its place there"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
    ),
    responses(
        (status = 200, description = "Records in order", body = Object, example = json!({"items": [{"partition": 0, "offset": 123, "appended_at": "2026-01-05T10:00:01Z", "key": "-1001234567890", "data": {"v": 1}}], "next": 124, "start": 0, "end": 124, "gaps": [], "generation": 1, "cursor": "g1@k3x9/0:124"})),
        (status = 410, description = "`from` was evicted; `first_offset` says what is kept", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`from` lies beyond the end: `cursor_unknown`", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path((topic, partition)): Path<(String, String)>,
    mut params: Params,
) -> Result<Response> {
    let name = Topic::new(topic);
    let named = app.log.named(name.clone());
    let topic = app.log.open(&viewer, name)?;
    let partition = PartitionId(parse_value("partition", &partition, "a number")?);
    let from: Option<From> = params.parsed("from", "an offset or a cursor")?;
    let limit = params.limit()?;
    params.finish()?;

    let bounds = topic.bounds(partition).await?;
    let (from, switched) = match from {
        None => (bounds.start, None),
        Some(From::Offset(offset)) => (offset, None),
        Some(From::Cursor(cursor)) => at_cursor(&app, &named, partition, &cursor).await?,
    };
    let limits = ReadLimits {
        max_records: limit,
        max_bytes: MAX_BYTES,
    };
    let mut batch = topic.read(partition, from, limits).await?;
    batch.gaps.splice(0..0, switched);
    let next = Cursor {
        generation: named.generation,
        epoch: app.log.epoch().clone(),
        next: vec![(partition, batch.next)],
    };
    let body = answer(&batch, &next, partition, bounds.start)?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, Body::from(body)).into_response())
}

/// Where a request wants to begin.
enum From {
    /// In the live generation.
    Offset(Offset),
    /// In the generation that the cursor names.
    Cursor(Cursor),
}

impl FromStr for From {
    type Err = CursorError;
    fn from_str(text: &str) -> std::result::Result<Self, CursorError> {
        match text.parse() {
            Ok(offset) => Ok(From::Offset(Offset(offset))),
            Err(_) => text.parse().map(From::Cursor),
        }
    }
}

/// The place of a cursor; with the gap to it, where another generation is live by now.
async fn at_cursor(
    app: &App,
    named: &Named,
    partition: PartitionId,
    cursor: &Cursor,
) -> Result<(Offset, Option<Gap>)> {
    let unknown = |detail: &str| Problem::new(Code::CursorUnknown, detail);
    if cursor.epoch != *app.log.epoch() {
        return Err(unknown("the cursor is of another history of the log"));
    }
    let place = cursor.next.iter().find(|(p, _)| *p == partition);
    let Some((_, next)) = place else {
        let detail = format!("the cursor does not name partition {partition}");
        return Err(Problem::invalid("from", detail));
    };
    if cursor.generation == named.generation {
        return Ok((*next, None));
    }
    if !named.follows {
        return Err(unknown("the cursor is of another generation of the topic"));
    }
    let generations = (cursor.generation, named.generation);
    match moved::place(app, &named.name, generations, partition, *next).await {
        Ok(Some(start)) => {
            let gap = Gap {
                from: *next,
                to: start,
                reason: GapReason::Switched,
            };
            Ok((start, Some(gap)))
        }
        Ok(None) => Err(Problem::new(
            Code::Unavailable,
            "the live generation has not come as far as this cursor yet; try again",
        )
        .retry_after(1)),
        Err(record_log::Error::TopicNotFound(_)) => Err(unknown(&format!(
            "the cursor is of generation {}, which is not kept any more",
            cursor.generation.0
        ))),
        Err(error) => Err(error.into()),
    }
}

fn answer(batch: &Batch, next: &Cursor, partition: PartitionId, start: Offset) -> Result<Vec<u8>> {
    let n_bytes: usize = batch.records.iter().map(|r| r.value.len() + 128).sum();
    let mut body = Vec::with_capacity(n_bytes + 128);
    body.extend_from_slice(b"{\"items\":[");
    for (i, record) in batch.records.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        splice::record_item(&mut body, partition, record);
    }
    let gaps: Vec<_> = batch
        .gaps
        .iter()
        .map(|gap| json!({"from": gap.from, "to": gap.to, "reason": gap.reason}))
        .collect();
    let rest = json!({
        "next": batch.next, "start": start, "end": batch.end, "gaps": gaps,
        "generation": next.generation, "cursor": next.to_string(),
    });
    body.extend_from_slice(b"],");
    let rest = serde_json::to_vec(&rest).map_err(Problem::internal)?;
    // Without its opening brace: the members follow those above.
    body.extend_from_slice(rest.get(1..).unwrap_or_default());
    Ok(body)
}
