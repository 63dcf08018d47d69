//! RecordLog on local disk: fsynced before the answer.
//!
//! One writer thread gathers whatever is queued into a group, checks guards and identities transaction by transaction, and
//! writes records, identities and state as one batch, synced before anybody is answered or can read it. Readers go to the
//! disk beside it. Why fjall, and how it is set up: `docs/adr/0001-embedded-log-on-fjall.md`.

mod codec;
mod config;
mod deletion;
mod error;
mod group;
mod journal;
mod log;
mod reader;
mod retention;
mod store;
mod telemetry;
mod writer;

pub use config::EmbeddedLogConfig;
pub use log::EmbeddedLog;
pub use writer::free_bytes;
