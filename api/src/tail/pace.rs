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

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED_AFTER: Duration = Duration::from_millis(10);

    /// Takes a while: longer than a client may take nothing.
    async fn sending() -> &'static str {
        tokio::time::sleep(5 * STALLED_AFTER).await;
        "sent"
    }

    #[tokio::test]
    async fn who_takes_nothing_is_too_slow() {
        let unwatched = Pace::new(STALLED_AFTER, None);
        assert_eq!(unwatched.keep(sending()).await, Err(End::TooSlow));
        let still = Pace::new(STALLED_AFTER, Some(Arc::new(Progress::default())));
        assert_eq!(still.keep(sending()).await, Err(End::TooSlow));
    }

    #[tokio::test]
    async fn who_takes_something_now_and_then_is_not() {
        let progress = Arc::new(Progress::default());
        let noted = progress.clone();
        let pace = Pace::new(STALLED_AFTER, Some(progress));
        // Each poll of the sending is a byte taken.
        let mut sending = Box::pin(sending());
        let taking = std::future::poll_fn(|cx| {
            noted.note();
            cx.waker().wake_by_ref();
            sending.as_mut().poll(cx)
        });
        assert_eq!(pace.keep(taking).await, Ok("sent"));
    }
}
