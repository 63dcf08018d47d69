//! Reading by key, by time and by chat.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use futures::TryStreamExt;
use lancedb::Table;
use telesift_ports::{
    message_store::{ListPosition, MessageFilter, Result, StoreStats},
    providers::KeptHere,
};
use telesift_schemas::{ChatId, Class, Message, MessageKey, MessageKind, Timestamp};

use crate::{
    error::{Attempt, Fault},
    filter::{Predicate, integer, integers, quoted, texts},
    open::index_name,
    rows::{self, Rows},
    schema::columns as col,
    store::LanceStore,
};

/// How many keys one look-up names: bounds the length of its SQL.
const LOOK_UP: usize = 1_000;
/// A page is first looked for among about this many times its size of rows, then among all.
const FIRST_WINDOW: i64 = 8;
const NEXT_WINDOW: i64 = 64;

/// Between which times messages lie, as far as this process knows. A hint: answers do not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeSpan {
    first_us: i64,
    last_us: i64,
}

/// Order of a list: newest first means greatest first.
type Place = (i64, MessageKey);

impl LanceStore {
    pub(crate) async fn read_many(&self, keys: &[MessageKey]) -> Result<Vec<Message>> {
        let snapshot = self.snapshot().await?;
        let mut found: HashMap<MessageKey, Message> = HashMap::with_capacity(keys.len());
        for part in keys.chunks(LOOK_UP) {
            let names: Vec<String> = part.iter().map(MessageKey::to_string).collect();
            let wanted = texts(col::KEY, names.iter().map(String::as_str));
            let predicate = Predicate::everything().and(wanted);
            for body in bodies(&snapshot, &predicate).await? {
                let message = rows::message(&body)?;
                found.insert(message.id, message);
            }
        }
        Ok(keys.iter().filter_map(|k| found.get(k).cloned()).collect())
    }

    pub(crate) async fn read_history(&self, key: &MessageKey) -> Result<Vec<Message>> {
        let wanted = texts(col::KEY, [key.to_string().as_str()]);
        let predicate = Predicate::everything().and(wanted);
        let found = bodies(&self.versions, &predicate).await?;
        let found = found.iter().map(|body| rows::message(body));
        let mut messages = found.collect::<Attempt<Vec<Message>>>()?;
        messages.sort_by_key(Message::version);
        // Should a writer that lost its lease have written a version a second time.
        messages.dedup_by_key(|m| m.version());
        Ok(messages)
    }

    pub(crate) async fn read_newest(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let mut predicate = Predicate::from(filter);
        if limit == 0 || predicate == Predicate::Nothing {
            return Ok(Vec::new());
        }
        let snapshot = self.snapshot().await?;
        let after = after.map(|a| (a.event_time.as_microsecond(), a.key));
        if let Some((time, _)) = after {
            predicate = predicate.and(format!("{} <= {time}", col::EVENT_TIME));
        }
        for from in self.windows(&snapshot, after, limit).await? {
            let window = match from {
                Some(from) => predicate
                    .clone()
                    .and(format!("{} >= {from}", col::EVENT_TIME)),
                None => predicate.clone(),
            };
            let newest = greatest(&snapshot, &window, after, limit).await?;
            if newest.len() == limit || from.is_none() {
                return Ok(rows::take_messages(&snapshot, &newest).await?);
            }
        }
        Ok(Vec::new())
    }

