//! MessageStore on LanceDB; the only crate that knows lancedb, arrow and datafusion.
//!
//! Two tables: `messages` holds the current version of every message with its index terms and vector, `message_versions`
//! what was superseded. Both are projections of the log.

mod config;
mod counts;
mod durable;
mod error;
mod filter;
mod key_filter;
mod labels;
mod maintain;
mod open;
mod probe;
mod read;
mod rows;
mod schema;
mod search;
mod sets;
mod store;
mod telemetry;
mod term;
mod write;

pub use config::{LanceStoreConfig, S3Config, StorageOptions};
pub use sets::LanceStores;
pub use store::LanceStore;
