//! Writing a batch: what is replaced goes to `message_versions` first, then `messages` is brought up to date. A crash
//! between the two leaves both versions; applying the batch again finishes the work and adds nothing.

mod bisect;
mod plan;

use std::{collections::HashMap, time::SystemTime};

use arrow::array::{RecordBatch, RecordBatchIterator};
use futures::TryStreamExt;
use lancedb::Table;
use telesift_ports::message_store::{Applied, IndexedMessage, Result, sort_versions};
use telesift_schemas::MessageKey;

use crate::{
    durable,
    error::Attempt,
    filter::{Predicate, texts},
    key_filter::KeyFilter,
    rows::{self, Rows},
    schema::{self, VersionRow, columns as col},
    store::LanceStore,
};
use bisect::Parts;
use plan::Held;
pub(crate) use plan::Plan;

/// How many keys one look-up names: bounds the length of its SQL.
const LOOK_UP: usize = 1_000;

/// What the writer remembers between batches.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    keys: Option<KeyFilter>,
}

impl Writer {
    /// Another may have written meanwhile.
    pub(crate) fn forget(&mut self) {
        self.keys = None;
    }
}

impl LanceStore {
    pub(crate) async fn apply_batch(&self, batch: Vec<IndexedMessage>) -> Result<Applied> {
        let dimensions = self.config.model.as_ref().map(|m| m.dimensions);
        for indexed in &batch {
            indexed.validate(dimensions)?;
        }
        if batch.is_empty() {
            return Ok(Applied::default());
        }
        let mut writer = self.writer.lock().await;
        let mut parts = Parts::of(batch);
        while let Some(part) = parts.next() {
            let done = self.apply_once(&mut writer, part.clone()).await;
            let done = done.map_err(|fault| self.term.sort(fault));
            if done.is_err() {
                writer.forget(); // it may know keys that were not stored
            }
            parts.settle(&part, done)?;
        }
        Ok(parts.total())
    }

    async fn apply_once(
        &self,
        writer: &mut Writer,
        batch: Vec<IndexedMessage>,
    ) -> Attempt<Applied> {
        let started = SystemTime::now();
        let (plan, applied) = self.plan(writer, batch).await?;
        self.write_versions(&plan.superseded, started).await?;
        self.write_messages(writer, plan, started).await?;
        Ok(applied)
    }

    /// Works out what the batch means for what is stored. Writes nothing.
    pub(crate) async fn plan(
        &self,
        writer: &mut Writer,
        batch: Vec<IndexedMessage>,
    ) -> Attempt<(Plan, Applied)> {
        let (by_key, n_repeated) = sort_versions(batch);
        let snapshot = self.messages.query_snapshot().await?;
        let known = self.known_keys(writer, &snapshot).await?;
        let asked = by_key
            .keys()
            .filter(|k| known.may_hold(k))
            .copied()
            .collect();
        let held = look_up(&snapshot, asked).await?;
        let mut plan = plan::plan(by_key, &held)?;
        let replaced = rows::take_bodies(&snapshot, &plan.replaced_rows()).await?;
        plan.keep_replaced(&replaced)?;
        let stored = self.stored_versions(&plan).await?;
        let applied = plan.settle(&stored, n_repeated);
        Ok((plan, applied))
    }

    /// The keys of the table. Read anew if another process wrote: it can only have added some.
    async fn known_keys<'w>(
        &self,
        writer: &'w mut Writer,
        snapshot: &Table,
    ) -> Attempt<&'w mut KeyFilter> {
        let n_rows = snapshot.count_rows(None).await?;
        let fresh = writer.keys.take();
        let fresh = fresh.filter(|keys| keys.len() == n_rows && !keys.is_full());
        let keys = match fresh {
            Some(keys) => keys,
            None => read_keys(snapshot, n_rows).await?,
        };
        Ok(writer.keys.insert(keys))
    }

    /// Which of the versions to write stand in `message_versions` already.
    async fn stored_versions(&self, plan: &Plan) -> Attempt<Vec<String>> {
        let mut stored = Vec::new();
        let ids: Vec<String> = plan.superseded.iter().map(VersionRow::id).collect();
        for part in ids.chunks(LOOK_UP) {
            let wanted = texts(col::VERSION_ID, part.iter().map(String::as_str));
            let predicate = Predicate::everything().and(wanted);
            let found = rows::scan(&self.versions, &predicate, &[col::VERSION_ID]).await?;
            let mut found = std::pin::pin!(found);
            while let Some(batch) = found.try_next().await? {
                stored.extend(Rows(&batch).texts(col::VERSION_ID)?.map(str::to_owned));
            }
        }
        Ok(stored)
    }

    /// The first write, durable before the second begins.
    pub(crate) async fn write_versions(
        &self,
        rows: &[VersionRow],
        started: SystemTime,
    ) -> Attempt<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.versions
            .add(schema::version_rows(rows)?)
            .execute()
            .await?;
        self.sync(&self.versions, started).await
    }

    /// The second write.
    pub(crate) async fn write_messages(
        &self,
        writer: &mut Writer,
        plan: Plan,
        started: SystemTime,
    ) -> Attempt<()> {
        let model = self.config.model.as_ref();
        if !plan.merged.is_empty() {
            let rows = schema::message_rows(model, &plan.merged, &plan.labels)?;
            merge(&self.messages, rows).await?;
        }
        if !plan.added.is_empty() {
            let rows = schema::message_rows(model, &plan.added, &HashMap::new())?;
            self.messages.add(rows).execute().await?;
        }
        if plan.merged.is_empty() && plan.added.is_empty() {
            return Ok(());
        }
        if let Some(keys) = &mut writer.keys {
            plan.added.iter().for_each(|i| keys.add(&i.message.id));
        }
        self.note_times(plan.added.iter().map(|i| i.message.event_time));
        self.sync(&self.messages, started).await
    }

    pub(crate) async fn sync(&self, table: &Table, since: SystemTime) -> Attempt<()> {
        match &self.folder {
            Some(store) => {
                durable::sync_since(durable::table_folder(store, table.name()), since).await
            }
            None => Ok(()),
        }
    }
}

