//! What a stage cannot process becomes a record of `dead-letters`, once per stage and input; a retry takes its letter out
//! again.

mod projection;

use bytes::Bytes;
use serde::Deserialize;
use telesift_ports::{
    dead_letters::{self, RetryRequest},
    record_log::{NewRecord, StateWrite, StoredRecord, Transaction},
};
use telesift_schemas::{
    DeadLetter, DeadLetterCode, LetterState, Origin, Payload, Timestamp, TopicPartition,
};

use crate::telemetry;

pub use projection::{LetterProjection, STAGE};

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

impl Refusal {
    /// Refused at the first try.
    pub(crate) fn new(code: DeadLetterCode, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
            attempts: 1,
        }
    }

    /// A record that is no `what`.
    pub(crate) fn unreadable(what: &str, error: &serde_json::Error) -> Self {
        // Not the parser's own words: they may quote the record.
        let (line, column) = (error.line(), error.column());
        let kind = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another kind",
            _ => "not JSON",
        };
        Refusal::new(
            DeadLetterCode::Unreadable,
            format!("no {what}: {kind}, at {line}:{column}"),
        )
    }
}

/// What `record` holds, which should be a `what`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    what: &str,
    record: &'a StoredRecord,
) -> Result<T, Refusal> {
    serde_json::from_slice(&record.value).map_err(|e| Refusal::unreadable(what, &e))
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
    let (payload, payload_bytes) = payload(&record.value);
    let letter = DeadLetter {
        v: DeadLetter::VERSION,
        id: DeadLetter::id_of(stage, &origin),
        stage: stage.to_owned(),
        origin,
        code: refusal.code,
        message: refusal.message,
        attempts: refusal.attempts,
        first_at: now,
        last_at: now,
        state: LetterState::Open,
        payload: Some(payload),
        payload_bytes,
    };
    dead_letters::append(&letter, "")
}

/// An input that was given up on, to be tried again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The partition it stands in.
    pub at: TopicPartition,
    /// The input, as it was then.
    pub record: StoredRecord,
    pub(crate) request: RetryRequest,
    pub(crate) stage: &'static str,
    /// The request as the log keeps it.
    pub(crate) stored: Bytes,
}

/// What a stage made of a [`Retry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Effect and counters are stored; the letter is solved, or stays open with a new reason, as the log is told next.
    Stored(Option<Refusal>),
    /// Effect, counters and letter were committed together.
    Committed,
    /// The stage has not come to this input yet, or not again.
    Later,
}

impl Retry {
    /// What tells this try from every other one.
    pub fn name(&self) -> String {
        self.request.name()
    }

    /// The state of the log that must still stand when this retry ends.
    pub(crate) fn guard(&self) -> StateWrite {
        let key = RetryRequest::key(self.stage, &self.request.origin);
        (key, Some(self.stored.clone()))
    }

    /// The letter's next record, and the state write that ends the request.
    pub(crate) fn end(
        &self,
        refusal: Option<&Refusal>,
        now: Timestamp,
    ) -> ((TopicPartition, NewRecord), StateWrite) {
        let request = &self.request;
        let outcome = if refusal.is_some() {
            "failed"
        } else {
            "solved"
        };
        metrics::counter!(telemetry::DEAD_LETTER_RETRIES, "stage" => self.stage, "outcome" => outcome)
            .increment(1);
        let letter = DeadLetter {
            v: DeadLetter::VERSION,
            id: request.id.clone(),
            stage: self.stage.to_owned(),
            origin: request.origin.clone(),
            code: refusal.map_or(request.code, |r| r.code),
            message: refusal.map_or(&request.message, |r| &r.message).clone(),
            attempts: request.attempt,
            first_at: request.first_at,
            last_at: now,
            state: match refusal {
                Some(_) => LetterState::Open,
                None => LetterState::Solved,
            },
            payload: None,
            payload_bytes: None,
        };
        let (key, _) = self.guard();
        (dead_letters::append(&letter, "end"), (key, None))
    }

    /// The end of this retry as a transaction of its own.
    pub(crate) fn ended(&self, refusal: Option<&Refusal>, now: Timestamp) -> Transaction {
        let (append, write) = self.end(refusal, now);
        Transaction {
            guards: vec![self.guard()],
            finish: Box::new(move |_| vec![write]),
            ..Transaction::appends(vec![append])
        }
    }
}

/// What is kept of a value, and its length if that is not all.
fn payload(value: &[u8]) -> (Payload, Option<u64>) {
    let is_cut = value.len() > Payload::MAX_BYTES;
    let kept = &value[..value.len().min(Payload::MAX_BYTES)];
    let payload = match std::str::from_utf8(kept) {
        Ok(text) => Payload::Text(text.to_owned()),
        // Cut within a character.
        Err(e) if is_cut && e.error_len().is_none() => {
            Payload::Text(String::from_utf8_lossy(&kept[..e.valid_up_to()]).into_owned())
        }
        Err(_) => Payload::Base64(base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            kept,
        )),
    };
    (payload, is_cut.then_some(value.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_keep_every_byte_up_to_their_limit() {
        let text = "тест";
        assert_eq!(payload(text.as_bytes()), (Payload::Text(text.into()), None));
        let bytes = [0xff, 0xfe];
        assert_eq!(payload(&bytes), (Payload::Base64("//4=".into()), None));
    }

    #[test]
    fn a_long_payload_is_cut_between_characters_and_says_how_long_it_was() {
        let long = format!("a{}", "ї".repeat(Payload::MAX_BYTES));
        let (payload, n_bytes) = payload(long.as_bytes());
        assert_eq!(n_bytes, Some(long.len() as u64));
        let Payload::Text(text) = payload else {
            panic!("{payload:?}")
        };
        assert!(long.starts_with(&text) && text.len() == Payload::MAX_BYTES - 1);
    }
}
