//! Dead letters as they are listed and asked to be tried again; the stages try them.
//!
//! A request for a retry is a record on `dead-letters` (state `retrying`) and a piece of the log's state under
//! [`RetryRequest::key`], written together. Its stage takes it up between two batches, on the partition it owns, and ends
//! it: in the transaction of its effect where that is the log, after its effect where it is a store.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use telesift_schemas::{
    DeadLetter, DeadLetterCode, LetterState, Offset, Origin, PartitionId, Timestamp, Topic,
    TopicPartition,
};

use crate::{
    catalog,
    record_log::{self, NewRecord, Outcome, RecordLog, Transaction, UniqueKey},
};

/// The letters, as the catalog keeps them for reading: filled from the topic `dead-letters`, rebuilt from it.
#[async_trait]
pub trait LetterCatalog: Send + Sync + 'static {
    /// Stores what records of the topic say. Of one letter the later record counts, whatever the order they come in.
    async fn put_letters(&self, letters: &[LetterRow]) -> catalog::Result<()>;

    /// The letter of that id.
    async fn letter(&self, id: &str) -> catalog::Result<Option<LetterRow>>;

    /// Letters, the last given up on first, before `before` (a [`LetterRow::first`]) if given.
    async fn letters(
        &self,
        filter: &LetterFilter,
        before: Option<Offset>,
        limit: usize,
    ) -> catalog::Result<Vec<LetterRow>>;
}

/// A dead letter without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// Its id.
    pub id: String,
    /// The stage that gave up.
    pub stage: String,
    /// The record it gave up on.
    pub origin: Origin,
    /// Why, as a code.
    pub code: DeadLetterCode,
    /// Why, in words.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// First failure.
    pub first_at: Timestamp,
    /// Last try.
    pub last_at: Timestamp,
    /// Where it stands.
    pub state: LetterState,
    /// Offset of its first record on `dead-letters`, which holds the payload.
    pub first: Offset,
    /// Offset of its last one.
    pub last: Offset,
}

impl LetterRow {
    /// What the record at `offset` says of its letter.
    pub fn new(letter: DeadLetter, offset: Offset) -> Self {
        LetterRow {
            id: letter.id,
            stage: letter.stage,
            origin: letter.origin,
            code: letter.code,
            message: letter.message,
            attempts: letter.attempts,
            first_at: letter.first_at,
            last_at: letter.last_at,
            state: letter.state,
            first: offset,
            last: offset,
        }
    }

    fn to_record(&self, state: LetterState) -> DeadLetter {
        DeadLetter {
            v: DeadLetter::VERSION,
            id: self.id.clone(),
            stage: self.stage.clone(),
            origin: self.origin.clone(),
            code: self.code,
            message: self.message.clone(),
            attempts: self.attempts,
            first_at: self.first_at,
            last_at: self.last_at,
            state,
            payload: None,
            payload_bytes: None,
        }
    }
}

/// Which letters; an empty list asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Of these stages.
    pub stages: Vec<String>,
    /// With these codes.
    pub codes: Vec<DeadLetterCode>,
    /// In these states.
    pub states: Vec<LetterState>,
}

impl LetterFilter {
    /// Whether `letter` is asked for.
    pub fn matches(&self, letter: &LetterRow) -> bool {
        fn asks<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        asks(&self.stages, &letter.stage)
            && asks(&self.codes, &letter.code)
            && asks(&self.states, &letter.state)
    }
}

/// A retry that was asked for and is not over, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRequest {
    /// The letter.
    pub id: String,
    /// Its record.
    pub origin: Origin,
    /// The number of this try: one more than were made.
    pub attempt: u32,
    /// First failure.
    pub first_at: Timestamp,
    /// Why it failed last.
    pub code: DeadLetterCode,
    /// The same in words.
    pub message: String,
}

impl RetryRequest {
    /// What tells this try from every other one.
    pub fn name(&self) -> String {
        format!("{}#{}", self.id, self.attempt)
    }

    /// Where the log keeps it: [`RetryRequest::prefix`], then the offset.
    pub fn key(stage: &str, origin: &Origin) -> String {
        let at = TopicPartition::new(origin.topic.clone(), origin.partition);
        format!("{}{}", Self::prefix(stage, &at), origin.offset)
    }

    /// What the keys of all retries of a stage begin with.
    pub fn of_stage(stage: &str) -> String {
        format!("retry/{stage}/")
    }

    /// What the keys of a stage's retries on one partition begin with.
    pub fn prefix(stage: &str, at: &TopicPartition) -> String {
        format!("{}{}/{}/", Self::of_stage(stage), at.topic, at.partition)
    }
}

/// The one partition of `dead-letters`.
pub fn partition() -> TopicPartition {
    TopicPartition::new(Topic::DEAD_LETTERS, PartitionId(0))
}

/// A record of the letter, to be appended. `step` names what it tells, once per letter and try: told again, it is a
/// duplicate.
///
/// # Panics
/// Never: a letter is strings and numbers.
pub fn append(letter: &DeadLetter, step: &str) -> (TopicPartition, NewRecord) {
    let value = serde_json::to_vec(letter).expect("a dead letter is strings and numbers");
    let attempt = letter.attempts.to_string();
    let unique = match step {
        // The first failure, however often its stage comes by.
        "" => UniqueKey::new("dead-letter", &[&letter.id]),
        step => UniqueKey::new("dead-letter", &[&letter.id, &attempt, step]),
    };
    let record = NewRecord {
        key: Bytes::from(letter.stage.clone()),
        value: value.into(),
        unique: vec![unique],
    };
    (partition(), record)
}

/// Letters one transaction asks for.
pub const MAX_REQUESTED: usize = 500;

/// Asks for another try of each of `letters`, [`MAX_REQUESTED`] at most in one transaction; returns how many were not asked
/// for already. Those that are not open are passed over.
///
/// # Errors
/// If the log cannot take it; what was asked for before stands.
pub async fn request_retries(
    log: &dyn RecordLog,
    letters: &[LetterRow],
) -> record_log::Result<usize> {
    let mut n_requested = 0;
    let open: Vec<&LetterRow> = letters
        .iter()
        .filter(|letter| letter.state == LetterState::Open)
        .collect();
    for part in open.chunks(MAX_REQUESTED) {
        let mut appends = Vec::with_capacity(part.len());
        let mut requests = Vec::with_capacity(part.len());
        for letter in part {
            appends.push(append(&letter.to_record(LetterState::Retrying), "retry"));
            let request = RetryRequest {
                id: letter.id.clone(),
                origin: letter.origin.clone(),
                attempt: letter.attempts.saturating_add(1),
                first_at: letter.first_at,
                code: letter.code,
                message: letter.message.clone(),
            };
            let value = serde_json::to_vec(&request).unwrap_or_default();
            let key = RetryRequest::key(&letter.stage, &letter.origin);
            requests.push((key, Some(Bytes::from(value))));
        }
        let transaction = Transaction {
            finish: Box::new(move |outcomes| {
                let asked = requests.into_iter().zip(outcomes);
                let new = asked.filter(|(_, outcome)| matches!(outcome, Outcome::Appended { .. }));
                new.map(|(write, _)| write).collect()
            }),
            ..Transaction::appends(appends)
        };
        let outcomes = log.commit(transaction).await?;
        n_requested += outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Appended { .. }))
            .count();
    }
    Ok(n_requested)
}
