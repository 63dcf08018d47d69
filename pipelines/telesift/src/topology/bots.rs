//! Bots ─► telegram-raw: their webhooks through the API, their polling as a duty.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use telesift_catalog::SqlCatalog;
use telesift_ports::Clock;
use telesift_stages::ingest::UpdateIngest;
use telesift_telegram::{BotApi, BotDesk, BotDeskConfig};

use crate::config::Config;

/// The bots of the catalog, known before the first request comes; nobody is polled yet.
pub(super) async fn desk(
    config: &Config,
    door: UpdateIngest,
    catalog: Arc<SqlCatalog>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<BotDesk>> {
    telesift_telegram::describe_metrics();
    let telegram = &config.telegram;
    let api = BotApi::new(&telegram.api_base).context("cannot start the client of the Bot API")?;
    let desk = Arc::new(BotDesk::new(
        catalog.clone(),
        catalog,
        Arc::new(door),
        clock,
        api,
        BotDeskConfig {
            public_url: telegram.public_url.clone(),
            poll_hold: Duration::from_secs(telegram.poll_s),
            conflict_pause: Duration::from_secs(telegram.conflict_retry_s),
            resync: Duration::from_secs(telegram.resync_s),
        },
    ));
    desk.sync().await.context("cannot read the bots")?;
    Ok(desk)
}
