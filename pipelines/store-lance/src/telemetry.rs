//! The names of the store's metrics, and nothing else records them.

use std::time::Duration;

use metrics::{Unit, describe_gauge, describe_histogram, gauge, histogram};
use telesift_ports::message_store::StoreStats;

const ROWS: &str = "telesift_store_rows";
const UNINDEXED_ROWS: &str = "telesift_store_unindexed_rows";
const MAINTENANCE_SECONDS: &str = "telesift_store_maintenance_seconds";

/// Says what each metric means. Once per process is enough, more does no harm.
pub(crate) fn describe() {
    describe_gauge!(
        ROWS,
        Unit::Count,
        "current versions, as of the last maintenance"
    );
    describe_gauge!(
        UNINDEXED_ROWS,
        Unit::Count,
        "rows that the index `text` or `vector` does not cover, as of the last maintenance"
    );
    describe_histogram!(
        MAINTENANCE_SECONDS,
        Unit::Seconds,
        "a step of maintenance: compact, index, learn_vectors or prune"
    );
}

/// A step of maintenance ended, well or not.
pub(crate) fn step_done(step: &'static str, took: Duration) {
    histogram!(MAINTENANCE_SECONDS, "step" => step).record(took);
}

/// What maintenance left.
pub(crate) fn stats(stats: &StoreStats) {
    gauge!(ROWS).set(stats.n_messages as f64);
    for (index, n_unindexed) in [
        ("text", stats.n_unindexed_text),
        ("vector", stats.n_unindexed_vector),
    ] {
        gauge!(UNINDEXED_ROWS, "index" => index).set(n_unindexed as f64);
    }
}
