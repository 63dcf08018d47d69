//! The stages on in-memory ports: what a user would notice in the log, the store and the ledger.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails, in its helpers too"
)]

mod after_index;
mod dead_letters;
mod desk;
mod embed;
mod flow;
mod generations;
mod imports;
mod index;
mod knowledge;
mod labels;
mod look_ahead;
mod projection;
mod reactions;
mod replay;
mod rules;
mod screen;
mod stories;
mod updates;
mod windows;
mod without_transactions;
mod workers;
mod works;
