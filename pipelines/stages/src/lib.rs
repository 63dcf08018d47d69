//! The stages of the flow, one file each, in flow order: `ingest -> screen -> index -> embed`, `screen -> stories
//! -> story_catalog`, `screen -> reactions`, and `labels` beside them. No IO except through ports.
//!
//! A stage says what becomes of a batch ([`consumer::Process`]); [`consumer::Consumer`] is the read-process-commit loop,
//! written once. [`workers::Crew`] decides which of it runs in this process. `dead_letter` is where every stage puts what it cannot process.

pub mod consumer;
pub mod dead_letter;
pub mod decisions;
pub mod embed;
pub mod generations;
pub mod identities;
pub mod index;
pub mod ingest;
pub mod labels;
pub mod origins;
pub mod reactions;
pub mod replay;
pub mod screen;
mod state;
pub mod stories;
pub mod story_catalog;
mod telemetry;
pub mod workers;

pub use consumer::{Consumer, StageError};
pub use workers::{Crew, WorkerConfig};
