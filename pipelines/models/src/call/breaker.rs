//! A breaker: after failures in a row nobody calls for a while, then one call tries.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::CallError;

/// Closed, open until a time, or trying. See Nygard, "Release It!", 2nd edition, chapter 5.
#[derive(Debug)]
pub(super) struct Breaker {
    most_failures: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { n_failures: u32 },
    Open { until: Instant },
    Trying,
}

/// A call that was let through; it says how it went. Dropped without a word (its task was cancelled), it counts for
/// nothing, and another may try.
#[must_use]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    is_settled: bool,
}

impl Breaker {
    pub(super) fn new(most_failures: u32, rest: Duration) -> Self {
        Breaker {
            most_failures: most_failures.max(1),
            rest,
            state: Mutex::new(State::Closed { n_failures: 0 }),
        }
    }

    /// Lets a call through, or says how long to wait.
    pub(super) fn enter(&self) -> Result<Permit<'_>, CallError> {
        let mut state = self.state();
        let now = Instant::now();
        match *state {
            State::Closed { .. } => {}
            State::Open { until } if until > now => {
                return Err(CallError::Held { wait: until - now });
            }
            State::Open { .. } => *state = State::Trying,
            State::Trying => return Err(CallError::Held { wait: self.rest }),
        }
        Ok(Permit {
            breaker: self,
            is_settled: false,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The provider answered. Returns whether the breaker is open: it is not.
    pub(super) fn worked(mut self) -> bool {
        self.is_settled = true;
        *self.breaker.state() = State::Closed { n_failures: 0 };
        false
    }

    /// It did not. Returns whether the breaker is open now.
    pub(super) fn failed(mut self) -> bool {
        self.is_settled = true;
        let mut state = self.breaker.state();
        let open = State::Open {
            until: Instant::now() + self.breaker.rest,
        };
        *state = match *state {
            State::Closed { n_failures } if n_failures + 1 < self.breaker.most_failures => {
                State::Closed {
                    n_failures: n_failures + 1,
                }
            }
            // A call that began before the breaker opened does not lengthen its rest.
            State::Open { until } => State::Open { until },
            State::Closed { .. } | State::Trying => open,
        };
        matches!(*state, State::Open { .. })
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut state = self.breaker.state();
        if matches!(*state, State::Trying) {
            *state = State::Open {
                until: Instant::now(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::new(2, REST);
        assert!(!breaker.enter().unwrap().failed());
        assert!(!breaker.enter().unwrap().worked());
        assert!(!breaker.enter().unwrap().failed());
        assert!(breaker.enter().unwrap().failed());
        assert!(matches!(breaker.enter(), Err(CallError::Held { wait }) if wait <= REST));
        tokio::time::advance(REST).await;
        let trying = breaker.enter().unwrap();
        assert!(breaker.enter().is_err(), "only one tries");
        assert!(trying.failed());
        assert!(breaker.enter().is_err(), "its failure opens it again");
        tokio::time::advance(REST).await;
        assert!(!breaker.enter().unwrap().worked());
        assert!(breaker.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_try_lets_another_try() {
        let breaker = Breaker::new(1, REST);
        assert!(breaker.enter().unwrap().failed());
        tokio::time::advance(REST).await;
        drop(breaker.enter().unwrap());
        assert!(breaker.enter().is_ok());
    }
}