/// Replaces rows by key, in one commit. Never by something older, should another writer have been faster.
pub(crate) async fn merge(table: &Table, rows: RecordBatch) -> Attempt<()> {
    let newer = format!(
        "source.{e} > target.{e} OR (source.{e} = target.{e} AND source.{o} >= target.{o})",
        e = col::EDIT,
        o = col::ORIGIN_OFFSET,
    );
    let schema = rows.schema();
    let mut merge = table.merge_insert(&[col::KEY]);
    merge.when_matched_update_all(Some(newer));
    merge.when_not_matched_insert_all();
    let rows = RecordBatchIterator::new([Ok(rows)], schema);
    merge.execute(Box::new(rows)).await?;
    Ok(())
}

async fn read_keys(snapshot: &Table, n_rows: usize) -> Attempt<KeyFilter> {
    let mut keys = KeyFilter::for_keys(n_rows);
    let columns = [col::CHAT_ID, col::MESSAGE_ID];
    let all = rows::scan(snapshot, &Predicate::everything(), &columns).await?;
    let mut all = std::pin::pin!(all);
    while let Some(batch) = all.try_next().await? {
        Rows(&batch).keys()?.for_each(|key| keys.add(&key));
    }
    Ok(keys)
}

/// What the table holds of `keys`.
async fn look_up(snapshot: &Table, keys: Vec<MessageKey>) -> Attempt<HashMap<MessageKey, Held>> {
    let mut held = HashMap::new();
    for part in keys.chunks(LOOK_UP) {
        let texts_of_part: Vec<String> = part.iter().map(MessageKey::to_string).collect();
        let wanted = texts(col::KEY, texts_of_part.iter().map(String::as_str));
        let columns = [
            col::CHAT_ID,
            col::MESSAGE_ID,
            col::EDIT,
            col::ORIGIN_OFFSET,
            col::HAS_VECTOR,
            col::LABEL,
            col::LABEL_SPAM,
            col::LABEL_DECIDED,
        ];
        let predicate = Predicate::everything().and(wanted);
        let found = rows::scan(snapshot, &predicate, &columns).await?;
        let mut found = std::pin::pin!(found);
        while let Some(batch) = found.try_next().await? {
            held.extend(held_in(&Rows(&batch))?);
        }
    }
    Ok(held)
}

fn held_in(rows: &Rows<'_>) -> Attempt<Vec<(MessageKey, Held)>> {
    let edits = rows.integers(col::EDIT)?;
    let offsets = rows.integers(col::ORIGIN_OFFSET)?;
    let has_vector = rows.truths(col::HAS_VECTOR)?;
    let row_ids = rows.row_ids()?;
    let labels = rows.marks()?;
    let found = rows.keys()?.enumerate().map(|(i, key)| {
        let held = Held {
            version: (edits[i], offsets[i]),
            has_vector: has_vector[i],
            label: labels[i],
            row_id: row_ids[i],
        };
        (key, held)
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LanceStoreConfig;
    use telesift_ports::{
        contract::message_store::fixtures::{edited, message, model, plain},
        message_store::MessageStore,
    };

    fn config(folder: &tempfile::TempDir) -> LanceStoreConfig {
        LanceStoreConfig::new(folder.path().to_str().expect("a path"), Some(model()))
    }

    #[tokio::test]
    async fn a_crash_between_the_two_writes_leaves_nothing_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = message(1, 1, "first");
        let second = vec![
            plain(edited(&first, 10, 50, "second")),
            plain(message(1, 2, "new")),
        ];
        {
            let store = LanceStore::open(config(&folder)).await.expect("it opens");
            let stored = store.apply(vec![plain(first.clone())]).await;
            stored.expect("it is stored");
            // The batch gets as far as the first write, and the process ends.
            let mut writer = store.writer.lock().await;
            let (plan, _) = store
                .plan(&mut writer, second.clone())
                .await
                .expect("a plan");
            let written = store
                .write_versions(&plan.superseded, SystemTime::now())
                .await;
            written.expect("the first write succeeds");
        }
        let store = LanceStore::open(config(&folder)).await.expect("it opens");
        let current = store.get(&first.id).await.expect("an answer");
        assert_eq!(current.expect("it is there").text, "first");
        for _ in 0..2 {
            store.apply(second.clone()).await.expect("it is stored");
            let current = store.get(&first.id).await.expect("an answer");
            assert_eq!(current.expect("it is there").text, "second");
            let history = store.history(&first.id).await.expect("an answer");
            assert_eq!(history, std::slice::from_ref(&first));
            let stats = store.stats().await.expect("an answer");
            assert_eq!((stats.n_messages, stats.n_versions), (2, 1));
        }
    }

    #[tokio::test]
    async fn what_another_writer_stored_is_not_stored_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = LanceStore::open(config(&folder)).await.expect("it opens");
        let other = LanceStore::open(config(&folder)).await.expect("it opens");
        one.apply(vec![plain(message(1, 1, "a"))])
            .await
            .expect("stored");
        other
            .apply(vec![plain(message(1, 2, "b"))])
            .await
            .expect("stored");
        let both = vec![plain(message(1, 1, "a")), plain(message(1, 2, "b"))];
        let applied = one.apply(both).await.expect("stored");
        assert_eq!(applied.n_known, 2);
        assert_eq!(one.stats().await.expect("an answer").n_messages, 2);
    }
}
