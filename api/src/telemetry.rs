//! Names of the API's metrics and log fields. No message text, no key and no query string goes into either.

/// Counter: requests answered, by `method`, `route` and `status`.
pub(crate) const REQUESTS: &str = "telesift_api_requests_total";
/// Histogram: seconds from request to answer, by `route`.
pub(crate) const REQUEST_SECONDS: &str = "telesift_api_request_seconds";
/// Counter: problems answered, by `code`.
pub(crate) const PROBLEMS: &str = "telesift_api_problems_total";
/// Gauge: open tail streams, by `transport`.
pub(crate) const TAIL_STREAMS: &str = "telesift_api_tail_streams";
/// Counter: frames sent, by `transport` and `type`.
pub(crate) const TAIL_FRAMES: &str = "telesift_api_tail_frames_total";
/// Counter: streams ended by the server, by `reason`.
pub(crate) const TAIL_CLOSED: &str = "telesift_api_tail_closed_total";
/// Counter: batches a stream read from the log itself, because it was behind the shared recent records.
pub(crate) const TAIL_CATCH_UP_READS: &str = "telesift_api_tail_catch_up_reads_total";
/// Gauge: hits held by pinned search results.
pub(crate) const PINNED_HITS: &str = "telesift_api_pinned_hits";

/// Tells the metrics recorder what the numbers mean. Call once, after the recorder is installed.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REQUESTS, "requests answered");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "time to answer a request");
    describe_counter!(PROBLEMS, "problems answered, by code");
    describe_gauge!(TAIL_STREAMS, "open tail streams");
    describe_counter!(TAIL_FRAMES, "tail frames sent");
    describe_counter!(TAIL_CLOSED, "tail streams ended by the server, by reason");
    describe_counter!(
        TAIL_CATCH_UP_READS,
        "batches streams read from the log themselves"
    );
    describe_gauge!(PINNED_HITS, "hits held by pinned search results");
}
