//! The term of the store's one writer: asked right before each commit, begun by shutting out whoever wrote before.
//!
//! Lance lets the fastest commit of a version win and tries the others again on top of it, so being checked is not
//! enough: a writer that freezes between its check and its commit wakes up with both behind it. But a commit names the
//! version it makes, and a version is made once. So a term begins with a commit of its own to each table: one that was
//! checked before can only come before that, or finds its version taken, must try again, and is asked anew.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use futures::TryStreamExt;
use lance_table::{
    format::{IndexMetadata, Manifest, Transaction},
    io::commit::{
        CommitError, CommitHandler, ManifestLocation, ManifestNamingScheme, ManifestWriter,
    },
};
use lancedb::Table;
use object_store::path::Path;
use telesift_ports::{catalog, leases::Term, message_store::Result};

use crate::{
    error::{Attempt, Fault},
    filter::{Predicate, texts},
    rows::{self, ROW_ID, Rows},
    schema::{VersionRow, columns as col},
    store::LanceStore,
};

/// Where a table names the lease of its last writer.
const WRITER_KEY: &str = "telesift.writer";
/// How many rows one look-up or removal names: bounds the length of its SQL.
const AT_ONCE: usize = 1_000;

/// The term a handle writes under; none for one that writes alone.
#[derive(Debug, Default)]
pub(crate) struct CurrentTerm {
    term: RwLock<Option<Term>>,
    is_lost: AtomicBool,
}

impl CurrentTerm {
    fn begin(&self, term: Term) {
        *self.term.write().unwrap_or_else(PoisonError::into_inner) = Some(term);
        self.is_lost.store(false, Ordering::SeqCst);
    }

    fn term(&self) -> Option<Term> {
        let term = self.term.read().unwrap_or_else(PoisonError::into_inner);
        term.clone()
    }

    async fn check(&self) -> catalog::Result<()> {
        let Some(term) = self.term() else {
            return Ok(());
        };
        let outcome = term.check().await;
        if matches!(outcome, Err(catalog::Error::LeaseLost { .. })) {
            self.is_lost.store(true, Ordering::SeqCst);
        }
        outcome
    }

    /// What a failed write failed for: whatever Lance makes of it, a lost lease is a lost lease.
    pub(crate) fn sort(&self, fault: Fault) -> Fault {
        match self.term() {
            Some(term) if self.is_lost.load(Ordering::SeqCst) => {
                let (name, _) = term.fence().lease().unwrap_or_default();
                Fault::LeaseLost(name.to_owned())
            }
            _ => fault,
        }
    }
}

/// Commits as the inner handler does, if the term allows it.
#[derive(Debug)]
pub(crate) struct TermedCommits {
    pub(crate) inner: Arc<dyn CommitHandler>,
    pub(crate) term: Arc<CurrentTerm>,
}

#[async_trait]
impl CommitHandler for TermedCommits {
    fn is_version_not_found_definitive(&self) -> bool {
        self.inner.is_version_not_found_definitive()
    }

    fn propagate_commit_error_after_success(&self) -> bool {
        self.inner.propagate_commit_error_after_success()
    }

    async fn commit(
        &self,
        manifest: &mut Manifest,
        indices: Option<Vec<IndexMetadata>>,
        base_path: &Path,
        object_store: &lance::io::ObjectStore,
        manifest_writer: ManifestWriter,
        naming_scheme: ManifestNamingScheme,
        transaction: Option<Transaction>,
    ) -> std::result::Result<ManifestLocation, CommitError> {
        let allowed = self.term.check().await;
        allowed.map_err(|e| CommitError::OtherError(lance::Error::io(e.to_string())))?;
        let committed = self.inner.commit(
            manifest,
            indices,
            base_path,
            object_store,
            manifest_writer,
            naming_scheme,
            transaction,
        );
        committed.await
    }
}

impl LanceStore {
    pub(crate) async fn take_over(&self, term: Term) -> Result<()> {
        let _quiet = self.maintenance.lock().await;
        let mut writer = self.writer.lock().await;
        writer.forget();
        self.term.begin(term.clone());
        self.term.check().await?;
        let Some((lease, token)) = term.fence().lease() else {
            return Ok(()); // nobody else ever writes here
        };
        let begun = self.begin(&format!("{lease}/{token}")).await;
        Ok(begun.map_err(|fault| self.term.sort(fault))?)
    }

    async fn begin(&self, writer: &str) -> Attempt<()> {
        let started = SystemTime::now();
        for table in [&self.versions, &self.messages] {
            let native = table.as_native();
            let native = native.ok_or_else(|| Fault::Damaged("the table is remote".to_owned()))?;
            let named = [(WRITER_KEY.to_owned(), writer.to_owned())];
            native.update_config(named).await?;
            self.sync(table, started).await?;
        }
        // Messages first: what is superseded there may be another row here.
        let n_messages = self.remove_repeated_messages().await?;
        let n_versions = self.remove_repeated_versions().await?;
        if n_messages + n_versions > 0 {
            tracing::warn!(
                n_messages,
                n_versions,
                "rows that two writers left twice are left once"
            );
        }
        Ok(())
    }

