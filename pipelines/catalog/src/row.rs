//! Values on their way into a query and out of a row, the same for both databases.

use sqlx::{
    Database, Decode, Encode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, query::Query,
    sqlite::SqliteRow,
};
use telesift_ports::catalog::Error;
use telesift_schemas::Timestamp;

use crate::error::sort;

/// A value for a placeholder.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Arg {
    fn from(n: i64) -> Self {
        Arg::Int(Some(n))
    }
}

impl From<Timestamp> for Arg {
    fn from(at: Timestamp) -> Self {
        at.as_microsecond().into()
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(at: Option<Timestamp>) -> Self {
        Arg::Int(at.map(Timestamp::as_microsecond))
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        // Postgres has no NUL in a text, and what people send may have one: both databases store the same without.
        Arg::Text(Some(text.replace('\0', "\u{fffd}")))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Arg::Text(None), Arg::from)
    }
}

impl From<Vec<u8>> for Arg {
    fn from(bytes: Vec<u8>) -> Self {
        Arg::Bytes(Some(bytes))
    }
}

impl From<Option<Vec<u8>>> for Arg {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Arg::Bytes(bytes)
    }
}

/// The query `sql` with `args` for `$1`, `$2`, …
pub(crate) fn bound<'q, DB>(sql: &'static str, args: Vec<Arg>) -> Query<'q, DB, DB::Arguments>
where
    DB: Database,
    Option<i64>: for<'t> Encode<'t, DB> + Type<DB>,
    Option<String>: for<'t> Encode<'t, DB> + Type<DB>,
    Option<Vec<u8>>: for<'t> Encode<'t, DB> + Type<DB>,
{
    args.into_iter()
        .fold(sqlx::query(sql), |query, arg| match arg {
            Arg::Int(n) => query.bind(n),
            Arg::Text(text) => query.bind(text),
            Arg::Bytes(bytes) => query.bind(bytes),
        })
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of the column at `index`.
    pub(crate) fn get<T>(&self, index: usize) -> Result<T, Error>
    where
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
    {
        let value = match self {
            Row::Sqlite(row) => row.try_get(index),
            Row::Postgres(row) => row.try_get(index),
        };
        value.map_err(|e| sort(e, String::new))
    }
}
