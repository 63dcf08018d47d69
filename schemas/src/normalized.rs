//! What `normalize` makes of a raw record: a message, or a skip with its reason.

use serde::{Deserialize, Serialize};

use crate::Message;

/// The value that leaves the SmartModule `normalize`. A message stands bare; a skip is `{"skip": "<reason>"}`, which
/// later modules pass on unchanged, so that the screen stage can count it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Normalized {
    /// Nothing to screen here.
    Skip {
        /// Why.
        skip: SkipReason,
    },
    /// A message, without `screen` and `origin` yet.
    Message(Box<Message>),
}

/// Why a raw record gives no message. Counted per reason in the ledger; never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The same message version, or the same update, was seen before.
    Duplicate,
    /// A known update that bears no message, such as a callback query.
    NoMessage,
    /// An update kind this version does not know. It stays in `telegram-raw`.
    UnknownUpdate,
    /// An export entry that is neither a message nor a service message.
    UnknownEntry,
}

impl SkipReason {
    /// The reason as the ledger and the API name it.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Duplicate => "duplicate",
            SkipReason::NoMessage => "no_message",
            SkipReason::UnknownUpdate => "unknown_update",
            SkipReason::UnknownEntry => "unknown_entry",
        }
    }
}
