//! Search results pinned for paging: keys and scores only, bounded, gone after a quarter of an hour.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use telesift_ports::message_store::{Hit, SearchMode};
use telesift_schemas::{MessageKey, Offset, PartitionId};
use uuid::Uuid;

use crate::{
    config::ApiConfig,
    params::MessageQuery,
    problem::{Code, Problem, Result},
    telemetry,
};

/// A hit without its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinnedHit {
    pub(crate) key: MessageKey,
    pub(crate) score: f64,
    pub(crate) text_score: Option<f64>,
    pub(crate) vector_score: Option<f64>,
}

impl From<&Hit> for PinnedHit {
    fn from(hit: &Hit) -> Self {
        PinnedHit {
            key: hit.message.id,
            score: hit.score,
            text_score: hit.text_score,
            vector_score: hit.vector_score,
        }
    }
}

/// What was searched for: enough to go deeper, and to tell another search by the same cursor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Searched {
    pub(crate) text: String,
    pub(crate) mode: SearchMode,
    pub(crate) query: MessageQuery,
}

/// A pinned result.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    /// The key (by id) whose owner searched: nobody else may page through it.
    pub(crate) owner: String,
    pub(crate) searched: Searched,
    /// Ends of the raw topic when it was searched: a message from beyond is no part of this result.
    pub(crate) horizon: Arc<HashMap<PartitionId, Offset>>,
    pub(crate) hits: Vec<PinnedHit>,
    /// Whether `hits` is all there is.
    pub(crate) complete: bool,
}

impl Pin {
    /// Adds what a deeper search found, in its order, without what is there already or came later.
    pub(crate) fn deepen(&mut self, found: &[Hit], max_depth: usize, complete: bool) {
        let known: HashSet<MessageKey> = self.hits.iter().map(|h| h.key).collect();
        let fresh = found
            .iter()
            .filter(|hit| !known.contains(&hit.message.id) && self.was_there(hit));
        let added: Vec<PinnedHit> = fresh.map(PinnedHit::from).collect();
        self.hits.extend(added);
        self.hits.truncate(max_depth);
        self.complete = complete || self.hits.len() >= max_depth;
    }

    fn was_there(&self, hit: &Hit) -> bool {
        let Some(origin) = &hit.message.origin else {
            return true;
        };
        self.horizon
            .get(&origin.partition)
            .is_none_or(|end| origin.offset < *end)
    }
}

/// The pinned results of this process.
pub(crate) struct Pins {
    lifetime: Duration,
    max_hits: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    pins: HashMap<Uuid, Entry>,
    n_hits: usize,
}

struct Entry {
    pin: Arc<Pin>,
    since: Instant,
    used: Instant,
}

/// Pins held at most, however short.
const MAX_PINS: usize = 2_000;

impl Pins {
    pub(crate) fn new(config: &ApiConfig) -> Self {
        Pins {
            lifetime: Duration::from_secs(config.search_pin_s),
            max_hits: config.max_pinned_hits,
            held: Mutex::default(),
        }
    }

    /// Pins a result and names it.
    pub(crate) fn put(&self, pin: Pin) -> Uuid {
        let id = Uuid::new_v4();
        let now = Instant::now();
        let mut held = self.held();
        held.insert(id, pin, now, now);
        self.evict(&mut held, id);
        id
    }

    /// The result of that name, if it is the owner who asks.
    ///
    /// # Errors
    /// 410 if it is not there any more.
    pub(crate) fn get(&self, id: Uuid, owner: &str) -> Result<Arc<Pin>> {
        let mut held = self.held();
        let lifetime = self.lifetime;
        let found = held
            .pins
            .get_mut(&id)
            .filter(|e| e.since.elapsed() < lifetime && e.pin.owner == owner);
        match found {
            Some(entry) => {
                entry.used = Instant::now();
                Ok(entry.pin.clone())
            }
            None => Err(Problem::new(
                Code::CursorExpired,
                "the result this cursor pages through is not kept any more; search again",
            )),
        }
    }

    /// Stores a deeper version of a pinned result; its lifetime goes on.
    pub(crate) fn replace(&self, id: Uuid, pin: Pin) {
        let mut held = self.held();
        let Some(entry) = held.pins.get(&id) else {
            return;
        };
        let since = entry.since;
        held.insert(id, pin, since, Instant::now());
        self.evict(&mut held, id);
    }

    /// Lets go of expired results, then of those used longest ago, until the rest fits. `keep` stays.
    fn evict(&self, held: &mut Held, keep: Uuid) {
        let expired: Vec<Uuid> = held
            .pins
            .iter()
            .filter(|(_, e)| e.since.elapsed() >= self.lifetime)
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            held.remove(id);
        }
        while held.n_hits > self.max_hits || held.pins.len() > MAX_PINS {
            let candidates = held.pins.iter().filter(|(id, _)| **id != keep);
            let Some(oldest) = candidates.min_by_key(|(_, e)| e.used).map(|(id, _)| *id) else {
                break;
            };
            held.remove(oldest);
        }
        metrics::gauge!(telemetry::PINNED_HITS).set(held.n_hits as f64);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn insert(&mut self, id: Uuid, pin: Pin, since: Instant, used: Instant) {
        self.remove(id);
        self.n_hits += pin.hits.len();
        let pin = Arc::new(pin);
        self.pins.insert(id, Entry { pin, since, used });
    }

    fn remove(&mut self, id: Uuid) {
        if let Some(entry) = self.pins.remove(&id) {
            self.n_hits -= entry.pin.hits.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(n_hits: usize) -> Pin {
        let hit = PinnedHit {
            key: "1:1".parse().unwrap(),
            score: 1.0,
            text_score: None,
            vector_score: None,
        };
        Pin {
            owner: "o".into(),
            searched: Searched {
                text: String::new(),
                mode: SearchMode::Text,
                query: MessageQuery::default(),
            },
            horizon: Arc::default(),
            hits: vec![hit; n_hits],
            complete: true,
        }
    }

    fn pins(max_pinned_hits: usize, search_pin_s: u64) -> Pins {
        Pins::new(&ApiConfig {
            max_pinned_hits,
            search_pin_s,
            ..ApiConfig::default()
        })
    }

    #[test]
    fn the_result_used_longest_ago_goes_first() {
        let pins = pins(25, 900);
        let [a, b] = [pins.put(pin(10)), pins.put(pin(10))];
        pins.get(a, "o").unwrap();
        let c = pins.put(pin(10));
        assert!(pins.get(b, "o").is_err());
        assert!(pins.get(a, "o").is_ok() && pins.get(c, "o").is_ok());
        assert_eq!(pins.held().n_hits, 20);
    }

    #[test]
    fn a_result_expires() {
        let pins = pins(100, 0);
        let id = pins.put(pin(1));
        assert_eq!(pins.get(id, "o").unwrap_err().code, Code::CursorExpired);
    }

    #[test]
    fn a_result_belongs_to_who_searched() {
        let pins = pins(100, 900);
        let id = pins.put(pin(1));
        assert!(pins.get(id, "other").is_err());
        assert!(pins.get(id, "o").is_ok());
    }
}
