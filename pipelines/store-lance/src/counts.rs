//! Counts by class, time and chat: scans of a few narrow columns.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::TryStreamExt;
use lancedb::Table;
use telesift_ports::message_store::{
    ChatNoise, ChatSummary, ClassBucket, ClassCounts, ClassCountsQuery, Result,
};
use telesift_schemas::{Chat, ChatId, Class, MessageKind};

use crate::{
    error::Attempt,
    filter::Predicate,
    labels::class_named,
    rows::{self, Rows},
    schema::columns as col,
    store::LanceStore,
};

/// What the chats were at one version of the table.
#[derive(Debug)]
pub(crate) struct CachedChats {
    version: u64,
    chats: Vec<ChatSummary>,
}

/// The newest message of a chat, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Newest {
    place: (i64, i64),
    row_id: u64,
    n_noise: u64,
    n_messages: u64,
}

impl LanceStore {
    pub(crate) async fn count_classes(&self, query: &ClassCountsQuery) -> Result<ClassCounts> {
        let mut predicate = Predicate::everything()
            .within(query.since, query.until)
            .and(format!(
                "{} != '{}'",
                col::KIND,
                MessageKind::Deleted.as_str()
            ));
        if let Some(visible) = &query.visible_chats {
            predicate = predicate.in_chats(visible);
        }
        if predicate == Predicate::Nothing {
            return Ok(ClassCounts::default());
        }
        let snapshot = self.snapshot().await?;
        let width_us = query.bucket_s.and_then(|s| i64::try_from(s).ok());
        let width_us = width_us
            .filter(|s| *s > 0)
            .map(|s| s.saturating_mul(1_000_000));
        let mut buckets: BTreeMap<Option<i64>, [u64; 3]> = BTreeMap::new();
        let mut first: Option<i64> = None;
        let chats = tally(&snapshot, &predicate, |time, class| {
            let start = width_us.map(|w| time.div_euclid(w).saturating_mul(w));
            buckets.entry(start).or_default()[class as usize] += 1;
            first = Some(first.map_or(time, |f| f.min(time)));
        });
        let chats = chats.await?;
        let buckets = buckets.into_iter().map(|(start, counts)| ClassBucket {
            start: start.or(first).map(rows::time),
            counts,
        });
        Ok(ClassCounts {
            buckets: buckets.collect(),
            noisiest: noisiest(&snapshot, chats, query.top).await?,
        })
    }

    pub(crate) async fn sum_up_chats(&self) -> Result<Vec<ChatSummary>> {
        let snapshot = self.snapshot().await?;
        let version = snapshot
            .version()
            .await
            .map_err(crate::error::Fault::from)?;
        let cached = self.chats.lock().unwrap_or_else(|e| e.into_inner()).clone();
        if let Some(cached) = cached.filter(|c| c.version == version) {
            return Ok(cached.chats.clone());
        }
        let found = tally(&snapshot, &Predicate::everything(), |_, _| {}).await?;
        let mut found: Vec<(ChatId, Newest)> = found.into_iter().collect();
        found.sort_by_key(|(chat, _)| *chat);
        let shown = newest_chats(&snapshot, &found).await?;
        let summaries = shown
            .into_iter()
            .zip(&found)
            .map(|(chat, (_, newest))| ChatSummary {
                chat,
                n_messages: newest.n_messages,
            });
        let chats: Vec<ChatSummary> = summaries.collect();
        let cached = CachedChats {
            version,
            chats: chats.clone(),
        };
        *self.chats.lock().unwrap_or_else(|e| e.into_inner()) = Some(Arc::new(cached));
        Ok(chats)
    }
}

/// Goes through the rows that pass, calling `each` with time and class, and sums up by chat.
async fn tally(
    snapshot: &Table,
    predicate: &Predicate,
    mut each: impl FnMut(i64, Class),
) -> Attempt<HashMap<ChatId, Newest>> {
    let mut chats: HashMap<ChatId, Newest> = HashMap::new();
    let columns = [col::EVENT_TIME, col::CHAT_ID, col::MESSAGE_ID, col::CLASS];
    let found = rows::scan(snapshot, predicate, &columns).await?;
    let mut found = std::pin::pin!(found);
    while let Some(batch) = found.try_next().await? {
        let rows = Rows(&batch);
        let times = rows.integers(col::EVENT_TIME)?;
        let row_ids = rows.row_ids()?;
        let classes = rows.texts(col::CLASS)?.map(class);
        for ((i, key), class) in rows.keys()?.enumerate().zip(classes) {
            each(times[i], class);
            let place = (times[i], key.message_id);
            let newest = chats.entry(key.chat).or_insert(Newest {
                place,
                row_id: row_ids[i],
                n_noise: 0,
                n_messages: 0,
            });
            newest.n_messages += 1;
            newest.n_noise += u64::from(class == Class::Noise);
            if place > newest.place {
                (newest.place, newest.row_id) = (place, row_ids[i]);
            }
        }
    }
    Ok(chats)
}

fn class(name: &str) -> Class {
    class_named(name).unwrap_or(Class::Noise)
}

async fn noisiest(
    snapshot: &Table,
    chats: HashMap<ChatId, Newest>,
    top: usize,
) -> Attempt<Vec<ChatNoise>> {
    let mut noisy: Vec<(ChatId, Newest)> =
        chats.into_iter().filter(|(_, n)| n.n_noise > 0).collect();
    noisy.sort_by_key(|(chat, newest)| (Reverse(newest.n_noise), *chat));
    noisy.truncate(top);
    let shown = newest_chats(snapshot, &noisy).await?;
    let named = shown
        .into_iter()
        .zip(noisy)
        .map(|(shown, (chat, newest))| ChatNoise {
            chat,
            title: shown.title,
            n_noise: newest.n_noise,
            n_messages: newest.n_messages,
        });
    Ok(named.collect())
}

/// The chats as their newest messages show them.
async fn newest_chats(snapshot: &Table, chats: &[(ChatId, Newest)]) -> Attempt<Vec<Chat>> {
    let row_ids: Vec<u64> = chats.iter().map(|(_, newest)| newest.row_id).collect();
    let messages = rows::take_messages(snapshot, &row_ids).await?;
    Ok(messages.into_iter().map(|m| m.chat).collect())
}
