//! What a stage cannot process becomes a record of `dead-letters`, once per stage and input.

use bytes::Bytes;
use telesift_ports::record_log::{NewRecord, StoredRecord, UniqueKey};
use telesift_schemas::{
    DeadLetter, DeadLetterCode, Origin, PartitionId, Payload, Timestamp, Topic, TopicPartition,
};

use crate::telemetry;

/// Why a stage gives up on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason as a code.
    pub code: DeadLetterCode,
    /// The reason in words, without message text.
    pub message: String,
    /// How often it was tried, from 1.
    pub attempts: u32,
}

/// The append that makes `record`, read from `at`, a dead letter of `stage`. Refused by the log as a duplicate if it is
/// one already.
pub fn append(
    stage: &str,
    at: &TopicPartition,
    record: &StoredRecord,
    refusal: Refusal,
    now: Timestamp,
) -> (TopicPartition, NewRecord) {
    metrics::counter!(telemetry::DEAD_LETTERS, "stage" => stage.to_owned(), "code" => refusal.code.as_str()).increment(1);
    let origin = Origin {
        topic: at.topic.clone(),
        partition: at.partition,
        offset: record.offset,
    };
    let id = DeadLetter::id_of(stage, &origin);
    let letter = DeadLetter {
        v: DeadLetter::VERSION,
        id: id.clone(),
        stage: stage.to_owned(),
        origin,
        code: refusal.code,
        message: refusal.message,
        attempts: refusal.attempts,
        first_at: now,
        last_at: now,
        payload: payload(&record.value),
    };
    let value = serde_json::to_vec(&letter).expect("a dead letter is strings and numbers");
    let record = NewRecord {
        key: Bytes::from(stage.to_owned()),
        value: value.into(),
        unique: vec![UniqueKey::new("dead-letter", &[&id])],
    };
    (
        TopicPartition::new(Topic::DEAD_LETTERS, PartitionId(0)),
        record,
    )
}

fn payload(value: &[u8]) -> Payload {
    match std::str::from_utf8(value) {
        Ok(text) => Payload::Text(text.to_owned()),
        Err(_) => Payload::Base64(base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            value,
        )),
    }
}
