//! A dead letter as the API shows it: the catalog's row, and the payload from its first record on the log.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use telesift_ports::{
    dead_letters::LetterRow,
    record_log::{self, ReadLimits},
};
use telesift_schemas::{
    DeadLetter, DeadLetterCode, LetterState, Origin, PartitionId, Payload, Timestamp, Topic,
};

use crate::{
    auth::Viewer,
    problem::{Problem, Result},
    state::App,
};

/// Payloads read at once.
const AT_ONCE: usize = 16;

/// A dead letter, and what can be done about it.
#[derive(Serialize)]
pub(crate) struct DeadLetterView {
    id: String,
    stage: String,
    origin: Origin,
    state: LetterState,
    code: DeadLetterCode,
    message: String,
    attempts: u32,
    first_at: Timestamp,
    last_at: Timestamp,
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<u64>,
    what_to_do: &'static str,
}

/// The views of `rows`, in their order.
pub(super) async fn with_payloads(
    app: &App,
    viewer: &Viewer,
    rows: Vec<LetterRow>,
) -> Result<Vec<DeadLetterView>> {
    let views = rows.into_iter().map(|row| with_payload(app, viewer, row));
    stream::iter(views).buffered(AT_ONCE).try_collect().await
}

pub(super) async fn with_payload(
    app: &App,
    viewer: &Viewer,
    row: LetterRow,
) -> Result<DeadLetterView> {
    let (payload, payload_bytes) = match first_record(app, viewer, &row).await? {
        Some(letter) => (letter.payload, letter.payload_bytes),
        None => (None, None),
    };
    Ok(DeadLetterView {
        what_to_do: row.code.what_to_do(),
        id: row.id,
        stage: row.stage,
        origin: row.origin,
        state: row.state,
        code: row.code,
        message: row.message,
        attempts: row.attempts,
        first_at: row.first_at,
        last_at: row.last_at,
        payload,
        payload_bytes,
    })
}

/// The record that holds the payload; `None` if it is evicted or damaged.
async fn first_record(app: &App, viewer: &Viewer, row: &LetterRow) -> Result<Option<DeadLetter>> {
    let topic = app.log.open(viewer, Topic::DEAD_LETTERS)?;
    let one = ReadLimits {
        max_records: 1,
        ..ReadLimits::default()
    };
    let batch = match topic.read(PartitionId(0), row.first, one).await {
        Err(record_log::Error::Evicted { .. } | record_log::Error::BeyondEnd { .. }) => {
            return Ok(None);
        }
        batch => batch.map_err(Problem::from)?,
    };
    let record = batch.records.first().filter(|r| r.offset == row.first);
    let letter = record.and_then(|r| serde_json::from_slice::<DeadLetter>(&r.value).ok());
    Ok(letter.filter(|letter| letter.id == row.id))
}
