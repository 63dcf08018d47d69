//! When to look for units again though none in flight has ended.

use std::time::Duration;

use telesift_ports::knowledge::UnitRow;

use super::{Extract, flight::Flight};

/// How often to look for what another process made due.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

impl Extract {
    /// Waits for news, for the time of the next unit, or for the longest pause; or just for `look_in`.
    pub(super) async fn wait(&self, flight: &Flight, look_in: Option<Duration>) {
        if let Some(pause) = look_in {
            return tokio::time::sleep(pause).await;
        }
        tokio::select! {
            () = self.wait_for_time_or_news() => {}
            () = self.wait_for_others(flight) => {}
        }
    }

    /// Waits until a unit is due that was made so in another process, such as by a replay there: nobody tells of these.
    async fn wait_for_others(&self, flight: &Flight) {
        // While units that were due wait for those in flight, each end of one has them looked at anyway.
        if !flight.due.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(self.config.max_pause.min(LOOK_FOR_OTHERS)).await;
            let now = self.parts.clock.now();
            let limit = flight.units.len() + 1;
            let due = self.parts.catalog.due_units(now, limit).await;
            let is_new = |unit: &UnitRow| !flight.units.contains_key(&unit.id);
            if due.is_ok_and(|due| due.iter().any(is_new)) {
                return;
            }
        }
    }

    async fn wait_for_time_or_news(&self) {
        let now = self.parts.clock.now();
        let next = self.parts.catalog.next_due(now).await.ok().flatten();
        let next = next.map(|t| t.as_millisecond() - now.as_millisecond());
        let next = next.map(|ms| Duration::from_millis(ms.max(1).unsigned_abs()));
        let pause = next.map_or(self.config.max_pause, |t| t.min(self.config.max_pause));
        tokio::select! {
            () = self.news.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
