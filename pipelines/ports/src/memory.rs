//! In-memory implementations of the ports: product code for tests and dry runs. Nothing here survives the process.

mod catalog;
mod leases;
mod message_store;
mod rules;
mod script;
mod state_store;
mod story_catalog;

pub use catalog::MemoryCatalog;
pub use message_store::{MemoryStore, MemoryStores};
pub use rules::MemoryRules;
pub use script::{Fault, Script};
pub use state_store::MemoryState;

pub mod clock;
pub mod record_log;

pub use clock::ManualClock;
pub use record_log::MemoryLog;
