//! A breaker: after failures in a row nobody calls for a while, then one call tries.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

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
    entered: Instant,
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
    pub(super) fn enter(&self, now: Instant) -> Result<Permit<'_>, CallError> {
        let mut state = self.state();
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
            entered: now,
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
    pub(super) fn failed(mut self, now: Instant) -> bool {
        self.is_settled = true;
        let mut state = self.breaker.state();
        let open = State::Open {
            until: now + self.breaker.rest,
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
                until: self.entered,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::new(2, REST);
        let mut now = Instant::now();
        assert!(!breaker.enter(now).unwrap().failed(now));
        assert!(!breaker.enter(now).unwrap().worked());
        assert!(!breaker.enter(now).unwrap().failed(now));
        assert!(breaker.enter(now).unwrap().failed(now));
        assert!(matches!(breaker.enter(now), Err(CallError::Held { wait }) if wait == REST));
        now += REST;
        let trying = breaker.enter(now).unwrap();
        assert!(breaker.enter(now).is_err(), "only one tries");
        assert!(trying.failed(now));
        assert!(breaker.enter(now).is_err(), "its failure opens it again");
        now += REST;
        assert!(!breaker.enter(now).unwrap().worked());
        assert!(breaker.enter(now).is_ok());
    }

    #[test]
    fn a_cancelled_try_lets_another_try() {
        let breaker = Breaker::new(1, REST);
        let mut now = Instant::now();
        assert!(breaker.enter(now).unwrap().failed(now));
        now += REST;
        drop(breaker.enter(now).unwrap());
        assert!(breaker.enter(now).is_ok());
    }
}
