//! The catalog's rows as the port's types, and back.

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use telesift_ports::{
    catalog::{Error, ImportRow, KeyRow, Result},
    imports::{ImportRequest, ImportState, ImportStatus},
    ledger::{StageKey, StageState},
};
use telesift_schemas::{Offset, PartitionId, Timestamp, Topic, TopicPartition};

use crate::row::{Arg, Row};

/// Columns: `next_offset, counters, last_retry`.
pub(crate) fn stage_state(row: &Row) -> Result<StageState> {
    Ok(StageState {
        next: Offset(unsigned(row, 0)?),
        counters: json(&row.get::<String>(1)?)?,
        last_retry: row.get(2)?,
    })
}

/// Columns, after those of [`stage_state`]: `stage, topic, partition_id`.
pub(crate) fn stage_key(row: &Row) -> Result<StageKey> {
    let partition = u32::try_from(row.get::<i64>(5)?).map_err(damaged)?;
    Ok(StageKey {
        stage: row.get(3)?,
        input: TopicPartition::new(Topic::new(row.get::<String>(4)?), PartitionId(partition)),
    })
}

/// Columns: `id, name, chats, tz, file, bytes_total, created_at, state, progress, error`.
pub(crate) fn import(row: &Row) -> Result<ImportRow> {
    let name: String = row.get(1)?;
    Ok(ImportRow {
        request: ImportRequest {
            name: name.clone(),
            chats: json(&row.get::<String>(2)?)?,
            tz: row.get(3)?,
            file: path(row.get(4)?),
        },
        status: ImportStatus {
            id: row.get(0)?,
            name,
            state: import_state(&row.get::<String>(7)?)?,
            created_at: timestamp(row.get(6)?)?,
            progress: json(&row.get::<String>(8)?)?,
            bytes_total: unsigned(row, 5)?,
            error: row.get(9)?,
        },
    })
}

/// Columns: `id, name, scopes, chats, created_at, expires_at, revoked_at, last_used_at`.
pub(crate) fn key(row: &Row) -> Result<KeyRow> {
    let time = |index| row.get::<Option<i64>>(index)?.map(timestamp).transpose();
    let chats: Option<String> = row.get(3)?;
    Ok(KeyRow {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: json(&row.get::<String>(2)?)?,
        chats: chats.as_deref().map(json).transpose()?,
        created_at: timestamp(row.get(4)?)?,
        expires_at: time(5)?,
        revoked_at: time(6)?,
        last_used_at: time(7)?,
    })
}

/// A list or counters as the text of a column.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Arg> {
    serde_json::to_string(value).map(Arg::from).map_err(damaged)
}

/// An offset or a size as the 64 signed bits of a column.
pub(crate) fn to_int(n: u64) -> Result<Arg> {
    i64::try_from(n).map(Arg::from).map_err(damaged)
}

/// A path as its bytes: not every path is text.
#[cfg(unix)]
pub(crate) fn to_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_owned()
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(bytes).into()
}

fn import_state(text: &str) -> Result<ImportState> {
    let states = [
        ImportState::Queued,
        ImportState::Running,
        ImportState::Done,
        ImportState::Failed,
    ];
    let found = states.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| damaged(format!("no state of an import: `{text}`")))
}

pub(crate) fn unsigned(row: &Row, index: usize) -> Result<u64> {
    u64::try_from(row.get::<i64>(index)?).map_err(damaged)
}

/// A column of unix microseconds as a time.
pub(crate) fn timestamp(microseconds: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(damaged)
}

/// The text of a column as lists or counters.
pub(crate) fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(damaged)
}

/// A value that this version cannot read.
pub(crate) fn damaged(cause: impl std::fmt::Display) -> Error {
    Error::Damaged(cause.to_string())
}
