//! The binary as a user meets it: started, fed, killed, asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails, in its helpers too"
)]

mod commands;
mod crash;
mod demo;
mod feedback;
mod generations;
mod imports;
mod provenance;
mod replays;
mod rules;
mod server;
mod shared;
mod stories;
mod tail;
