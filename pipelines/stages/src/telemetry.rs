//! Names of the stages' metrics. Labels: `stage`, `topic`, `partition`; never message text.

use std::time::Duration;

use telesift_ports::bots::Taken;
use telesift_schemas::TopicPartition;

/// Inputs whose fate is committed.
pub(crate) const RECORDS: &str = "telesift_stage_records_total";
/// Seconds from reading a batch to its commit.
pub(crate) const BATCH_SECONDS: &str = "telesift_stage_batch_seconds";
/// Tries of a batch that failed and will be repeated.
pub(crate) const RETRIES: &str = "telesift_stage_retries_total";
/// Inputs given up on.
pub(crate) const DEAD_LETTERS: &str = "telesift_stage_dead_letters_total";
/// Retries of dead letters that ended; label `outcome`.
pub(crate) const DEAD_LETTER_RETRIES: &str = "telesift_stage_dead_letter_retries_total";
/// Inputs between the position and the end of the partition.
pub(crate) const LAG: &str = "telesift_stage_lag_records";
/// Raw records judged by replays.
pub(crate) const REPLAYED: &str = "telesift_replay_records_total";
/// Entries of imports that were appended, were duplicates, or were skipped; label `outcome`.
pub(crate) const IMPORT_ENTRIES: &str = "telesift_import_entries_total";

/// Updates of bots; labels `bot` and `outcome` (`new`, `duplicate`, `chat_not_allowed`).
pub(crate) const UPDATES: &str = "telesift_ingest_updates_total";

pub(crate) fn updates(bot: &str, taken: &Taken) {
    let outcomes = [
        ("new", taken.n_new),
        ("duplicate", taken.n_duplicate),
        ("chat_not_allowed", taken.n_dropped),
    ];
    for (outcome, n) in outcomes.into_iter().filter(|(_, n)| *n > 0) {
        metrics::counter!(UPDATES, "bot" => bot.to_owned(), "outcome" => outcome).increment(n);
    }
}

/// Inputs that wait, by how urgent they are; label `class`.
pub(crate) const BACKLOG: &str = "telesift_stage_backlog_records";

pub(crate) fn backlog(stage: &str, class: &'static str, n: u64) {
    metrics::gauge!(BACKLOG, "stage" => stage.to_owned(), "class" => class).set(n as f64);
}

/// Units that were given to a provider, or answered from the cache; labels `provider` and `outcome`.
pub(crate) const ASKED: &str = "telesift_extract_calls_total";
/// What they cost, in millionths of a US dollar; label `provider`.
pub(crate) const SPENT: &str = "telesift_extract_micro_usd_total";
/// Units that wait; label `reason` (`budget`, `provider`).
pub(crate) const HELD: &str = "telesift_extract_held_total";

pub(crate) fn asked(provider: &str, outcome: &'static str, micro_usd: u64) {
    let provider = provider.to_owned();
    metrics::counter!(ASKED, "provider" => provider.clone(), "outcome" => outcome).increment(1);
    metrics::counter!(SPENT, "provider" => provider).increment(micro_usd);
}

pub(crate) fn held(reason: &'static str) {
    metrics::counter!(HELD, "reason" => reason).increment(1);
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

/// Claims, quotes and links of extractors that were not kept; labels `extractor` and `reason`.
pub(crate) const REJECTED: &str = "telesift_extract_rejected_total";

pub(crate) fn rejected(extractor: &str, reason: &str, n: u32) {
    metrics::counter!(REJECTED, "extractor" => extractor.to_owned(), "reason" => reason.to_owned())
        .increment(u64::from(n));
}

pub(crate) fn replayed(n_records: usize) {
    metrics::counter!(REPLAYED).increment(n_records as u64);
}
