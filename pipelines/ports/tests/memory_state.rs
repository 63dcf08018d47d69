//! The state in memory keeps the contract.
#![cfg(feature = "contract")]

use std::sync::Arc;

use telesift_ports::{StateStore, memory::MemoryState, state_store_contract};

async fn fresh() -> (Arc<dyn StateStore>, ()) {
    (Arc::new(MemoryState::new()), ())
}

state_store_contract!(fresh);
