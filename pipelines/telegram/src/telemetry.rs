//! Names of the metrics of bots. Labels: `bot`, `method`, `outcome`; never a token, never message text.

/// Calls of the Bot API; labels `method` and `outcome` (`ok`, or what went wrong).
pub(crate) const CALLS: &str = "telesift_bot_api_calls_total";
/// Calls of the Bot API that were repeated; label `method`.
pub(crate) const RETRIES: &str = "telesift_bot_api_retries_total";
/// Updates fetched by polling; label `bot`.
pub(crate) const POLLED: &str = "telesift_bot_polled_updates_total";
/// 1 for the state a bot is in; labels `bot` and `state`.
pub(crate) const STATE: &str = "telesift_bot_state";

/// Describes them to the metrics recorder.
pub fn describe() {
    metrics::describe_counter!(CALLS, "Calls of the Bot API, by outcome");
    metrics::describe_counter!(RETRIES, "Calls of the Bot API that were repeated");
    metrics::describe_counter!(POLLED, "Updates fetched by polling");
    metrics::describe_gauge!(STATE, "1 for the state a bot is in");
}
