//! What other processes do to the list of bots, learned of from the catalog.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::BotDesk;

/// How often the catalog is asked for callers who were refused, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long such a caller waits for it.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

impl BotDesk {
    /// Reads the bots of the catalog again and again, for what other processes change, until `shutdown`.
    pub async fn follow(&self, shutdown: CancellationToken) {
        let mut every = tokio::time::interval(self.config.resync);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(every.tick()).await.is_some() {
            if let Err(error) = self.sync().await {
                tracing::warn!(%error, "the list of bots cannot be read; the last one counts");
            }
        }
    }

    /// Whether it is time to look for a caller who was refused; from now on it is not, for a while.
    fn may_look(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if is_time {
            *looked = Some(Instant::now());
        }
        is_time
    }

    /// Looks for a caller who was refused; `false` if nobody looked.
    pub(super) async fn look(&self) -> bool {
        if !self.may_look() {
            return false;
        }
        match tokio::time::timeout(LOOK_WITHIN, self.sync()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the list of bots cannot be read; the last one counts");
                false
            }
            Err(_) => false,
        }
    }
}
