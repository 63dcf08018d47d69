//! Messages in maps, searched by going through all of them: what a message store means, without an index.

mod search;
mod sets;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use telesift_schemas::{ChatId, Class, Message, MessageKey, MessageKind, Screen, Timestamp};

use crate::{
    embedder::EmbeddingModel,
    leases::Term,
    memory::Script,
    message_store::{
        Applied, ChatNoise, ChatSummary, ClassBucket, ClassCounts, ClassCountsQuery, Error, Hit,
        IndexedMessage, ListPosition, MessageFilter, MessageStore, Result, SearchRequest,
        StoreStats, VersionLabel, Versions, searched_text, sort_versions,
    },
    providers::KeptHere,
};

pub use sets::MemoryStores;

/// A [`MessageStore`] in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    model: Option<EmbeddingModel>,
    /// Faults of coming batches.
    pub batches: Script<Error>,
    state: Mutex<State>,
    term: Mutex<Option<Term>>,
}

#[derive(Debug, Default)]
struct State {
    current: BTreeMap<MessageKey, IndexedMessage>,
    /// Of current versions only.
    labels: BTreeMap<MessageKey, VersionLabel>,
    superseded: BTreeMap<MessageKey, BTreeMap<(i64, u64), Message>>,
}

impl MemoryStore {
    /// An empty store for vectors of `model`; of none, where it is `None`.
    pub fn new(model: Option<EmbeddingModel>) -> Self {
        MemoryStore {
            model,
            batches: Script::default(),
            state: Mutex::default(),
            term: Mutex::default(),
        }
    }

