//! The in-memory log keeps the contract.
#![cfg(feature = "contract")]

use std::sync::Arc;

use telesift_ports::{
    contract::record_log::Harness,
    memory::{ManualClock, MemoryLog},
    record_log_contract,
};

async fn fresh() -> Harness {
    let clock = Arc::new(ManualClock::default());
    let log = Arc::new(MemoryLog::with_clock(clock.clone()));
    let retained = log.clone();
    Harness {
        log,
        clock,
        run_retention: Box::new(move || {
            retained.run_retention();
            Box::pin(async {})
        }),
        guard: Box::new(()),
    }
}

record_log_contract!(fresh);
