//! The engine with real guests: what they do to a batch, good or bad, and what of it an owner of the chain sees.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails, in its helpers too"
)]

mod conformance;
mod fixtures;
mod misbehaving;
mod support;
