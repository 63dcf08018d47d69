//! Counts per pane: the widest pieces of time that every window is made of.

use std::collections::BTreeMap;

use telesift_schemas::Timestamp;

/// Counts by pane, ascending; a pane is numbered by its start over its width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panes(BTreeMap<i64, u64>);

impl Panes {
    /// Counts `n` more in the pane.
    pub fn add(&mut self, pane: i64, n: u64) {
        *self.0.entry(pane).or_default() += n;
    }

    /// The panes with anything in them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(p, n)| (*p, *n))
    }

    /// The sum of the panes `from..to`.
    pub(crate) fn sum(&self, from: i64, to: i64) -> u64 {
        self.0.range(from..to).map(|(_, n)| n).sum()
    }
}

/// The pane of `width_s` seconds a moment lies in.
pub(crate) fn pane_of(at: Timestamp, width_s: i64) -> i64 {
    floor_s(at).div_euclid(width_s)
}

/// Unix seconds, rounded down also before 1970.
pub(crate) fn floor_s(at: Timestamp) -> i64 {
    at.as_microsecond().div_euclid(1_000_000)
}

/// The start of a pane.
pub(crate) fn start_of(pane: i64, width_s: i64) -> Timestamp {
    at_s(pane.saturating_mul(width_s))
}

/// The moment at unix second `s`, or as near to it as there is one.
pub(crate) fn at_s(s: i64) -> Timestamp {
    let nearest = if s < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(s).unwrap_or(nearest)
}
