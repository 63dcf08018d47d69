//! The names of this crate's metrics, and nothing else records them.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use telesift_schemas::TopicPartition;

const COMMIT_SECONDS: &str = "telesift_log_commit_seconds";
const APPENDED_RECORDS: &str = "telesift_log_appended_records_total";
const APPENDED_BYTES: &str = "telesift_log_appended_bytes_total";
const DUPLICATES: &str = "telesift_log_duplicates_total";
const READ_RECORDS: &str = "telesift_log_read_records_total";
const READ_BYTES: &str = "telesift_log_read_bytes_total";
const RETRIES: &str = "telesift_log_retries_total";
const CONNECTIONS: &str = "telesift_log_connections_total";
const STREAMS_REOPENED: &str = "telesift_log_streams_reopened_total";
const UNCERTAIN_BATCHES: &str = "telesift_log_uncertain_batches_total";

/// Says what each metric means. Once per process is enough, more does no harm.
pub(crate) fn describe() {
    describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "from asking for a commit to its answer"
    );
    describe_counter!(APPENDED_RECORDS, Unit::Count, "records appended");
    describe_counter!(APPENDED_BYTES, Unit::Bytes, "keys and values appended");
    describe_counter!(
        DUPLICATES,
        Unit::Count,
        "records refused because they were known"
    );
    describe_counter!(READ_RECORDS, Unit::Count, "records read");
    describe_counter!(READ_BYTES, Unit::Bytes, "keys and values read");
    describe_counter!(RETRIES, Unit::Count, "requests to the cluster tried again");
    describe_counter!(
        CONNECTIONS,
        Unit::Count,
        "connections opened to the cluster"
    );
    describe_counter!(
        STREAMS_REOPENED,
        Unit::Count,
        "streams opened anew: `broken`, or `silent` while the end of the partition moved on"
    );
    describe_counter!(
        UNCERTAIN_BATCHES,
        Unit::Count,
        "batches whose answer was lost: `found` in the log, `missing` and sent again, or `unknown`"
    );
}

pub(crate) fn committed(took: Duration) {
    histogram!(COMMIT_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn appended(n_records: usize, n_bytes: usize) {
    counter!(APPENDED_RECORDS).increment(n_records as u64);
    counter!(APPENDED_BYTES).increment(n_bytes as u64);
}

pub(crate) fn duplicates(n: usize) {
    counter!(DUPLICATES).increment(n as u64);
}

pub(crate) fn read(n_records: usize, n_bytes: usize) {
    counter!(READ_RECORDS).increment(n_records as u64);
    counter!(READ_BYTES).increment(n_bytes as u64);
}

pub(crate) fn retried(call: &'static str, reason: &dyn std::fmt::Display) {
    counter!(RETRIES, "call" => call).increment(1);
    tracing::debug!(call, %reason, "the cluster is asked again");
}

pub(crate) fn connected(purpose: &'static str) {
    counter!(CONNECTIONS, "for" => purpose).increment(1);
}

pub(crate) fn stream_reopened(at: &TopicPartition, why: &'static str) {
    counter!(STREAMS_REOPENED, "why" => why).increment(1);
    tracing::debug!(topic = %at.topic, partition = at.partition.0, why, "the stream is opened anew");
}

pub(crate) fn uncertain(at: &TopicPartition, what: &'static str) {
    counter!(UNCERTAIN_BATCHES, "what" => what).increment(1);
    tracing::info!(topic = %at.topic, partition = at.partition.0, what, "the answer to a batch was lost");
}
