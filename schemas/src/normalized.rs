//! What `normalize` makes of a raw record: a message, a skip with its reason, or a failure as a value.

use serde::{Deserialize, Serialize};

use crate::{DeadLetterCode, Message, Reactions};

/// The value that leaves the SmartModule `normalize`. A message stands bare; reactions are `{"reacted": {…}}`, a skip is
/// `{"skip": "<reason>"}` and a failure `{"fail": {"code", "message"}}`, which later modules pass on unchanged: the screen
/// stage appends the first to `reactions`, counts the second and dead-letters the third. A guest that returned an error
/// instead would stall its partition on Fluvio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Normalized {
    /// Nothing to screen here.
    Skip {
        /// Why.
        skip: SkipReason,
    },
    /// Not readable as what its source promises.
    Fail {
        /// Why.
        fail: Failure,
    },
    /// How people react to a message, without `origin` yet.
    Reacted {
        /// The record.
        reacted: Box<Reactions>,
    },
    /// A message, without `screen` and `origin` yet.
    Message(Box<Message>),
}

impl Normalized {
    /// Appends the JSON to `out`. Of a message, `flags` comes last if there are any, so that `signal-score` can put
    /// `screen` in their place without writing the rest anew.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("its maps have string keys, and a Vec takes all");
    }

    /// Whether `value`, which [`Normalized::write_to`] wrote, is anything but a message; decided by its first bytes.
    pub fn is_marker(value: &[u8]) -> bool {
        let markers: [&[u8]; 3] = [br#"{"skip""#, br#"{"fail""#, br#"{"reacted""#];
        markers.iter().any(|marker| value.starts_with(marker))
    }
}

/// Why a raw record could not be read, as a value between SmartModules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The code of the dead letter it becomes.
    pub code: DeadLetterCode,
    /// In words, without message text.
    pub message: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_known_by_their_first_bytes() {
        let skip = Normalized::Skip {
            skip: SkipReason::NoMessage,
        };
        let fail = Normalized::Fail {
            fail: Failure {
                code: DeadLetterCode::Unreadable,
                message: "no `chat`".into(),
            },
        };
        for (marker, json) in [
            (skip, r#"{"skip":"no_message"}"#),
            (
                fail,
                r#"{"fail":{"code":"unreadable","message":"no `chat`"}}"#,
            ),
        ] {
            let mut out = Vec::new();
            marker.write_to(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), json);
            assert!(Normalized::is_marker(&out));
            assert_eq!(serde_json::from_slice::<Normalized>(&out).unwrap(), marker);
        }
        assert!(!Normalized::is_marker(br#"{"v":1,"skip":2}"#));
    }
}
