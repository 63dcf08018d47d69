//! Models as their users meet them: a real one from a directory, and providers that misbehave.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails should stop where it fails, in its helpers too"
)]

mod chat;
mod injections;
mod local;
mod provider;
mod remote;
