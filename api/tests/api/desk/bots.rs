//! Bots as the binary keeps them, over the log and catalog in memory. Nobody answers as Telegram: its part is tested there.

use std::{sync::Arc, time::Duration};

use telesift_ports::memory::{ManualClock, MemoryCatalog, MemoryLog};
use telesift_stages::ingest::UpdateIngest;
use telesift_telegram::{BotApi, BotDesk, BotDeskConfig};

pub(super) async fn desk(
    log: &Arc<MemoryLog>,
    catalog: &Arc<MemoryCatalog>,
    clock: &Arc<ManualClock>,
) -> BotDesk {
    let sink = UpdateIngest::new(log.clone(), clock.clone());
    let desk = BotDesk::new(
        catalog.clone(),
        catalog.clone(),
        Arc::new(sink),
        clock.clone(),
        // A port that nothing listens on.
        BotApi::new("http://127.0.0.1:1").unwrap(),
        BotDeskConfig {
            public_url: String::new(),
            poll_hold: Duration::ZERO,
            conflict_pause: Duration::from_secs(1),
            resync: Duration::from_secs(1),
        },
    );
    desk.sync().await.unwrap();
    desk
}
