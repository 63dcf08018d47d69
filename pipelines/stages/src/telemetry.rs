//! Names of the stages' metrics. Labels: `stage`, `topic`, `partition`; never message text.

use std::time::Duration;

use telesift_schemas::TopicPartition;

/// Inputs whose fate is committed.
pub(crate) const RECORDS: &str = "telesift_stage_records_total";
/// Seconds from reading a batch to its commit.
pub(crate) const BATCH_SECONDS: &str = "telesift_stage_batch_seconds";
/// Tries of a batch that failed and will be repeated.
pub(crate) const RETRIES: &str = "telesift_stage_retries_total";
/// Inputs given up on.
pub(crate) const DEAD_LETTERS: &str = "telesift_stage_dead_letters_total";
/// Inputs between the position and the end of the partition.
pub(crate) const LAG: &str = "telesift_stage_lag_records";
/// Raw records judged by replays.
pub(crate) const REPLAYED: &str = "telesift_replay_records_total";
/// Entries of imports that were appended, were duplicates, or were skipped; label `outcome`.
pub(crate) const IMPORT_ENTRIES: &str = "telesift_import_entries_total";

/// Inputs that wait, by how urgent they are; label `class`.
pub(crate) const BACKLOG: &str = "telesift_stage_backlog_records";

pub(crate) fn backlog(stage: &str, class: &'static str, n: u64) {
    metrics::gauge!(BACKLOG, "stage" => stage.to_owned(), "class" => class).set(n as f64);
}

pub(crate) fn batch(stage: &str, n_records: usize, took: Duration) {
    metrics::counter!(RECORDS, "stage" => stage.to_owned()).increment(n_records as u64);
    metrics::histogram!(BATCH_SECONDS, "stage" => stage.to_owned()).record(took.as_secs_f64());
}

pub(crate) fn lag(stage: &str, at: &TopicPartition, lag: u64) {
    metrics::gauge!(LAG, "stage" => stage.to_owned(), "topic" => at.topic.to_string(),
        "partition" => at.partition.to_string())
    .set(lag as f64);
}

pub(crate) fn replayed(n_records: usize) {
    metrics::counter!(REPLAYED).increment(n_records as u64);
}
