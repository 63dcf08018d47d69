//! `dead-letters`: what a stage could not process, with all that is needed to try again, and what became of it.

use serde::{Deserialize, Serialize};

use crate::{Origin, Timestamp};

/// A record of `dead-letters`. A letter has several over time, of one id; the last says where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct DeadLetter {
    /// Record version: 1.
    pub v: u32,
    /// `<stage>:<topic>:<partition>:<offset>`: the same input never gives two.
    pub id: String,
    /// The stage that gave up.
    pub stage: String,
    /// The record it gave up on.
    pub origin: Origin,
    /// Why, as a closed code.
    pub code: DeadLetterCode,
    /// Why, in words. Holds no message text and no secret.
    pub message: String,
    /// How often it was tried, from 1.
    pub attempts: u32,
    /// First failure.
    pub first_at: Timestamp,
    /// Last failure.
    pub last_at: Timestamp,
    /// Where it stands; left out while it is open.
    #[serde(default, skip_serializing_if = "LetterState::is_open")]
    pub state: LetterState,
    /// The input record's value, byte for byte. In the first record of a letter only, and cut short if it is longer than
    /// [`Payload::MAX_BYTES`]: the whole one stands at `origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Bytes of the value, where `payload` is cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<u64>,
}

/// Where a dead letter stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Given up on; may be tried again.
    #[default]
    Open,
    /// Somebody asked for another try; its stage takes it up.
    Retrying,
    /// A retry succeeded: its stage has processed it as if it had never failed.
    Solved,
}

impl LetterState {
    /// Every state.
    pub const ALL: [LetterState; 3] = [Self::Open, Self::Retrying, Self::Solved];

    /// The name in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Retrying => "retrying",
            Self::Solved => "solved",
        }
    }

    fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

impl DeadLetter {
    /// Current record version.
    pub const VERSION: u32 = 1;

    /// The id of stage `stage` giving up on `origin`.
    pub fn id_of(stage: &str, origin: &Origin) -> String {
        format!(
            "{stage}:{}:{}:{}",
            origin.topic, origin.partition, origin.offset
        )
    }
}

/// Bytes in JSON: as text where they are UTF-8, as base64 where they are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// UTF-8 text.
    Text(String),
    /// Standard base64 with padding.
    Base64(String),
}

impl Payload {
    /// What is kept of a value, at most: the topic stays small, and no letter is larger than the log takes.
    pub const MAX_BYTES: usize = 64 << 10;
}

/// Why a record became a dead letter; a closed list, explained in `docs/dead-letters.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterCode {
    /// The record is not what its topic promises (not JSON, a field missing).
    Unreadable,
    /// A SmartModule returned an error for it.
    GuestError,
    /// A SmartModule trapped on it (panic, memory limit).
    GuestTrap,
    /// A SmartModule did not return; found by running the range one by one after the watchdog's restart.
    GuestTimeout,
    /// A SmartModule returned something that is no message and no skip.
    GuestOutput,
    /// A store refused this record and would refuse it again.
    StoreRejected,
    /// What became of it is larger than the log takes.
    TooLarge,
    /// It stands in its topic no more: evicted, erased or damaged before a retry.
    Gone,
    /// A model refused this text, though it takes others.
    ModelRefused,
    /// A model answers, again and again, with what cannot be used.
    ModelUnusable,
}

impl DeadLetterCode {
    /// Every code.
    pub const ALL: [DeadLetterCode; 10] = [
        Self::Unreadable,
        Self::GuestError,
        Self::GuestTrap,
        Self::GuestTimeout,
        Self::GuestOutput,
        Self::StoreRejected,
        Self::TooLarge,
        Self::Gone,
        Self::ModelRefused,
        Self::ModelUnusable,
    ];

    /// The code in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::GuestError => "guest_error",
            Self::GuestTrap => "guest_trap",
            Self::GuestTimeout => "guest_timeout",
            Self::GuestOutput => "guest_output",
            Self::StoreRejected => "store_rejected",
            Self::TooLarge => "too_large",
            Self::Gone => "gone",
            Self::ModelRefused => "model_refused",
            Self::ModelUnusable => "model_unusable",
        }
    }

    /// What an operator can do about it. The raw record stays in its topic whatever happens.
    pub fn what_to_do(self) -> &'static str {
        match self {
            Self::Unreadable => {
                "look at the payload: the source sent something this version cannot read; retry it after an update that can, the raw record is kept until then"
            }
            Self::GuestError | Self::GuestOutput => {
                "look at the payload and the module's version: the module and this binary may not fit together; install the modules that came with the binary (`telesift doctor`), then retry"
            }
            Self::GuestTrap => {
                "the module panicked or ran out of its memory limit: raise screen.memory_limit_mib if the payload is large, and retry; if it fails again, report it with the payload"
            }
            Self::GuestTimeout => {
                "the module did not return within screen.watchdog_s: report it with the payload, and retry after an update (a retry that hangs again restarts the process once)"
            }
            Self::StoreRejected => {
                "the store refused this record alone: mend what the message names, then retry"
            }
            Self::TooLarge => {
                "what becomes of this record is larger than the log takes: look at what the source sent; retry only after an update or with a larger limit of the log"
            }
            Self::Gone => {
                "the record is no longer in its topic (retention, erasure or damage), so nothing can be tried again: the payload is what is left; restore the topic from a backup, or let the source send it again"
            }
            Self::ModelRefused => {
                "see the message of the model for the cause: of `embed`, the message is found by its words, without a vector; of `extract`, nothing is claimed of the conversation; retry after a change of model or settings"
            }
            Self::ModelUnusable => {
                "the model did not answer in the form asked for, several times over: another model, or a newer prompt, may; then retry"
            }
        }
    }
}
