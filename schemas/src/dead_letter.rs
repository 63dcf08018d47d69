//! `dead-letters`: what a stage could not process, with all that is needed to try again.

use serde::{Deserialize, Serialize};

use crate::{Origin, Timestamp};

/// A record of `dead-letters`.
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
    /// The input record's value, byte for byte.
    pub payload: Payload,
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
    /// A model refused this text, though it takes others.
    ModelRefused,
}

impl DeadLetterCode {
    /// The code in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::GuestError => "guest_error",
            Self::GuestTrap => "guest_trap",
            Self::GuestTimeout => "guest_timeout",
            Self::GuestOutput => "guest_output",
            Self::StoreRejected => "store_rejected",
            Self::ModelRefused => "model_refused",
        }
    }

    /// What an operator can do about it. The raw record stays in its topic whatever happens.
    pub fn what_to_do(self) -> &'static str {
        match self {
            Self::Unreadable => {
                "look at the payload: the source sent something this version cannot read; the raw record is kept for one that can"
            }
            Self::GuestError | Self::GuestOutput => {
                "look at the payload and the module's version: the module and this binary may not fit together"
            }
            Self::GuestTrap => {
                "the module panicked or ran out of its memory limit; report it with the payload"
            }
            Self::GuestTimeout => {
                "the module did not return within the watchdog's time; report it with the payload"
            }
            Self::StoreRejected => {
                "the store refused this record alone; see the message for the cause"
            }
            Self::ModelRefused => {
                "the message is found by its words, without a vector; see the message of the model for the cause"
            }
        }
    }
}