    /// Where to begin looking: a time that should leave enough rows above it, then an earlier one, then none.
    async fn windows(
        &self,
        snapshot: &Table,
        after: Option<Place>,
        limit: usize,
    ) -> Attempt<Vec<Option<i64>>> {
        let n_rows = i64::try_from(snapshot.count_rows(None).await?).unwrap_or(i64::MAX);
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX);
        let Some(span) = self.time_span(snapshot).await? else {
            return Ok(vec![None]);
        };
        let newest = after.map_or(span.last_us, |(time, _)| time.min(span.last_us));
        let per_row = span.last_us.saturating_sub(span.first_us) / n_rows.max(1) + 1;
        let from = |n: i64| newest.saturating_sub(per_row.saturating_mul(wanted.saturating_mul(n)));
        let windows = [FIRST_WINDOW, NEXT_WINDOW].map(from).into_iter();
        let windows = windows.filter(|from| *from > span.first_us).map(Some);
        Ok(windows.chain([None]).collect())
    }

    async fn time_span(&self, snapshot: &Table) -> Attempt<Option<TimeSpan>> {
        let known = *self.span.lock().unwrap_or_else(|e| e.into_inner());
        if known.is_some() {
            return Ok(known);
        }
        let all = Predicate::everything();
        let found = rows::scan(snapshot, &all, &[col::EVENT_TIME]).await?;
        let mut found = std::pin::pin!(found);
        while let Some(batch) = found.try_next().await? {
            self.widen_span(Rows(&batch).integers(col::EVENT_TIME)?.iter().copied());
        }
        Ok(*self.span.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Takes note of the times of new rows, once the span was read.
    pub(crate) fn note_times(&self, times: impl Iterator<Item = Timestamp>) {
        let known = self
            .span
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .is_some();
        if known {
            self.widen_span(times.map(|t| t.as_microsecond()));
        }
    }

    fn widen_span(&self, times: impl Iterator<Item = i64>) {
        let mut span = self.span.lock().unwrap_or_else(|e| e.into_inner());
        for time in times {
            let wider = span.get_or_insert(TimeSpan {
                first_us: time,
                last_us: time,
            });
            wider.first_us = wider.first_us.min(time);
            wider.last_us = wider.last_us.max(time);
        }
    }

    pub(crate) async fn read_context(
        &self,
        key: &MessageKey,
        before: usize,
        after: usize,
    ) -> Result<Vec<Message>> {
        let snapshot = self.snapshot().await?;
        let mut ids = neighbours(&snapshot, key, before, Side::Before).await?;
        ids.reverse();
        ids.extend(neighbours(&snapshot, key, after.saturating_add(1), Side::From).await?);
        // One too many was asked for, in case the message itself is there.
        let keep = |(place, _): &(i64, u64)| *place == key.message_id;
        if !ids.iter().any(keep) && ids.last().is_some_and(|(id, _)| *id > key.message_id) {
            let n_after = ids.iter().filter(|(id, _)| *id > key.message_id).count();
            if n_after > after {
                ids.pop();
            }
        }
        let row_ids: Vec<u64> = ids.into_iter().map(|(_, row_id)| row_id).collect();
        Ok(rows::take_messages(&snapshot, &row_ids).await?)
    }

    pub(crate) async fn read_message_ids(&self, chat: ChatId) -> Result<Vec<i64>> {
        let snapshot = self.snapshot().await?;
        let of_chat = integers(col::CHAT_ID, [chat.0].into_iter());
        let predicate = Predicate::everything().and(of_chat);
        let found = ids(&snapshot, &predicate).await?;
        let mut ids: Vec<i64> = found.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.dedup(); // should a writer that lost its lease have written a key a second time
        Ok(ids)
    }

    pub(crate) async fn read_without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let predicate = no_vector_yet(classes, kept);
        if limit == 0 || predicate == Predicate::Nothing {
            return Ok(Vec::new());
        }
        let snapshot = self.snapshot().await?;
        let newest = greatest(&snapshot, &predicate, None, limit).await?;
        Ok(rows::take_messages(&snapshot, &newest).await?)
    }

    pub(crate) async fn number_without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
    ) -> Result<u64> {
        let snapshot = self.snapshot().await?;
        let found = snapshot
            .count_rows(no_vector_yet(classes, kept).sql())
            .await;
        Ok(found.map_err(Fault::from)? as u64)
    }

    pub(crate) async fn read_stats(&self) -> Result<StoreStats> {
        let snapshot = self.snapshot().await?;
        let count = async |table: &Table, filter: Option<String>| -> Attempt<u64> {
            Ok(table.count_rows(filter).await? as u64)
        };
        let unindexed = async |column: &str| -> Attempt<Option<u64>> {
            let stats = snapshot.index_stats(index_name(column)).await?;
            Ok(stats.map(|s| s.num_unindexed_rows as u64))
        };
        let n_messages = count(&snapshot, None).await?;
        let n_unindexed_vector = match unindexed(col::VECTOR).await? {
            Some(n) => n,
            None => count(&snapshot, Some(col::HAS_VECTOR.to_owned())).await?,
        };
        Ok(StoreStats {
            n_messages,
            n_versions: count(&self.versions, None).await?,
            n_unindexed_text: unindexed(col::TERMS).await?.unwrap_or(n_messages),
            n_unindexed_vector,
        })
    }

    /// The newest version of `messages`, which stays as it is while it is read.
    pub(crate) async fn snapshot(&self) -> Attempt<Table> {
        Ok(self.messages.query_snapshot().await?)
    }
}

