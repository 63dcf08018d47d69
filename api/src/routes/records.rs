//! Records of a partition as stored, byte for byte, with true offsets.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use telesift_ports::record_log::{Batch, ReadLimits};
use telesift_schemas::{Offset, PartitionId, Topic};

use crate::{
    auth::Reader,
    params::{Params, path_value},
    problem::{Problem, Result},
    splice,
    state::App,
};

/// Bytes of keys and values in one answer, unless the first record alone is larger.
const MAX_BYTES: usize = 4 << 20;

/// Read records
///
/// `data` is the value as stored, byte for byte, put into the answer without being parsed and written again; a value that
/// is no JSON stands in `data_base64` instead. Go on with `from=next` while `next < end`. An answer holds fewer records
/// than `limit` when they are large. Offsets that cannot be read any more are named in `gaps`.
#[utoipa::path(
    get, path = "/v1/topics/{topic}/partitions/{partition}/records", tag = "log",
    params(
        ("topic" = String, Path, description = "The topic", example = "messages"),
        ("partition" = u32, Path, description = "From 0"),
        ("from" = Option<u64>, Query, description = "First offset wanted; the first kept one unless given"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
    ),
    responses(
        (status = 200, description = "Records in order", body = Object, example = json!({"items": [{"partition": 0, "offset": 123, "appended_at": "2026-01-05T10:00:01Z", "key": "-1001234567890", "data": {"v": 1}}], "next": 124, "start": 0, "end": 124, "gaps": []})),
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
    let topic = app.log.open(&viewer, Topic::new(topic))?;
    let partition = PartitionId(path_value("partition", &partition)?);
    let from: Option<u64> = params.parsed("from", "an offset")?;
    let limit = params.limit()?;
    params.finish()?;

    let bounds = topic.bounds(partition).await?;
    let from = from.map_or(bounds.start, Offset);
    let limits = ReadLimits {
        max_records: limit,
        max_bytes: MAX_BYTES,
    };
    let batch = topic.read(partition, from, limits).await?;
    let body = answer(&batch, partition, bounds.start)?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, Body::from(body)).into_response())
}

fn answer(batch: &Batch, partition: PartitionId, start: Offset) -> Result<Vec<u8>> {
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
    let rest = json!({"next": batch.next, "start": start, "end": batch.end, "gaps": gaps});
    body.extend_from_slice(b"],");
    let rest = serde_json::to_vec(&rest).map_err(Problem::internal)?;
    // Without its opening brace: the members follow those above.
    body.extend_from_slice(rest.get(1..).unwrap_or_default());
    Ok(body)
}
