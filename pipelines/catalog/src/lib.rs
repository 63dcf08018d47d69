//! Catalog on SQLite and Postgres through one text per query.
//!
//! On one machine it is an SQLite file (WAL, synced before a write returns), on many a Postgres database; only the
//! migrations differ. A write that ends in [`Error::Unavailable`](telesift_ports::catalog::Error) may have happened or
//! not: its answer was lost. Read the state back before going on.

mod audit;
mod bots;
mod bundle;
mod chat_settings;
mod config;
mod costs;
mod database;
mod error;
mod knowledge;
mod labels;
mod leases;
mod letters;
mod of_messages;
mod places;
mod providers;
mod queries;
mod reactions;
mod records;
mod replays;
mod row;
mod rules;
mod secrets;
mod state;
mod stories;
mod stream_tickets;
mod windows;

use async_trait::async_trait;
use telesift_ports::{
    Catalog,
    catalog::{ImportRow, KeyRow, Result},
    imports::{ImportProgress, ImportRequest, ImportState, ImportStatus},
    leases::Fence,
    ledger::{StageKey, StageState},
};
use telesift_schemas::{Offset, Timestamp};

pub use config::{CatalogConfig, Location, LocationError, PostgresUrl};
pub use secrets::{KeySource, SecretKey, SecretKeyError};

use database::{Database, Statement};
use records::{to_bytes, to_int, to_json};
use row::Arg;
use secrets::Sealer;

/// Connections for leases alone: one that waits for a row must not keep the others from being prolonged.
const LEASE_CONNECTIONS: u32 = 2;

/// A [`Catalog`] in an SQL database. Every call ends within the configured time.
pub struct SqlCatalog {
    database: Database,
    /// Who holds what: prolonged in time whatever else there is to do.
    leases: Database,
    sealer: Sealer,
}

impl SqlCatalog {
    /// Opens the catalog, creating it or bringing its schema up to date first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be reached or created; [`Error::Damaged`] if what is there is no catalog, is
    /// corrupt, or was written by a newer version.
    pub async fn open(config: CatalogConfig) -> Result<Self> {
        let database = Database::open(&config).await?;
        let catalog = SqlCatalog {
            leases: database.apart(LEASE_CONNECTIONS),
            database,
            sealer: Sealer::new(config.secret_key),
        };
        catalog.ping().await?;
        Ok(catalog)
    }

    /// Closes it once the calls under way are done; later ones are refused. An SQLite file then needs no recovery.
    pub async fn close(&self) {
        self.leases.close().await;
        self.database.close().await;
    }
}

#[async_trait]
impl Catalog for SqlCatalog {
    async fn stage_state(&self, key: &StageKey) -> Result<Option<StageState>> {
        let rows = self
            .database
            .read(queries::STAGE_STATE, stage_args(key))
            .await?;
        rows.first().map(records::stage_state).transpose()
    }

    async fn put_stage_state(
        &self,
        key: &StageKey,
        expected: Option<Offset>,
        state: &StageState,
        fence: &Fence,
    ) -> Result<()> {
        let conflict = || key.state_key();
        let Statement { sql, args, .. } = move_stage(key, expected, state, fence)?;
        match self.database.write(sql, args, conflict).await? {
            0 => Err(leases::refusal(self, fence, conflict()).await),
            _ => Ok(()),
        }
    }

    async fn remove_stage_states(&self, stage: &str) -> Result<()> {
        let args = vec![stage.into()];
        self.database
            .write(queries::REMOVE_STAGE_STATES, args, String::new)
            .await?;
        Ok(())
    }

    async fn stage_states(&self) -> Result<Vec<(StageKey, StageState)>> {
        let rows = self
            .database
            .read(queries::STAGE_STATES, Vec::new())
            .await?;
        rows.iter()
            .map(|row| Ok((records::stage_key(row)?, records::stage_state(row)?)))
            .collect()
    }

    async fn create_import(
        &self,
        id: &str,
        request: &ImportRequest,
        bytes_total: u64,
        at: Timestamp,
    ) -> Result<()> {
        let args = vec![
            id.into(),
            request.name.as_str().into(),
            to_json(&request.chats)?,
            request.tz.as_str().into(),
            to_bytes(&request.file).into(),
            to_int(bytes_total)?,
            at.into(),
            ImportState::Queued.as_str().into(),
            to_json(&ImportProgress::default())?,
        ];
        self.database
            .write(queries::INSERT_IMPORT, args, || format!("import/{id}"))
            .await?;
        Ok(())
    }

