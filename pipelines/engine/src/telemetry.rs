//! Metric names of the chain.

use telesift_schemas::DeadLetterCode;

/// A module was compiled anew after a trap.
pub(crate) fn rebuilt(module: &str) {
    metrics::counter!("telesift_chain_rebuilds_total", "module" => module.to_owned()).increment(1);
}

/// A record failed in a module.
pub(crate) fn failed(module: &str, code: DeadLetterCode) {
    metrics::counter!(
        "telesift_chain_failed_records_total",
        "module" => module.to_owned(), "code" => code.as_str()
    )
    .increment(1);
}
