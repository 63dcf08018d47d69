//! The names of this crate's metrics, and nothing else records them.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const COMMIT_SECONDS: &str = "telesift_log_commit_seconds";
const GROUP_TRANSACTIONS: &str = "telesift_log_group_transactions";
const SYNC_SECONDS: &str = "telesift_log_sync_seconds";
const SYNCS: &str = "telesift_log_syncs_total";
const APPENDED_RECORDS: &str = "telesift_log_appended_records_total";
const APPENDED_BYTES: &str = "telesift_log_appended_bytes_total";
const DUPLICATES: &str = "telesift_log_duplicates_total";
const READ_RECORDS: &str = "telesift_log_read_records_total";
const READ_BYTES: &str = "telesift_log_read_bytes_total";
const CORRUPT_RECORDS: &str = "telesift_log_corrupt_records_total";
const EVICTED_RECORDS: &str = "telesift_log_evicted_records_total";
const FAILED: &str = "telesift_log_failed";
const FREE_BYTES: &str = "telesift_log_free_bytes";

/// Says what each metric means. Once per process is enough, more does no harm.
pub(crate) fn describe() {
    describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "from asking for a commit to its answer"
    );
    describe_histogram!(
        GROUP_TRANSACTIONS,
        Unit::Count,
        "transactions that shared one sync"
    );
    describe_histogram!(SYNC_SECONDS, Unit::Seconds, "writing and syncing one group");
    describe_counter!(SYNCS, Unit::Count, "groups written and synced");
    describe_counter!(APPENDED_RECORDS, Unit::Count, "records appended");
    describe_counter!(APPENDED_BYTES, Unit::Bytes, "keys and values appended");
    describe_counter!(
        DUPLICATES,
        Unit::Count,
        "records refused because they were known"
    );
    describe_counter!(READ_RECORDS, Unit::Count, "records read");
    describe_counter!(READ_BYTES, Unit::Bytes, "keys and values read");
    describe_counter!(
        CORRUPT_RECORDS,
        Unit::Count,
        "records found damaged when read"
    );
    describe_counter!(EVICTED_RECORDS, Unit::Count, "records evicted by retention");
    describe_gauge!(
        FAILED,
        Unit::Count,
        "1 after a failed sync: no appends until the log is opened again"
    );
    describe_gauge!(FREE_BYTES, Unit::Bytes, "free space where the log lies");
}

/// One caller got its answer.
pub(crate) fn commit_answered(after: Duration) {
    histogram!(COMMIT_SECONDS).record(after);
}

/// What one group held.
#[derive(Default, Clone, Copy)]
pub(crate) struct GroupTotals {
    pub(crate) n_transactions: usize,
    pub(crate) n_records: u64,
    pub(crate) n_bytes: u64,
    pub(crate) n_duplicates: u64,
}

/// A group became durable.
pub(crate) fn group_synced(totals: GroupTotals, took: Duration) {
    histogram!(GROUP_TRANSACTIONS).record(totals.n_transactions as f64);
    histogram!(SYNC_SECONDS).record(took);
    counter!(SYNCS).increment(1);
    counter!(APPENDED_RECORDS).increment(totals.n_records);
    counter!(APPENDED_BYTES).increment(totals.n_bytes);
    counter!(DUPLICATES).increment(totals.n_duplicates);
}

/// A reader got records.
pub(crate) fn records_read(n_records: usize, n_bytes: usize) {
    counter!(READ_RECORDS).increment(n_records as u64);
    counter!(READ_BYTES).increment(n_bytes as u64);
}

/// A reader met damage.
pub(crate) fn records_corrupt(n_records: u64) {
    counter!(CORRUPT_RECORDS).increment(n_records);
}

/// Retention ran.
pub(crate) fn records_evicted(n_records: u64) {
    counter!(EVICTED_RECORDS).increment(n_records);
}

/// The log opened (`false`) or failed (`true`).
pub(crate) fn log_failed(failed: bool) {
    gauge!(FAILED).set(if failed { 1.0 } else { 0.0 });
}

/// Free space was measured.
pub(crate) fn free_space(n_bytes: u64) {
    gauge!(FREE_BYTES).set(n_bytes as f64);
}
