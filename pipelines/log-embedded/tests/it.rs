//! The embedded log on a real disk: its contract, its crashes, its damage.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets an error should stop there"
)]

#[path = "it/child.rs"]
mod child;
#[path = "it/contract.rs"]
mod contract;
#[path = "it/damage.rs"]
mod damage;
#[path = "it/journal_cut.rs"]
mod journal_cut;
#[path = "it/kill.rs"]
mod kill;
#[path = "it/lifecycle.rs"]
mod lifecycle;
#[path = "it/strace.rs"]
mod strace;
#[path = "it/support.rs"]
mod support;
