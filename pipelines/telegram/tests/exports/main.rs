//! Desktop exports, the real ones we have and broken ones we made.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails"
)]

mod entries;
mod faults;
mod real;
mod support;
mod times;
