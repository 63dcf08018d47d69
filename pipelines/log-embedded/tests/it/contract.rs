//! The embedded log keeps the contract of every record log.

use std::{sync::Arc, time::Duration};

use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{contract::record_log::Harness, memory::ManualClock, record_log_contract};

async fn fresh() -> Harness {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let log = EmbeddedLog::open(EmbeddedLogConfig {
        clock: clock.clone(),
        // Only when a check asks for it.
        retention_interval: Duration::from_secs(86_400),
        ..EmbeddedLogConfig::new(directory.path())
    });
    let log = Arc::new(log.unwrap());
    let retained = log.clone();
    Harness {
        log,
        clock,
        run_retention: Box::new(move || {
            let log = retained.clone();
            Box::pin(async move {
                log.run_retention().await.unwrap();
            })
        }),
        guard: Box::new(directory),
    }
}

record_log_contract!(fresh);
