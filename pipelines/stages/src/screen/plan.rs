//! What the chain gave for records comes in, the appends and counters of one commit leave.

use std::{collections::HashSet, time::Duration};

use telesift_ports::{
    chain::ChainOutcome,
    ledger::Counters,
    record_log::{NewRecord, Outcome, StoredRecord, UniqueKey},
};
use telesift_schemas::{DeadLetterCode, Generation, Offset, Origin, Topic, TopicPartition};

use super::output::{self, Screened};
use crate::{dead_letter::Refusal, identities};

/// What a batch comes to, before the log has said which appends are new.
pub(super) struct Plan {
    pub(super) appends: Vec<(TopicPartition, NewRecord)>,
    pub(super) kinds: Vec<Kind>,
    pub(super) counters: Counters,
    /// Of its messages, where the log refuses no duplicates.
    pub(super) identities: HashSet<UniqueKey>,
    /// What goes to the output there: origin, and the identity of a message.
    pub(super) written: Vec<(Offset, Option<UniqueKey>)>,
}

/// What an append is, in the order of [`Plan::appends`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reactions,
    DeadLetter,
    /// Where a log without transactions is long since written to.
    Marker,
}

impl Plan {
    /// Nothing but what is `missing`.
    pub(super) fn new(missing: Counters) -> Self {
        Plan {
            appends: Vec::new(),
            kinds: Vec::new(),
            counters: missing,
            identities: HashSet::new(),
            written: Vec::new(),
        }
    }

    pub(super) fn message(&mut self, append: (TopicPartition, NewRecord)) {
        self.counters.received += 1;
        self.appends.push(append);
        self.kinds.push(Kind::Message);
    }

    pub(super) fn reacted(&mut self, append: (TopicPartition, NewRecord)) {
        self.counters.received += 1;
        self.appends.push(append);
        self.kinds.push(Kind::Reactions);
    }

    pub(super) fn skip(&mut self, reason: &str) {
        self.counters.received += 1;
        self.counters.skip(reason);
    }

    pub(super) fn refused(&mut self, letter: (TopicPartition, NewRecord)) {
        self.counters.received += 1;
        self.counters.dead_lettered += 1;
        self.appends.push(letter);
        self.kinds.push(Kind::DeadLetter);
    }
}

/// Adds what only the log knows: which messages were seen before. A dead letter counts as one either way.
pub(super) fn count(counters: &mut Counters, kinds: &[Kind], outcomes: &[Outcome]) {
    for (kind, outcome) in kinds.iter().zip(outcomes) {
        match (kind, outcome) {
            (Kind::Message, Outcome::Appended { .. }) => counters.emitted += 1,
            (Kind::Message, Outcome::Duplicate) => counters.skip(DUPLICATE),
            // What is emitted are messages, so that the stages behind can be held against it.
            (Kind::Reactions, _) => counters.skip(REACTIONS),
            (Kind::DeadLetter | Kind::Marker, _) => {}
        }
    }
}

/// The offsets at which messages and markers were appended, in order.
pub(super) fn written_to_output(kinds: &[Kind], outcomes: &[Outcome]) -> Vec<Offset> {
    let appended = kinds.iter().zip(outcomes).filter_map(|pair| match pair {
        (Kind::Message | Kind::Marker, Outcome::Appended { offset, .. }) => Some(*offset),
        _ => None,
    });
    appended.collect()
}

/// Why a message seen before is skipped.
pub(super) const DUPLICATE: &str = "duplicate";

/// Why a record that changes what people think of a message, and not the message, is skipped: it goes to `reactions`.
pub(super) const REACTIONS: &str = "reactions";

/// What becomes of one record.
pub(super) enum Judged {
    Message((TopicPartition, NewRecord)),
    Reacted((TopicPartition, NewRecord)),
    Skipped(String),
    Refused(Refusal),
}

impl Judged {
    /// What the chain gave for `record`, read from `at`, on its way to `output`; `retry` is the number of the try if it is
    /// not the first.
    pub(super) fn of(
        outcome: ChainOutcome,
        (at, record): (&TopicPartition, &StoredRecord),
        output: &TopicPartition,
        retry: Option<u32>,
    ) -> Self {
        let value = match outcome {
            ChainOutcome::Filtered => return Judged::Skipped("filtered".to_owned()),
            ChainOutcome::Failed {
                module,
                code,
                message,
            } => return Judged::Refused(Refusal::new(code, format!("{module}: {message}"))),
            ChainOutcome::Value(value) => value,
        };
        let generation = Generation::of_name(Topic::MESSAGES.as_str(), output.topic.as_str());
        match output::read(generation.unwrap_or(Generation::FIRST), &value) {
            Screened::Skip(reason) => Judged::Skipped(reason),
            Screened::Fail { code, message } => Judged::Refused(Refusal::new(code, message)),
            Screened::Reacted(reactions) => {
                let record = NewRecord {
                    key: record.key.clone(),
                    value: output::with_origin(&reactions, (at, record.offset), retry),
                    // Every generation screens it, and the first to do so tells.
                    unique: vec![identities::of_reactions(&Origin {
                        topic: at.topic.clone(),
                        partition: at.partition,
                        offset: record.offset,
                    })],
                };
                let output = TopicPartition::new(Topic::REACTIONS, at.partition);
                Judged::Reacted((output, record))
            }
            Screened::Message { identity } => {
                let record = NewRecord {
                    key: record.key.clone(),
                    value: output::with_origin(&value, (at, record.offset), retry),
                    unique: vec![identity],
                };
                Judged::Message((output.clone(), record))
            }
        }
    }
}

pub(super) fn panicked() -> Refusal {
    Refusal::new(DeadLetterCode::GuestTrap, "the engine panicked on it")
}

pub(super) fn too_large(n_bytes: usize, limit: usize) -> Refusal {
    let message = format!("screened, it is {n_bytes} bytes long; the log takes {limit}");
    Refusal::new(DeadLetterCode::TooLarge, message)
}

pub(super) fn timed_out(watchdog: Duration) -> Refusal {
    let seconds = watchdog.as_secs();
    let message = format!("no module of the chain returned within {seconds} s");
    Refusal::new(DeadLetterCode::GuestTimeout, message)
}
