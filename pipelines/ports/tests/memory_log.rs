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
    harness(MemoryLog::with_clock(clock.clone()), clock)
}

async fn without_transactions() -> Harness {
    let clock = Arc::new(ManualClock::default());
    harness(MemoryLog::without_transactions(clock.clone()), clock)
}

fn harness(log: MemoryLog, clock: Arc<ManualClock>) -> Harness {
    let log = Arc::new(log);
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

mod in_steps {
    telesift_ports::record_log_contract!(without transactions: super::without_transactions);
}
