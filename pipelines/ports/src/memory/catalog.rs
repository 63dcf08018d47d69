//! The catalog in memory: stage states, imports, keys and labels in maps behind one lock.

mod audit;
mod bots;
mod knowledge;
mod labels;
mod letters;
mod providers;
mod reactions;
mod replays;
mod rules;
mod stream_tickets;
mod windows;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use async_trait::async_trait;
use telesift_schemas::{ChatId, MessageKey, Offset, ReactionsOf, Timestamp};

use crate::{
    Clock,
    bots::BotRow,
    catalog::{
        AuditRecord, Catalog, Error, ImportRow, KeyRow, LabelRow, ReactionRow, Result, TicketRow,
    },
    dead_letters::LetterRow,
    imports::{ImportProgress, ImportRequest, ImportState, ImportStatus},
    leases::Fence,
    ledger::{StageKey, StageState},
    memory::{Script, leases::LeaseTable, story_catalog::StoryTable},
    replays::{ReplayStatus, RulePair},
};

/// A [`Catalog`] that forgets everything with the process.
#[derive(Default)]
pub struct MemoryCatalog {
    tables: Mutex<Tables>,
    /// Faults of coming commits of stages.
    pub commits: Script<Error>,
    /// Atoms a commit can change in time; absent: any number.
    pub max_changed_atoms: Option<usize>,
    pub(super) stories: StoryTable,
    pub(super) leases: LeaseTable,
    look_ups: AtomicU64,
}

#[derive(Default)]
struct Tables {
    stages: BTreeMap<StageKey, StageState>,
    imports: BTreeMap<String, ImportRow>,
    keys: BTreeMap<String, (KeyRow, [u8; 32])>,
    rules: rules::RulesTables,
    labels: BTreeMap<(MessageKey, i64, String), LabelRow>,
    audit: BTreeMap<String, AuditRecord>,
    tickets: BTreeMap<[u8; 32], TicketRow>,
    letters: BTreeMap<String, LetterRow>,
    replays: BTreeMap<String, (ReplayStatus, RulePair)>,
    bots: BTreeMap<String, BotRow>,
    reactions: BTreeMap<(MessageKey, ReactionsOf), ReactionRow>,
    chat_links: BTreeMap<ChatId, ChatId>,
    knowledge: knowledge::KnowledgeTables,
    models: providers::ProviderTables,
    windows: windows::WindowTables,
}

impl MemoryCatalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty catalog whose leases end by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let mut catalog = Self::default();
        catalog.leases.clock = clock;
        catalog
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change below is complete before it can panic, so a poisoned lock still guards whole tables.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn stage_state(&self, key: &StageKey) -> Result<Option<StageState>> {
        Ok(self.tables().stages.get(key).cloned())
    }

    async fn put_stage_state(
        &self,
        key: &StageKey,
        expected: Option<Offset>,
        state: &StageState,
        fence: &Fence,
    ) -> Result<()> {
        let commit = || {
            let mut tables = self.tables();
            self.leases.check(fence)?;
            if tables.stages.get(key).map(|s| s.next) != expected {
                return Err(Error::Conflict {
                    what: key.state_key(),
                });
            }
            tables.stages.insert(key.clone(), state.clone());
            Ok(())
        };
        self.commits.play(commit).await
    }

    async fn remove_stage_states(&self, stage: &str) -> Result<()> {
        self.tables().stages.retain(|key, _| key.stage != stage);
        Ok(())
    }

    async fn stage_states(&self) -> Result<Vec<(StageKey, StageState)>> {
        let tables = self.tables();
        Ok(tables
            .stages
            .iter()
            .map(|(k, s)| (k.clone(), s.clone()))
            .collect())
    }

    async fn create_import(
        &self,
        id: &str,
        request: &ImportRequest,
        bytes_total: u64,
        at: Timestamp,
    ) -> Result<()> {
        let mut tables = self.tables();
        if tables.imports.contains_key(id) {
            return Err(Error::Conflict {
                what: format!("import/{id}"),
            });
        }
        let status = ImportStatus {
            id: id.to_owned(),
            name: request.name.clone(),
            state: ImportState::Queued,
            created_at: at,
            progress: ImportProgress::default(),
            bytes_total,
            error: None,
        };
        let row = ImportRow {
            request: request.clone(),
            status,
        };
        tables.imports.insert(id.to_owned(), row);
        Ok(())
    }

    async fn update_import(&self, status: &ImportStatus) -> Result<()> {
        let mut tables = self.tables();
        // As an SQL update would: an import that is not there stays absent.
        if let Some(row) = tables.imports.get_mut(&status.id) {
            row.status.state = status.state;
            row.status.progress = status.progress.clone();
            row.status.error.clone_from(&status.error);
        }
        Ok(())
    }

    async fn import(&self, id: &str) -> Result<Option<ImportRow>> {
        Ok(self.tables().imports.get(id).cloned())
    }

    async fn imports(&self, after: Option<&str>, limit: usize) -> Result<Vec<ImportRow>> {
        let tables = self.tables();
        Ok(newest_first(&tables.imports, after)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn unfinished_imports(&self) -> Result<Vec<ImportRow>> {
        let tables = self.tables();
        let rows = tables.imports.values();
        Ok(rows.filter(|row| !row.is_finished()).cloned().collect())
    }

    async fn create_key(&self, key: &KeyRow, secret_hash: &[u8; 32]) -> Result<()> {
        let mut tables = self.tables();
        let taken = tables.keys.contains_key(&key.id)
            || tables.keys.values().any(|(_, hash)| hash == secret_hash);
        if taken {
            return Err(Error::Conflict {
                what: format!("key/{}", key.id),
            });
        }
        let row = (key.clone(), *secret_hash);
        tables.keys.insert(key.id.clone(), row);
        Ok(())
    }

    async fn key_by_hash(&self, secret_hash: &[u8; 32]) -> Result<Option<KeyRow>> {
        let tables = self.tables();
        let found = tables.keys.values().find(|(_, hash)| hash == secret_hash);
        Ok(found.map(|(key, _)| key.clone()))
    }

    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<KeyRow>> {
        let tables = self.tables();
        Ok(newest_first(&tables.keys, after)
            .take(limit)
            .map(|(key, _)| key.clone())
            .collect())
    }

    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<bool> {
        let mut tables = self.tables();
        let Some((key, _)) = tables.keys.get_mut(id) else {
            return Ok(false);
        };
        key.revoked_at.get_or_insert(at);
        Ok(true)
    }

    async fn touch_key(&self, id: &str, at: Timestamp) -> Result<()> {
        if let Some((key, _)) = self.tables().keys.get_mut(id) {
            key.last_used_at = Some(at);
        }
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

/// Rows by descending id, which sorts by time, below `after`.
fn newest_first<'a, T>(
    rows: &'a BTreeMap<String, T>,
    after: Option<&'a str>,
) -> impl Iterator<Item = &'a T> {
    rows.iter()
        .rev()
        .skip_while(move |(id, _)| after.is_some_and(|after| id.as_str() >= after))
        .map(|(_, row)| row)
}

#[cfg(test)]
mod tests {
    use super::MemoryCatalog;

    #[tokio::test]
    async fn keeps_the_contract_of_a_catalog() {
        crate::contract::catalog::run(|| async { MemoryCatalog::new() }).await;
        crate::contract::bots::run(|| async { MemoryCatalog::new() }).await;
        crate::contract::providers::run(|| async { MemoryCatalog::new() }).await;
    }
}
