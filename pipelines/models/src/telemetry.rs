//! Metric names of the models, in one place.

use std::time::Duration;

const CALLS: &str = "telesift_model_calls_total";
const CALL_SECONDS: &str = "telesift_model_call_seconds";
const RETRIES: &str = "telesift_model_call_retries_total";
const BREAKER_OPEN: &str = "telesift_model_breaker_open";
const EMBEDDED: &str = "telesift_embedded_texts_total";

/// A call to a provider ended as `outcome` (`ok` or the error's label).
pub(crate) fn call(provider: &str, outcome: &'static str, took: Duration) {
    let provider = provider.to_owned();
    metrics::counter!(CALLS, "provider" => provider.clone(), "outcome" => outcome).increment(1);
    metrics::histogram!(CALL_SECONDS, "provider" => provider).record(took.as_secs_f64());
}

/// A call is made once more.
pub(crate) fn retry(provider: &str) {
    metrics::counter!(RETRIES, "provider" => provider.to_owned()).increment(1);
}

/// Whether calls to a provider are held back.
pub(crate) fn breaker(provider: &str, is_open: bool) {
    metrics::gauge!(BREAKER_OPEN, "provider" => provider.to_owned()).set(f64::from(is_open));
}

/// Texts embedded.
pub(crate) fn embedded(model: &str, n: usize) {
    metrics::counter!(EMBEDDED, "model" => model.to_owned()).increment(n as u64);
}
