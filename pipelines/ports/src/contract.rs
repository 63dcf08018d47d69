//! One suite per port, run by every implementation, the in-memory one too.

pub mod bots;
pub mod catalog;
mod knowledge;
pub mod leases;
pub mod message_store;
pub mod providers;
pub mod state_store;
mod story_catalog;

pub mod record_log;
pub mod replays;
pub mod rules_catalog;
