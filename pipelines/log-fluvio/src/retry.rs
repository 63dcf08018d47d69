//! Trying again: a few times, further and further apart, for a bounded time.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use crate::telemetry;

const MIN_DELAY: Duration = Duration::from_millis(20);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// The patience of one call.
pub(crate) struct Retry {
    call: &'static str,
    until: Instant,
    delay: Duration,
}

impl Retry {
    pub(crate) fn new(call: &'static str, patience: Duration) -> Self {
        Retry {
            call,
            until: Instant::now() + patience,
            delay: MIN_DELAY,
        }
    }

    /// Waits before the next try, or gives the failure back if there is to be none.
    pub(crate) async fn pause<F: Display>(&mut self, failure: F) -> Result<(), F> {
        if Instant::now() + self.delay >= self.until {
            return Err(failure);
        }
        telemetry::retried(self.call, &failure);
        tokio::time::sleep(self.delay).await;
        self.delay = (self.delay * 2).min(MAX_DELAY);
        Ok(())
    }
}
