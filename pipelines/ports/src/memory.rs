//! In-memory implementations of the ports: product code for tests and dry runs. Nothing here survives the process.

mod catalog;
mod extractor;
mod leases;
mod message_store;
mod providers;
mod rules;
mod script;
mod state_store;
mod story_catalog;

pub use catalog::MemoryCatalog;
pub use extractor::ScriptedExtractor;
pub use message_store::{MemoryStore, MemoryStores};
pub use providers::{MemoryProviders, ScriptedProvider};
pub use rules::MemoryRules;
pub use script::{Fault, Script};
pub use state_store::MemoryState;

pub mod clock;
pub mod record_log;

pub use clock::ManualClock;
pub use record_log::MemoryLog;
