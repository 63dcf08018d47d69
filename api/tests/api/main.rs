//! The API over in-memory ports: every route, every right, the tail over real sockets, hostile inputs.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails; the lint's exception knows test functions only, not their helpers"
)]

mod access;
mod atoms;
mod audit;
mod auth;
mod backpressure;
mod bots;
mod bounds;
mod dead_letters;
mod desk;
mod documents;
mod errors;
mod fake_imports;
mod fake_replays;
mod feedback;
mod gaps;
mod generations;
mod hostile;
mod imports;
mod keys;
mod limits;
mod messages;
mod providers;
mod reactions;
mod records;
mod replays;
mod rules;
mod search;
mod sse;
mod stats;
mod stories;
mod tail;
mod tickets;
mod walk;
mod webhook;
mod windows;
mod wire;
