//! How long a client may take nothing: counted from the last byte it took, not from the frame it takes long for.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::End;
use crate::serve::Progress;

/// A client's patience with us, and ours with it.
#[derive(Clone)]
pub(super) struct Pace {
    stalled_after: Duration,
    /// Of the connection; `None` where the server does not watch it.
    progress: Option<Arc<Progress>>,
}

impl Pace {
    pub(super) fn new(stalled_after: Duration, progress: Option<Arc<Progress>>) -> Self {
        Pace {
            stalled_after,
            progress,
        }
    }

    /// The outcome of `sending`.
    ///
    /// # Errors
    /// [`End::TooSlow`] once the client has taken nothing for too long meanwhile.
    pub(super) async fn keep<T>(&self, sending: impl Future<Output = T>) -> Result<T, End> {
        tokio::pin!(sending);
        let started = Instant::now();
        loop {
            let last = self.progress.as_ref().map_or(started, |p| p.last());
            let deadline = last.max(started) + self.stalled_after;
            tokio::select! {
                biased;
                sent = &mut sending => return Ok(sent),
                () = tokio::time::sleep_until(deadline) => {
                    let last = self.progress.as_ref().map_or(started, |p| p.last());
                    if last.max(started) + self.stalled_after <= deadline {
                        return Err(End::TooSlow);
                    }
                }
            }
        }
    }
}
