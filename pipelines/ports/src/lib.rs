//! The traits between telesift's parts: what a stage may ask of a log, a store, a catalog, a model.
//!
//! A port exists because there are two real implementations of it (one machine, many machines). Each has an in-memory
//! implementation (feature `memory`) and a contract suite (feature `contract`) that every implementation runs.

pub mod bots;
pub mod catalog;
pub mod chain;
pub mod clock;
pub mod dead_letters;
pub mod embedder;
pub mod explain;
pub mod extractor;
pub mod generations;
pub mod imports;
pub mod leases;
pub mod ledger;
pub mod message_store;
pub mod record_log;
pub mod replays;
pub mod rules;
pub mod secret;
pub mod source;
pub mod state_store;
pub mod story_catalog;

#[cfg(feature = "memory")]
pub mod memory;

#[cfg(feature = "contract")]
pub mod contract;

pub use bots::{BotCatalog, Bots, UpdateSink};
pub use catalog::Catalog;
pub use chain::SmartModuleChain;
pub use clock::{Clock, SystemClock};
pub use dead_letters::LetterCatalog;
pub use embedder::Embedder;
pub use explain::Explainer;
pub use extractor::Extractor;
pub use generations::Generations;
pub use imports::Imports;
pub use leases::Leases;
pub use message_store::MessageStore;
pub use record_log::RecordLog;
pub use replays::Replays;
pub use rules::{RuleReader, RuleSets, RulesCatalog};
pub use secret::Secret;
pub use source::ExportReader;
pub use state_store::StateStore;
pub use story_catalog::StoryCatalog;
