//! `RecordLog` on a Fluvio cluster: replicated topics with true offsets; its state in a [`StateStore`].
//!
//! [`StateStore`]: telesift_ports::StateStore

mod ahead;
mod batch;
mod cluster;
mod config;
mod connection;
mod error;
mod follower;
mod log;
mod reader;
mod recent;
mod retry;
mod smartmodules;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod topics;
mod writer;

pub use config::{FluvioLogConfig, Identify, Tls};
pub use log::FluvioLog;
pub use smartmodules::RegisteredModule;

/// The largest record taken, in bytes of key and value: SPUs refuse batches over 2 MiB.
pub const MAX_RECORD_BYTES: usize = (2 << 20) - 1024;
