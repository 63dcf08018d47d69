//! The binary as a user meets it: started, fed, killed, asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails, in its helpers too"
)]

mod bots;
mod cluster;
mod commands;
mod crash;
mod crash_cluster;
mod demo;
mod extraction;
mod faults;
mod feedback;
mod frozen;
mod generations;
#[cfg(feature = "test-guests")]
mod guests;
mod imports;
mod knowledge;
mod models;
mod pipelines;
mod provenance;
mod providers;
mod replays;
mod rules;
mod server;
mod shared;
mod stage_replays;
mod stories;
mod tail;
mod tail_kills;
mod windows;
mod workers;