    /// Of every message with several rows the greatest (edit, origin) stays; other versions become superseded ones.
    async fn remove_repeated_messages(&self) -> Attempt<usize> {
        let snapshot = self.snapshot().await?;
        let keys = repeated(&snapshot, col::KEY).await?;
        let (mut surplus, mut older) = (Vec::new(), Vec::new());
        for part in keys.chunks(AT_ONCE) {
            let wanted = texts(col::KEY, part.iter().map(String::as_str));
            let predicate = Predicate::everything().and(wanted);
            let columns = [col::KEY, col::EDIT, col::ORIGIN_OFFSET];
            let found = rows::scan(&snapshot, &predicate, &columns).await?;
            let mut found = std::pin::pin!(found);
            let mut best = HashMap::new();
            let mut worse = Vec::new();
            while let Some(batch) = found.try_next().await? {
                let rows = Rows(&batch);
                let edits = rows.integers(col::EDIT)?;
                let offsets = rows.integers(col::ORIGIN_OFFSET)?;
                let ids = rows.row_ids()?;
                for (i, key) in rows.texts(col::KEY)?.enumerate() {
                    let row = ((edits[i], offsets[i]), ids[i]);
                    worse.extend(worse_of(&mut best, key, row).map(|row| (key.to_owned(), row)));
                }
            }
            let is_other =
                |(key, row): &&(String, Row)| best.get(key).is_some_and(|b| b.0 != row.0);
            older.extend(worse.iter().filter(is_other).map(|(_, row)| row.1));
            surplus.extend(worse.iter().map(|(_, row)| row.1));
        }
        self.keep_as_versions(&snapshot, &older).await?;
        remove(&self.messages, &surplus).await?;
        Ok(surplus.len())
    }

    async fn keep_as_versions(&self, snapshot: &Table, row_ids: &[u64]) -> Attempt<()> {
        let bodies = rows::take_bodies(snapshot, row_ids).await?;
        let versions = bodies
            .values()
            .map(|body| VersionRow::of(&rows::message(body)?));
        let versions = versions.collect::<Attempt<Vec<VersionRow>>>()?;
        self.write_versions(&versions, SystemTime::now()).await
    }

    /// Of every superseded version one row stays: they are the same.
    async fn remove_repeated_versions(&self) -> Attempt<usize> {
        let snapshot = self.versions.query_snapshot().await?;
        let ids = repeated(&snapshot, col::VERSION_ID).await?;
        let mut surplus = Vec::new();
        for part in ids.chunks(AT_ONCE) {
            let wanted = texts(col::VERSION_ID, part.iter().map(String::as_str));
            let predicate = Predicate::everything().and(wanted);
            let found = rows::scan(&snapshot, &predicate, &[col::VERSION_ID]).await?;
            let mut found = std::pin::pin!(found);
            let mut best = HashMap::new();
            while let Some(batch) = found.try_next().await? {
                let rows = Rows(&batch);
                let row_ids = rows.row_ids()?;
                for (id, row_id) in rows.texts(col::VERSION_ID)?.zip(row_ids) {
                    surplus.extend(worse_of(&mut best, id, ((0, 0), *row_id)).map(|row| row.1));
                }
            }
        }
        remove(&self.versions, &surplus).await?;
        Ok(surplus.len())
    }
}

/// The version a row holds, and its id.
type Row = ((i64, i64), u64);

/// Keeps the better of two rows of one key; gives the other.
fn worse_of(best: &mut HashMap<String, Row>, key: &str, row: Row) -> Option<Row> {
    match best.get_mut(key) {
        None => {
            best.insert(key.to_owned(), row);
            None
        }
        Some(held) if held.0 < row.0 => Some(std::mem::replace(held, row)),
        Some(_) => Some(row),
    }
}

/// The values of a text column that stand in several rows. Compared by hash first: eight bytes a row, whatever the
/// length.
async fn repeated(snapshot: &Table, column: &'static str) -> Attempt<Vec<String>> {
    let mut hashes = Vec::new();
    let everything = Predicate::everything();
    let mut all = std::pin::pin!(rows::scan(snapshot, &everything, &[column]).await?);
    while let Some(batch) = all.try_next().await? {
        hashes.extend(Rows(&batch).texts(column)?.map(hash));
    }
    hashes.sort_unstable();
    let mut seen_twice: Vec<u64> = hashes
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    seen_twice.dedup();
    if seen_twice.is_empty() {
        return Ok(Vec::new());
    }
    let mut values = Vec::new();
    let mut all = std::pin::pin!(rows::scan(snapshot, &everything, &[column]).await?);
    while let Some(batch) = all.try_next().await? {
        let found = Rows(&batch);
        let found = found.texts(column)?;
        values.extend(
            found
                .filter(|v| seen_twice.binary_search(&hash(v)).is_ok())
                .map(str::to_owned),
        );
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

fn hash(text: &str) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

/// Removes rows of the newest version; nobody else writes meanwhile.
async fn remove(table: &Table, row_ids: &[u64]) -> Attempt<()> {
    for part in row_ids.chunks(AT_ONCE) {
        let ids: Vec<String> = part.iter().map(u64::to_string).collect();
        table
            .delete(&format!("{ROW_ID} IN ({})", ids.join(", ")))
            .await?;
    }
    Ok(())
}