    async fn check_term(&self) -> Result<()> {
        let term = self
            .term
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match term {
            Some(term) => Ok(term.check().await?),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave a batch half applied: nothing in `merge` panics between two inserts of one message.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MessageStore for MemoryStore {
    async fn begin_term(&self, term: Term) -> Result<()> {
        *self.term.lock().unwrap_or_else(PoisonError::into_inner) = Some(term);
        self.check_term().await
    }

    async fn apply(&self, batch: Vec<IndexedMessage>) -> Result<Applied> {
        let apply = || {
            let dimensions = self.model.as_ref().map(|m| m.dimensions);
            for indexed in &batch {
                indexed.validate(dimensions)?;
            }
            let (by_key, n_repeated) = sort_versions(batch);
            let mut applied = Applied {
                n_known: n_repeated,
                ..Applied::default()
            };
            let mut state = self.state();
            for (key, versions) in by_key {
                state.merge(key, versions, &mut applied);
            }
            Ok(applied)
        };
        self.check_term().await?;
        self.batches.play(apply).await
    }

    async fn set_labels(&self, labels: &[VersionLabel]) -> Result<usize> {
        self.check_term().await?;
        let mut state = self.state();
        let mut n_set = 0;
        for label in labels {
            let current = state.current.get(&label.key);
            let is_current = current.is_some_and(|i| i.message.edit == label.edit);
            let held = state.labels.get(&label.key);
            if is_current && held.is_none_or(|h| h.decided <= label.decided && h != label) {
                state.labels.insert(label.key, *label);
                n_set += 1;
            }
        }
        Ok(n_set)
    }

    async fn get(&self, key: &MessageKey) -> Result<Option<Message>> {
        Ok(self.state().current.get(key).map(|i| i.message.clone()))
    }

    async fn history(&self, key: &MessageKey) -> Result<Vec<Message>> {
        let state = self.state();
        let versions = state.superseded.get(key);
        Ok(versions.map_or_else(Vec::new, |v| v.values().cloned().collect()))
    }

    async fn list(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let state = self.state();
        let mut found: Vec<&Message> = state
            .messages()
            .filter(|m| after.is_none_or(|a| (m.event_time, m.id) < (a.event_time, a.key)))
            .filter(|m| filter.matches(&state.seen(m)))
            .collect();
        found.sort_by_key(|m| std::cmp::Reverse((m.event_time, m.id)));
        Ok(found.into_iter().take(limit).cloned().collect())
    }

    async fn context(&self, key: &MessageKey, before: usize, after: usize) -> Result<Vec<Message>> {
        let state = self.state();
        let from = MessageKey {
            message_id: i64::MIN,
            ..*key
        };
        let to = MessageKey {
            message_id: i64::MAX,
            ..*key
        };
        let mut found: Vec<&IndexedMessage> = state
            .current
            .range(from..*key)
            .rev()
            .take(before)
            .map(|(_, i)| i)
            .collect();
        found.reverse();
        found.extend(state.current.get(key));
        let newer = state.current.range(*key..=to).filter(|(k, _)| *k != key);
        found.extend(newer.take(after).map(|(_, i)| i));
        Ok(found.into_iter().map(|i| i.message.clone()).collect())
    }

    async fn search(&self, request: &SearchRequest) -> Result<Vec<Hit>> {
        search::check(self.model.as_ref(), request)?;
        let state = self.state();
        let passes = |message: &Message| request.filter.matches(&state.seen(message));
        Ok(search::search(
            state.current.values().collect(),
            request,
            passes,
        ))
    }

    async fn get_many(&self, keys: &[MessageKey]) -> Result<Vec<Message>> {
        let state = self.state();
        let found = keys.iter().filter_map(|k| state.current.get(k));
        Ok(found.map(|i| i.message.clone()).collect())
    }

    async fn without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let state = self.state();
        let mut found: Vec<&Message> = state.without_vector(classes, kept).collect();
        found.sort_by_key(|m| std::cmp::Reverse((m.event_time, m.id)));
        Ok(found.into_iter().take(limit).cloned().collect())
    }

    async fn count_without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
    ) -> Result<u64> {
        Ok(self.state().without_vector(classes, kept).count() as u64)
    }

    async fn class_counts(&self, query: &ClassCountsQuery) -> Result<ClassCounts> {
        let state = self.state();
        let counted = state.messages().filter(|m| {
            m.kind != MessageKind::Deleted
                && query.since.is_none_or(|t| m.event_time >= t)
                && query.until.is_none_or(|t| m.event_time < t)
                && query
                    .visible_chats
                    .as_ref()
                    .is_none_or(|v| v.contains(&m.chat.id))
        });
        let mut tally = Tally::default();
        for message in counted {
            tally.add(message, state.seen(message).screen.as_ref(), query.bucket_s);
        }
        Ok(tally.into_counts(query.top))
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>> {
        let state = self.state();
        let mut newest: BTreeMap<_, (&Message, u64)> = BTreeMap::new();
        for message in state.messages() {
            let (held, n) = newest.entry(message.chat.id).or_insert((message, 0));
            *n += 1;
            if (message.event_time, message.id) > (held.event_time, held.id) {
                *held = message;
            }
        }
        let summaries = newest.into_values().map(|(m, n_messages)| ChatSummary {
            chat: m.chat.clone(),
            n_messages,
        });
        Ok(summaries.collect())
    }

    async fn message_ids(&self, chat: ChatId) -> Result<Vec<i64>> {
        let state = self.state();
        let of_chat = state.current.keys().filter(|k| k.chat == chat);
        Ok(of_chat.map(|k| k.message_id).collect())
    }

    async fn maintain(&self) -> Result<()> {
        Ok(())
    }

    async fn stats(&self) -> Result<StoreStats> {
        let state = self.state();
        let with_vector = state.current.values().filter(|i| i.vector.is_some());
        Ok(StoreStats {
            n_messages: state.current.len() as u64,
            n_versions: state.superseded.values().map(|v| v.len() as u64).sum(),
            n_unindexed_text: 0,
            n_unindexed_vector: with_vector.count() as u64,
        })
    }
}

impl State {
    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.current.values().map(|i| &i.message)
    }

    fn without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
    ) -> impl Iterator<Item = &Message> {
        let may_leave = move |m: &&Message| !kept.is_some_and(|kept| kept.keeps(m.chat.id));
        let has_words = |m: &Message| !telesift_text::terms(&searched_text(m)).is_empty();
        let is_pending = |i: &&IndexedMessage| {
            let points = |v: &Vec<f32>| v.iter().any(|x| *x != 0.0);
            !i.vector.as_ref().is_some_and(points) && i.message.kind != MessageKind::Deleted
        };
        let pending = self.current.values().filter(is_pending);
        pending
            .map(|i| &i.message)
            .filter(may_leave)
            .filter(move |m| {
                let seen = self.seen(m);
                let class = seen.screen.as_ref().map(|s| s.class);
                class.is_some_and(|c| classes.contains(&c)) && has_words(m)
            })
    }

