//! One limit for many: a bucket per key or address, and what its holder is told in `RateLimit` headers.

use std::{
    hash::Hash,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The fields of draft-ietf-httpapi-ratelimit-headers-10 (structured fields, RFC 9651).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How a holder stands with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) policy: &'static str,
    /// Requests that may come at once.
    quota: u32,
    /// Seconds in which an empty bucket fills.
    window_s: u64,
    /// Requests that may come now.
    remaining: u32,
    /// Seconds until the bucket is full.
    reset_s: u64,
}

impl Standing {
    fn new(policy: &'static str, quota: Quota, remaining: u32) -> Self {
        let size = quota.burst_size().get();
        let fills_in = |n: u32| seconds(quota.replenish_interval().saturating_mul(n));
        Standing {
            policy,
            quota: size,
            window_s: fills_in(size),
            remaining,
            reset_s: fills_in(size.saturating_sub(remaining)),
        }
    }

    /// `RateLimit-Policy: "key";q=100;w=60` and `RateLimit: "key";r=99;t=1`.
    pub(crate) fn put_on(&self, headers: &mut HeaderMap) {
        let policy = format!("\"{}\";q={};w={}", self.policy, self.quota, self.window_s);
        let left = format!(
            "\"{}\";r={};t={}",
            self.policy, self.remaining, self.reset_s
        );
        for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// The bucket was empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) standing: Standing,
    pub(super) retry_after_s: u32,
}

/// A bucket for each `K` seen lately.
pub(super) struct Buckets<K: Hash + Eq + Clone> {
    policy: &'static str,
    quota: Quota,
    capacity: usize,
    limiter: RwLock<Limiter<K>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(super) fn new(policy: &'static str, quota: Quota, capacity: usize) -> Self {
        Buckets {
            policy,
            quota,
            capacity: capacity.max(1),
            limiter: RwLock::new(fresh(quota)),
        }
    }

    /// Takes one out of the bucket of `key`.
    pub(super) fn take(&self, key: &K) -> Result<Standing, Refused> {
        self.make_room();
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        match limiter.check_key(key) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                Ok(Standing::new(self.policy, self.quota, left))
            }
            Err(until) => Err(self.refused(until.wait_time_from(limiter.clock().now()))),
        }
    }

    /// What the holder of an empty bucket is told, who can take one again after `wait`.
    pub(super) fn refused(&self, wait: Duration) -> Refused {
        Refused {
            standing: Standing::new(self.policy, self.quota, 0),
            retry_after_s: u32::try_from(seconds(wait).max(1)).unwrap_or(u32::MAX),
        }
    }

    /// Full buckets are forgotten once there are too many; if that is not enough, all are. That spares whoever was being
    /// limited, once: a flood from ever new addresses cannot be limited by address anyway.
    fn make_room(&self) {
        let is_full = |l: &Limiter<K>| l.len() >= self.capacity;
        {
            let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
            if !is_full(&limiter) {
                return;
            }
            limiter.retain_recent();
        }
        let mut limiter = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
        // Anything above half would have this run again at once.
        if limiter.len() > self.capacity / 2 {
            *limiter = fresh(self.quota);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.limiter.read().unwrap().len()
    }
}

fn fresh<K: Hash + Eq + Clone>(quota: Quota) -> Limiter<K> {
    RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>()
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// One an hour, so that nothing comes back while the test runs.
    fn buckets(burst: u32, capacity: usize) -> Buckets<u32> {
        let quota = Quota::with_period(Duration::from_secs(3_600)).unwrap();
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap());
        Buckets::new("test", quota, capacity)
    }

    #[test]
    fn an_empty_bucket_refuses_its_holder_and_nobody_else() {
        let buckets = buckets(3, 100);
        for left in [2, 1, 0] {
            assert_eq!(buckets.take(&1).unwrap().remaining, left);
        }
        let refused = buckets.take(&1).unwrap_err();
        assert!(
            (3_500..=3_600).contains(&refused.retry_after_s),
            "{refused:?}"
        );
        assert_eq!(buckets.take(&2).unwrap().remaining, 2);
    }

    #[test]
    fn the_headers_say_what_the_draft_says() {
        let buckets = buckets(3, 100);
        let mut headers = HeaderMap::new();
        buckets.take(&1).unwrap().put_on(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"test\";q=3;w=10800");
        assert_eq!(headers["ratelimit"], "\"test\";r=2;t=3600");
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let buckets = buckets(1, 100);
        for holder in 0..10_000 {
            let _ = buckets.take(&holder);
            assert!(buckets.len() <= 101);
        }
    }
}
