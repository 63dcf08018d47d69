//! The two databases behind one pair of calls: `read` and `write`, each within a time limit.

use std::{fs::OpenOptions, io, path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Database as Driver, PgConnection, Pool, Postgres, Sqlite,
    migrate::Migrator,
    pool::{PoolConnection, PoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use telesift_ports::catalog::{Error, Result};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    config::{CatalogConfig, Location, PostgresUrl},
    error::{sort, sort_migration},
    places::without_names,
    row::{Arg, Row, bound},
};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Pages a connection to SQLite keeps in memory: negative, so in KiB. With its own 2 MiB the inner pages of a million rows are read
/// from the file again and again.
const SQLITE_CACHE: &str = "-8192";

/// An open database with its schema up to date.
pub(crate) struct Database {
    pools: Pools,
    call_timeout: Duration,
}

enum Pools {
    /// SQLite has one writer at a time anyway: with a connection of its own, writers queue fairly here instead of
    /// polling a lock there.
    Sqlite {
        writer: Pool<Sqlite>,
        readers: Pool<Sqlite>,
    },
    Postgres(Pool<Postgres>),
}

/// Runs `$call` on a connection of `$pool` within the time limit. A connection whose call ran out of time is closed:
/// what state it is in is anybody's guess.
macro_rules! on_connection {
    ($self:ident, $pool:expr, $connection:ident => $call:expr, $what:ident) => {{
        let deadline = Instant::now() + $self.call_timeout;
        let mut $connection = $self.acquire($pool, deadline).await?;
        let outcome = timeout_at(deadline, $call).await;
        match outcome {
            Ok(outcome) => outcome.map_err(|e| sort(e, $what)),
            Err(_) => {
                drop($connection.detach());
                Err($self.timed_out())
            }
        }
    }};
}

/// Runs `$change` on a connection of `$pool` within the time limit. Only one whose transaction has ended as it should is used again.
macro_rules! in_transaction {
    ($self:ident, $pool:expr, $change:ident, $statements:expr) => {{
        let deadline = Instant::now() + $self.call_timeout;
        let mut held = Held::of($self.acquire($pool, deadline).await?);
        let outcome = timeout_at(deadline, $change(held.connection()?, $statements)).await;
        let changed = outcome.map_err(|_| $self.timed_out())?;
        let changed = changed.map_err(|e| sort(e, String::new))?;
        held.give_back();
        Ok(changed)
    }};
}

impl Database {
    pub(crate) async fn open(config: &CatalogConfig) -> Result<Self> {
        let open = async {
            match &config.location {
                Location::File(path) => open_file(path, config).await,
                Location::Postgres(url) => open_postgres(url, config).await,
            }
        };
        let opened = timeout(config.open_timeout, open)
            .await
            .unwrap_or_else(|_| Err(no_answer(config.open_timeout)));
        let pools = opened.map_err(|e| at(&config.location, e))?;
        Ok(Database {
            pools,
            call_timeout: config.call_timeout,
        })
    }

    /// The same database over `n_connections` of its own at most, opened when they are needed: for what must not wait until others
    /// have done their work. An SQLite file has one writer anyway.
    pub(crate) fn apart(&self, n_connections: u32) -> Self {
        let pools = match &self.pools {
            Pools::Sqlite { writer, readers } => Pools::Sqlite {
                writer: writer.clone(),
                readers: readers.clone(),
            },
            Pools::Postgres(pool) => {
                let options = PoolOptions::new()
                    .max_connections(n_connections)
                    .acquire_timeout(self.call_timeout);
                Pools::Postgres(options.connect_lazy_with((*pool.connect_options()).clone()))
            }
        };
        Database {
            pools,
            call_timeout: self.call_timeout,
        }
    }

    /// The rows `sql` selects.
    pub(crate) async fn read(&self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Row>> {
        let what = String::new;
        match &self.pools {
            Pools::Sqlite { readers, .. } => {
                let rows = on_connection!(self, readers, c => bound::<Sqlite>(without_names(sql, args.len()), args).fetch_all(&mut *c), what)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Pools::Postgres(pool) => {
                let rows = on_connection!(self, pool, c => bound::<Postgres>(sql, args).fetch_all(&mut *c), what)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Runs `sql` as a transaction of its own, durable on return; gives the number of rows it changed. `what` names the
    /// value should a unique index refuse it.
    pub(crate) async fn write(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
        what: impl FnOnce() -> String,
    ) -> Result<u64> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let done = on_connection!(self, writer, c => bound::<Sqlite>(without_names(sql, args.len()), args).execute(&mut *c), what)?;
                Ok(done.rows_affected())
            }
            Pools::Postgres(pool) => {
                let done = on_connection!(self, pool, c => bound::<Postgres>(sql, args).execute(&mut *c), what)?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs `statements` as one transaction, durable on return. If one that must change a row changes none, nothing is
    /// written, and its index is returned.
    pub(crate) async fn change(&self, statements: Vec<Statement>) -> Result<Option<usize>> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                in_transaction!(self, writer, change_sqlite, statements)
            }
            Pools::Postgres(pool) => in_transaction!(self, pool, change_postgres, statements),
        }
    }

    /// Closes every connection, after the calls on them.
    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    async fn acquire<DB: Driver>(
        &self,
        pool: &Pool<DB>,
        deadline: Instant,
    ) -> Result<PoolConnection<DB>> {
        match timeout_at(deadline, pool.acquire()).await {
            Ok(connection) => connection.map_err(|e| sort(e, String::new)),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> Error {
        no_answer(self.call_timeout)
    }
}

/// A connection in the middle of a transaction, closed should the caller give up there, or the transaction fail: it might go back to
/// the others within a transaction that nobody ends, where what they write is never committed, and what they lock is locked for
/// everybody else.
///
/// The drivers lose count in two places. A transaction is taken for begun once there is an answer to `BEGIN`, so that one that was
/// given up in between goes on. And SQLite ends a transaction by itself where it finds no room or cannot write, so that the
/// driver's `ROLLBACK` fails: it takes the connection for one within a transaction ever after.
struct Held<DB: Driver>(Option<PoolConnection<DB>>);

impl<DB: Driver> Held<DB> {
    fn of(connection: PoolConnection<DB>) -> Self {
        Held(Some(connection))
    }

    fn connection(&mut self) -> Result<&mut PoolConnection<DB>> {
        let gone = || Error::Unavailable("the connection is gone".to_owned());
        self.0.as_mut().ok_or_else(gone)
    }

    /// The transaction has ended, by what was asked.
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl<DB: Driver> Drop for Held<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// One step of a transaction.
pub(crate) struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) args: Vec<Arg>,
    /// Whether the transaction is pointless unless this changes a row.
    pub(crate) must_change: bool,
}

/// A transaction of the one or the other driver, whose types differ in everything but the words.
macro_rules! changing {
    ($name:ident, $driver:ty, $begin:expr, $spelt:expr) => {
        async fn $name(
            connection: &mut PoolConnection<$driver>,
            statements: Vec<Statement>,
        ) -> std::result::Result<Option<usize>, sqlx::Error> {
            let mut transaction = connection.begin_with($begin).await?;
            for (i, statement) in statements.into_iter().enumerate() {
                let sql = $spelt(statement.sql, statement.args.len());
                let query = bound::<$driver>(sql, statement.args);
                let done = query.execute(&mut *transaction).await?;
                if statement.must_change && done.rows_affected() == 0 {
                    transaction.rollback().await?;
                    return Ok(Some(i));
                }
            }
            transaction.commit().await?;
            Ok(None)
        }
    };
}

// A reader that turns writer may be refused at once: take the lock first.
changing!(change_sqlite, Sqlite, "BEGIN IMMEDIATE", without_names);
changing!(change_postgres, Postgres, "BEGIN", as_it_is);

/// Postgres binds by number.
fn as_it_is(sql: &'static str, _: usize) -> &'static str {
    sql
}

fn no_answer(limit: Duration) -> Error {
    Error::Unavailable(format!("no answer within {limit:?}"))
}

/// Says in which database.
fn at(place: &Location, error: Error) -> Error {
    match error {
        Error::Unavailable(cause) => Error::Unavailable(format!("{place}: {cause}")),
        Error::Damaged(cause) => Error::Damaged(format!("{place}: {cause}")),
        conflict => conflict,
    }
}

async fn open_file(path: &Path, config: &CatalogConfig) -> Result<Pools> {
    create_private(path).map_err(|e| Error::Unavailable(format!("cannot create the file: {e}")))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        // Below the call's own limit, so that a lock held elsewhere is reported as such.
        .busy_timeout(config.call_timeout.mul_f32(0.8))
        .foreign_keys(true)
        .pragma("cache_size", SQLITE_CACHE)
        .disable_statement_logging();
    let writer_options = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let writer = sqlite_pool(1, config)
        .connect_with(writer_options)
        .await
        .map_err(|e| sort(e, String::new))?;
    SQLITE_MIGRATIONS
        .run(&writer)
        .await
        .map_err(sort_migration)?;
    let readers = sqlite_pool(config.max_connections, config)
        .connect_with(options.read_only(true))
        .await
        .map_err(|e| sort(e, String::new))?;
    Ok(Pools::Sqlite { writer, readers })
}

/// Connections to a file do not age.
fn sqlite_pool(max_connections: u32, config: &CatalogConfig) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(max_connections.max(1))
        .acquire_timeout(config.call_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// SQLite would create the file with whatever the umask leaves; its journal gets the mode of the file.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

async fn open_postgres(url: &PostgresUrl, config: &CatalogConfig) -> Result<Pools> {
    // A migration may rightly take longer than a call, so it has a connection without the statement timeout.
    let mut connection = PgConnection::connect_with(&url.options(None))
        .await
        .map_err(|e| sort(e, String::new))?;
    POSTGRES_MIGRATIONS
        .run(&mut connection)
        .await
        .map_err(sort_migration)?;
    connection.close().await.map_err(|e| sort(e, String::new))?;
    let pool = PoolOptions::new()
        .max_connections(config.max_connections.max(1))
        .acquire_timeout(config.call_timeout)
        .connect_with(url.options(Some(config.call_timeout)))
        .await
        .map_err(|e| sort(e, String::new))?;
    Ok(Pools::Postgres(pool))
}

#[cfg(test)]
mod tests;