    /// The message as filters and counts see it: a label goes before the screen.
    fn seen<'a>(&self, message: &'a Message) -> Cow<'a, Message> {
        let (Some(label), Some(screen)) = (self.labels.get(&message.id), &message.screen) else {
            return Cow::Borrowed(message);
        };
        let (class, flags) = label.in_place_of(screen);
        let mut seen = message.clone();
        seen.screen = Some(Screen {
            class,
            flags,
            ..screen.clone()
        });
        Cow::Owned(seen)
    }

    /// Takes the versions of one message, oldest first.
    fn merge(&mut self, key: MessageKey, versions: Versions, applied: &mut Applied) {
        let held = self.current.get(&key).map(|i| i.message.version());
        let greatest = versions.last().map(|i| i.message.version());
        for indexed in versions {
            let version = indexed.message.version();
            if held == Some(version) {
                applied.n_known += 1;
                if let Some(current) = self.current.get_mut(&key) {
                    current.vector = current.vector.take().or(indexed.vector);
                }
            } else if greatest == Some(version) && held < Some(version) {
                match self.current.insert(key, indexed) {
                    None => applied.n_new += 1,
                    Some(replaced) => {
                        applied.n_replaced += 1;
                        if replaced.message.edit != version.0 {
                            self.labels.remove(&key);
                        }
                        let versions = self.superseded.entry(key).or_default();
                        versions.insert(replaced.message.version(), replaced.message);
                    }
                }
            } else {
                let versions = self.superseded.entry(key).or_default();
                match versions.insert(version, indexed.message) {
                    None => applied.n_older += 1,
                    Some(_) => applied.n_known += 1,
                }
            }
        }
    }
}

/// Counts by class, by time and by chat.
#[derive(Default)]
struct Tally<'a> {
    buckets: BTreeMap<Option<i64>, [u64; 3]>,
    first: Option<Timestamp>,
    chats: BTreeMap<telesift_schemas::ChatId, (u64, u64, &'a Message)>,
}

impl<'a> Tally<'a> {
    /// Counts `message` by what is seen of it.
    fn add(&mut self, message: &'a Message, seen: Option<&Screen>, bucket_s: Option<u64>) {
        let Some(screen) = seen else {
            return;
        };
        let width = bucket_s.and_then(|s| i64::try_from(s).ok());
        let width = width.filter(|w| *w > 0);
        let start = width.map(|w| message.event_time.as_second().div_euclid(w) * w);
        self.buckets.entry(start).or_default()[screen.class as usize] += 1;
        let first = self.first.get_or_insert(message.event_time);
        *first = (*first).min(message.event_time);
        let (n_noise, n_messages, newest) =
            self.chats.entry(message.chat.id).or_insert((0, 0, message));
        *n_noise += u64::from(screen.class == Class::Noise);
        *n_messages += 1;
        if (message.event_time, message.id) > (newest.event_time, newest.id) {
            *newest = message;
        }
    }

    fn into_counts(self, top: usize) -> ClassCounts {
        let buckets = self.buckets.into_iter().map(|(start, counts)| ClassBucket {
            start: start.map_or(self.first, |s| Timestamp::from_second(s).ok()),
            counts,
        });
        let mut noisiest: Vec<ChatNoise> = self
            .chats
            .into_iter()
            .filter(|(_, (n_noise, ..))| *n_noise > 0)
            .map(|(chat, (n_noise, n_messages, newest))| ChatNoise {
                chat,
                title: newest.chat.title.clone(),
                n_noise,
                n_messages,
            })
            .collect();
        noisiest.sort_by_key(|c| (std::cmp::Reverse(c.n_noise), c.chat));
        noisiest.truncate(top);
        ClassCounts {
            buckets: buckets.collect(),
            noisiest,
        }
    }
}
