//! The stages of the flow, one file each, in flow order: `ingest -> screen -> index -> embed`, `screen -> stories ->
//! story_catalog`, `screen -> units -> unit_catalog -> extract -> knowledge`, `screen -> windows`, `screen -> reactions`, and
//! `labels` beside them. No IO except through ports.
//!
//! A stage says what becomes of a batch ([`consumer::Process`]); [`consumer::Consumer`] is the read-process-commit loop,
//! written once. One that applies the records of a topic in order says only what a record is and what it changes
//! ([`projection::Projection`]). What only analyses lets the index go first ([`after_index`]). [`workers::Crew`] decides which of
//! it runs in this process. `dead_letter` is where every stage puts what it cannot process.

pub mod after_index;
pub mod atom_index;
pub mod chat_settings;
pub mod consumer;
pub mod dead_letter;
pub mod decisions;
pub mod desk;
pub mod embed;
pub mod extract;
pub mod generations;
pub mod identities;
pub mod index;
pub mod ingest;
pub mod knowledge;
pub mod labelled_units;
pub mod labels;
mod order;
pub mod origins;
pub mod projection;
pub mod reactions;
pub mod replay;
pub mod screen;
mod state;
pub mod stories;
pub mod story_catalog;
pub mod switched_units;
mod telemetry;
pub mod unit_catalog;
pub mod units;
pub mod windows;
pub mod workers;

pub use consumer::{Consumer, StageError};
pub use workers::{Crew, WorkerConfig};