    async fn update_import(&self, status: &ImportStatus) -> Result<()> {
        let args = vec![
            status.id.as_str().into(),
            status.state.as_str().into(),
            to_json(&status.progress)?,
            status.error.as_deref().into(),
        ];
        self.database
            .write(queries::UPDATE_IMPORT, args, || {
                format!("import/{}", status.id)
            })
            .await?;
        Ok(())
    }

    async fn import(&self, id: &str) -> Result<Option<ImportRow>> {
        let rows = self.database.read(queries::IMPORT, vec![id.into()]).await?;
        rows.first().map(records::import).transpose()
    }

    async fn imports(&self, after: Option<&str>, limit: usize) -> Result<Vec<ImportRow>> {
        let rows = self
            .database
            .read(queries::IMPORTS, page(after, limit))
            .await?;
        rows.iter().map(records::import).collect()
    }

    async fn unfinished_imports(&self) -> Result<Vec<ImportRow>> {
        let rows = self
            .database
            .read(queries::UNFINISHED_IMPORTS, Vec::new())
            .await?;
        rows.iter().map(records::import).collect()
    }

    async fn create_key(&self, key: &KeyRow, secret_hash: &[u8; 32]) -> Result<()> {
        let args = vec![
            key.id.as_str().into(),
            key.name.as_str().into(),
            secret_hash.to_vec().into(),
            to_json(&key.scopes)?,
            key.chats.as_ref().map_or(Ok(Arg::Text(None)), to_json)?,
            key.created_at.into(),
            key.expires_at.into(),
            key.revoked_at.into(),
            key.last_used_at.into(),
        ];
        self.database
            .write(queries::INSERT_KEY, args, || format!("key/{}", key.id))
            .await?;
        Ok(())
    }

    async fn key_by_hash(&self, secret_hash: &[u8; 32]) -> Result<Option<KeyRow>> {
        let args = vec![secret_hash.to_vec().into()];
        let rows = self.database.read(queries::KEY_BY_HASH, args).await?;
        rows.first().map(records::key).transpose()
    }

    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<KeyRow>> {
        let rows = self
            .database
            .read(queries::KEYS, page(after, limit))
            .await?;
        rows.iter().map(records::key).collect()
    }

    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<bool> {
        let args = vec![id.into(), at.into()];
        let n_changed = self
            .database
            .write(queries::REVOKE_KEY, args, String::new)
            .await?;
        Ok(n_changed > 0)
    }

    async fn touch_key(&self, id: &str, at: Timestamp) -> Result<()> {
        let args = vec![id.into(), to_the_minute(at).into()];
        self.database
            .write(queries::TOUCH_KEY, args, String::new)
            .await?;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.database.read(queries::PING, Vec::new()).await?;
        Ok(())
    }
}

fn stage_args(key: &StageKey) -> Vec<Arg> {
    vec![
        key.stage.as_str().into(),
        key.input.topic.as_str().into(),
        i64::from(key.input.partition.0).into(),
    ]
}

/// The statement that moves a stage on from where it is expected, under its lease.
fn move_stage(
    key: &StageKey,
    expected: Option<Offset>,
    state: &StageState,
    fence: &Fence,
) -> Result<Statement> {
    let mut args = stage_args(key);
    args.extend([
        to_int(state.next.0)?,
        to_json(&state.counters)?,
        state.last_retry.as_deref().into(),
    ]);
    args.extend(leases::fence_args(fence)?);
    let sql = match expected {
        None => queries::INSERT_STAGE_STATE,
        Some(offset) => {
            args.push(to_int(offset.0)?);
            queries::UPDATE_STAGE_STATE
        }
    };
    Ok(Statement {
        sql,
        args,
        must_change: true,
    })
}

fn page(after: Option<&str>, limit: usize) -> Vec<Arg> {
    vec![
        after.into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ]
}

/// The unix microseconds of the minute `at` lies in.
fn to_the_minute(at: Timestamp) -> i64 {
    const MINUTE: i64 = 60_000_000;
    let microseconds = at.as_microsecond();
    microseconds - microseconds.rem_euclid(MINUTE)
}
