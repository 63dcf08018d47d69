//! One suite per port, run by every implementation, the in-memory one too.

pub mod bots;
pub mod catalog;
mod knowledge;
pub mod leases;
pub mod message_store;
pub mod providers;
pub mod state_store;
mod story_catalog;

pub mod record_log;
pub mod replays;
pub mod rules_catalog;

/// `expect` with one text for all: a call of a catalog failed that must not.
trait Must<T> {
    fn must(self) -> T;
}

impl<T> Must<T> for crate::catalog::Result<T> {
    #[track_caller]
    fn must(self) -> T {
        self.expect("the catalog takes a valid call")
    }
}