/// Rows with words of these classes that wait for their vector.
fn no_vector_yet(classes: &[Class], kept: Option<&KeptHere>) -> Predicate {
    if classes.is_empty() {
        return Predicate::Nothing;
    }
    let deleted = quoted(MessageKind::Deleted.as_str());
    let waiting = Predicate::everything()
        .and(texts(col::CLASS, classes.iter().map(|c| c.as_str())))
        .and(format!("NOT {}", col::HAS_VECTOR))
        .and(format!("{} != {deleted}", col::KIND))
        .and(format!("{} != ''", col::TERMS));
    match kept {
        Some(kept) => waiting.not_kept(kept),
        None => waiting,
    }
}

/// The bodies of the rows that pass.
async fn bodies(table: &Table, predicate: &Predicate) -> Attempt<Vec<String>> {
    let mut bodies = Vec::new();
    let found = rows::scan(table, predicate, &[col::BODY]).await?;
    let mut found = std::pin::pin!(found);
    while let Some(batch) = found.try_next().await? {
        bodies.extend(Rows(&batch).texts(col::BODY)?.map(str::to_owned));
    }
    Ok(bodies)
}

/// The row ids of the `limit` greatest places below `after`, greatest first, of the rows that pass. Holds no more than
/// that many.
async fn greatest(
    snapshot: &Table,
    predicate: &Predicate,
    after: Option<Place>,
    limit: usize,
) -> Attempt<Vec<u64>> {
    let mut heap: BinaryHeap<Reverse<(Place, u64)>> = BinaryHeap::new();
    let columns = [col::EVENT_TIME, col::CHAT_ID, col::MESSAGE_ID];
    let found = rows::scan(snapshot, predicate, &columns).await?;
    let mut found = std::pin::pin!(found);
    while let Some(batch) = found.try_next().await? {
        let rows = Rows(&batch);
        let times = rows.integers(col::EVENT_TIME)?.iter().copied();
        let places = times.zip(rows.keys()?).zip(rows.row_ids()?);
        for (place, row_id) in places {
            if after.is_some_and(|after| place >= after) {
                continue;
            }
            if heap.len() < limit {
                heap.push(Reverse((place, *row_id)));
            } else if heap
                .peek()
                .is_some_and(|Reverse((least, _))| place > *least)
            {
                heap.pop();
                heap.push(Reverse((place, *row_id)));
            }
        }
    }
    let sorted = heap.into_sorted_vec(); // by `Reverse`: greatest first
    Ok(sorted.into_iter().map(|Reverse((_, id))| id).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Below the message id.
    Before,
    /// The message id and above.
    From,
}

/// Message and row ids of the nearest `n` messages of a chat on one side, nearest first. Looks within a distance that
/// grows until it finds enough, so that a large chat is not read as a whole.
async fn neighbours(
    snapshot: &Table,
    key: &MessageKey,
    n: usize,
    side: Side,
) -> Attempt<Vec<(i64, u64)>> {
    if n == 0 {
        return Ok(Vec::new());
    }
    let n_wide = i64::try_from(n).unwrap_or(i64::MAX);
    let distances = [4, 256].map(|factor| Some(n_wide.saturating_mul(factor).saturating_add(64)));
    for distance in distances.into_iter().chain([None]) {
        let id = key.message_id;
        let (near, far) = match side {
            Side::Before => ("<", ">="),
            Side::From => (">=", "<="),
        };
        let mut predicate = Predicate::everything()
            .and(integers(col::CHAT_ID, [key.chat.0].into_iter()))
            .and(format!("{} {near} {}", col::MESSAGE_ID, integer(id)));
        if let Some(distance) = distance {
            let edge = match side {
                Side::Before => id.saturating_sub(distance),
                Side::From => id.saturating_add(distance),
            };
            predicate = predicate.and(format!("{} {far} {}", col::MESSAGE_ID, integer(edge)));
        }
        let mut found = ids(snapshot, &predicate).await?;
        if found.len() >= n || distance.is_none() {
            found.sort_unstable();
            if side == Side::Before {
                found.reverse();
            }
            found.truncate(n);
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

async fn ids(snapshot: &Table, predicate: &Predicate) -> Attempt<Vec<(i64, u64)>> {
    let mut ids = Vec::new();
    let found = rows::scan(snapshot, predicate, &[col::MESSAGE_ID]).await?;
    let mut found = std::pin::pin!(found);
    while let Some(batch) = found.try_next().await? {
        let rows = Rows(&batch);
        let found = rows.integers(col::MESSAGE_ID)?.iter().zip(rows.row_ids()?);
        ids.extend(found.map(|(id, row)| (*id, *row)));
    }
    Ok(ids)
}
