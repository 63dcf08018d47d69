//! Rate limits: per key, per address, and for credentials nobody knows. Memory is bounded whatever comes.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::Quota;
use serde::{Deserialize, Serialize};

use crate::{
    address::place,
    problem::{Code, Problem, Result},
};

mod bucket;

pub(crate) use bucket::Standing;
use bucket::{Buckets, Refused};

/// How often requests may come. Each limit is a bucket of `…_burst` requests that fills at `…_per_min`; 0 = no limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests of one key, per minute in the long run.
    pub key_per_min: u32,
    /// Requests of one key at once.
    pub key_burst: u32,
    /// Requests of one address, per minute in the long run, whatever their keys.
    pub address_per_min: u32,
    /// Requests of one address at once.
    pub address_burst: u32,
    /// Invalid keys and tickets that one address may present, per minute and at once.
    pub failed_auth_per_min: u32,
    /// Addresses remembered at the same time, 50 bytes each.
    pub tracked_addresses: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            key_per_min: 60_000,
            key_burst: 20_000,
            address_per_min: 120_000,
            address_burst: 40_000,
            failed_auth_per_min: 120,
            tracked_addresses: 50_000,
        }
    }
}

/// Keys remembered at the same time. Only valid ones are counted, so there are hardly more.
const TRACKED_KEYS: usize = 100_000;
/// Refused administration noted per key, per minute: a key that may nothing must not fill the audit log.
const DENIALS_PER_MIN: u32 = 30;

/// Every limit of the API.
pub(crate) struct Limits {
    keys: Option<Buckets<String>>,
    addresses: Option<Buckets<IpAddr>>,
    failures: Option<Buckets<IpAddr>>,
    /// Places with too many failures, and until when.
    shut: Mutex<HashMap<IpAddr, Instant>>,
    tracked: usize,
    denials: Option<Buckets<String>>,
}

impl Limits {
    pub(crate) fn new(config: &LimitsConfig) -> Self {
        let tracked = config.tracked_addresses;
        let (key, address) = (
            quota(config.key_per_min, config.key_burst),
            quota(config.address_per_min, config.address_burst),
        );
        let failed = quota(config.failed_auth_per_min, config.failed_auth_per_min);
        Limits {
            keys: key.map(|q| Buckets::new("key", q, TRACKED_KEYS)),
            addresses: address.map(|q| Buckets::new("address", q, tracked)),
            shut: Mutex::default(),
            tracked: tracked.max(1),
            failures: failed.map(|q| Buckets::new("failed-auth", q, tracked)),
            denials: quota(DENIALS_PER_MIN, DENIALS_PER_MIN)
                .map(|q| Buckets::new("denials", q, TRACKED_KEYS)),
        }
    }

    /// Takes a request of the key into account; gives how the key stands, unless keys have no limit.
    ///
    /// # Errors
    /// 429 if the key has sent too many.
    pub(crate) fn key(&self, id: &str) -> Result<Option<Standing>> {
        let Some(keys) = &self.keys else {
            return Ok(None);
        };
        let refused = |r| too_many(r, "this key sends more requests than it may");
        keys.take(&id.to_owned()).map(Some).map_err(refused)
    }

    /// Takes a request of the address into account.
    ///
    /// # Errors
    /// 429 if it has sent too many.
    pub(crate) fn address(&self, address: Option<IpAddr>) -> Result<()> {
        check(&self.addresses, address)
            .map_err(|r| too_many(r, "more requests come from this address than may"))
    }

    /// Whether a key or ticket from this address that is not known to be valid shall be looked up at all.
    ///
    /// # Errors
    /// 429 after too many that were not.
    pub(crate) fn may_fail_auth(&self, address: Option<IpAddr>) -> Result<()> {
        let (Some(failures), Some(address)) = (&self.failures, address) else {
            return Ok(());
        };
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let left = shut
            .get(&place(address))
            .and_then(|until| until.checked_duration_since(Instant::now()));
        match left {
            Some(left) => Err(too_many_failures(failures.refused(left))),
            None => Ok(()),
        }
    }

    /// Takes an invalid key or ticket into account.
    ///
    /// # Errors
    /// 429 if the address has presented too many.
    pub(crate) fn failed_auth(&self, address: Option<IpAddr>) -> Result<()> {
        let (Some(failures), Some(address)) = (&self.failures, address) else {
            return Ok(());
        };
        let place = place(address);
        let Err(refused) = failures.take(&place) else {
            return Ok(());
        };
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if shut.len() >= self.tracked {
            shut.retain(|_, until| *until > now);
        }
        if shut.len() >= self.tracked {
            shut.clear();
        }
        let wait = Duration::from_secs(refused.retry_after_s.into());
        shut.insert(place, now + wait);
        Err(too_many_failures(refused))
    }

    /// Whether a refusal of this key shall be noted.
    pub(crate) fn note_denial(&self, key: &str) -> bool {
        let Some(denials) = &self.denials else {
            return false;
        };
        denials.take(&key.to_owned()).is_ok()
    }
}

fn check(
    buckets: &Option<Buckets<IpAddr>>,
    address: Option<IpAddr>,
) -> std::result::Result<(), Refused> {
    match (buckets, address) {
        (Some(buckets), Some(address)) => buckets.take(&place(address)).map(|_| ()),
        _ => Ok(()),
    }
}

fn quota(per_min: u32, burst: u32) -> Option<Quota> {
    let burst = NonZeroU32::new(burst.max(1))?;
    let per_min = NonZeroU32::new(per_min)?;
    let one_per = Duration::from_secs(60) / per_min.get();
    Quota::with_period(one_per).map(|q| q.allow_burst(burst))
}

fn too_many_failures(refused: Refused) -> Problem {
    too_many(
        refused,
        "too many invalid keys or tickets came from this address",
    )
}

fn too_many(refused: Refused, detail: &str) -> Problem {
    Problem::new(Code::RateLimited, detail)
        .with("policy", refused.standing.policy)
        .retry_after(refused.retry_after_s)
        .limited_by(refused.standing)
}
