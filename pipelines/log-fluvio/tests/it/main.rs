//! The log against a real cluster; without one each test says that it was skipped.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails"
)]

mod contract;
mod damage;
mod kill;
mod replicas;
mod smartmodules;
mod support;
mod tls;
