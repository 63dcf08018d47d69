//! A clock that stands still until it is told to move.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use telesift_schemas::Timestamp;

use crate::Clock;

/// Time by hand, for tests and dry runs. Millisecond resolution.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        ManualClock {
            now_ms: AtomicI64::new(now.as_millisecond()),
        }
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// Moves anywhere, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.now_ms.store(now.as_millisecond(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// 2026-01-05T10:00:00Z, a Monday.
    fn default() -> Self {
        ManualClock {
            now_ms: AtomicI64::new(1_767_607_200_000),
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
