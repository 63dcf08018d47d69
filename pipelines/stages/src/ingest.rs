//! Sources in, `telegram-raw` out: every update and export message is appended, untouched and durable, before anything
//! else happens to it.

mod imports;
mod updates;

use telesift_ports::{
    record_log::{NewRecord, RecordLog, Result},
    source::RawUpdate,
};
use telesift_schemas::{Topic, TopicPartition, partition_for_chat};

pub use imports::{ImportConfig, ImportRunner};
pub use updates::UpdateIngest;

/// The stage's name in ledger, logs and metrics. What it takes comes from outside, so its inputs are named after the
/// source: `bot:<name>`, `imports`.
pub const STAGE: &str = "ingest";

/// The append of an update: in the partition of its chat, keyed by it.
pub fn append(update: RawUpdate, n_partitions: u32) -> (TopicPartition, NewRecord) {
    let partition = partition_for_chat(update.chat, n_partitions);
    let record = NewRecord {
        key: update.chat.to_string().into_bytes().into(),
        value: update.value,
        unique: update.unique,
    };
    (TopicPartition::new(Topic::TELEGRAM_RAW, partition), record)
}

/// The partition count of `telegram-raw`, as the log has it.
///
/// # Errors
/// If the log cannot say.
pub async fn n_partitions(log: &dyn RecordLog) -> Result<u32> {
    Ok(log.partitions(&Topic::TELEGRAM_RAW).await?.len() as u32)
}
