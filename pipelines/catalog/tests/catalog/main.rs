//! One catalog, two databases: the contract suite and what goes beyond it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails"
)]

mod common;
mod postgres;
mod server;
mod sqlite;
