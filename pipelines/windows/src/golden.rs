//! The golden input, synthetic and the same on every machine, and its answers, as lines to be kept in files.
//!
//! 20,000 messages of ten chats over three days, in the order in which they arrive: nearly all within two seconds of their
//! order in time; now and then one that is hours late, an edit or a deletion of an old one; and a closing record a day
//! later, without which the last windows of a source that never ends do not close.

mod answers;
mod input;
mod words;

pub use answers::{Answers, Question, answers, lines};
pub use input::{Arrival, input};

use telesift_schemas::Timestamp;

/// Messages of the input, the closing one among them.
pub const N_MESSAGES: usize = 20_000;

/// When the first day begins: 2026-01-05T00:00:00Z.
pub const START_S: i64 = 1_767_571_200;

/// When the closing record was sent: a day after the last.
pub const CLOSING_S: i64 = START_S + 4 * 86_400;

/// Up to where windows are closed: the closing record, but for what Arroyo waits for late ones.
pub fn closed_until() -> Timestamp {
    Timestamp::from_second(CLOSING_S - crate::definitions::LATENESS_S).unwrap_or(Timestamp::MAX)
}
