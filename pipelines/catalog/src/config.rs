//! Where the catalog lies and how long it may take to answer.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::secrets::KeySource;

/// How to open a catalog.
#[derive(Clone, Debug)]
pub struct CatalogConfig {
    /// Where it lies.
    pub location: Location,
    /// How long one call may take, waiting for a connection and a lock included.
    pub call_timeout: Duration,
    /// How long opening may take, migrations included.
    pub open_timeout: Duration,
    /// Connections at most: to Postgres in all, to an SQLite file for reading (writing has one more).
    pub max_connections: u32,
    /// Where the key is that seals secrets.
    pub secret_key: KeySource,
}

impl CatalogConfig {
    /// The catalog at `location`, with a 15 s timeout per call (a sync takes seconds on a disk that is flushing
    /// gigabytes), 60 s to open, 4 connections, and no key for secrets.
    pub fn new(location: Location) -> Self {
        CatalogConfig {
            location,
            call_timeout: Duration::from_secs(15),
            open_timeout: Duration::from_secs(60),
            max_connections: 4,
            secret_key: KeySource::Nowhere,
        }
    }
}

/// An SQLite file, or a Postgres server. Parsed from `postgres://user@host:port/database` (`postgresql://` too), from
/// `sqlite:PATH`, or from a path.
#[derive(Clone, Debug)]
pub enum Location {
    /// An SQLite database file, created (mode 0600) if it is not there; its folder must be.
    File(PathBuf),
    /// A Postgres server.
    Postgres(PostgresUrl),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Postgres(url) => url.fmt(f),
        }
    }
}

/// How long a transaction may wait for its client before the server ends it: a row such a transaction holds keeps others from
/// taking over the lease.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(4);

/// The address of a Postgres database, its password included: not shown by `Debug`.
#[derive(Clone)]
pub struct PostgresUrl(Box<PgConnectOptions>);

impl PostgresUrl {
    /// Options of a connection whose statements the server gives up after `statement_timeout` (`None`: never). A worker
    /// that is frozen in the middle of a transaction loses it after [`IDLE_IN_TRANSACTION`], and its locks with it.
    pub(crate) fn options(&self, statement_timeout: Option<Duration>) -> PgConnectOptions {
        let options = self
            .0
            .as_ref()
            .clone()
            .application_name("telesift")
            .disable_statement_logging();
        match statement_timeout {
            Some(limit) => options.options([
                ("statement_timeout", limit.as_millis().max(1)),
                (
                    "idle_in_transaction_session_timeout",
                    IDLE_IN_TRANSACTION.as_millis(),
                ),
            ]),
            None => options,
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PostgresUrl(options) = self;
        let database = options.get_database().unwrap_or(options.get_username());
        write!(
            f,
            "postgres://{}@{}:{}/{database}",
            options.get_username(),
            options.get_host(),
            options.get_port()
        )
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no place for a catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// A URL of Postgres that cannot be read. What stood there is not repeated: it may hold a password.
    #[error(
        "the catalog's URL cannot be read; expected `postgres://user:password@host:port/database`"
    )]
    Postgres,
    /// A URL of another kind.
    #[error("a catalog cannot be opened by `{0}:`; use a `postgres://` URL or the path of a file")]
    UnknownScheme(String),
    /// Nothing there.
    #[error("the catalog's location is empty")]
    Empty,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if let Some(path) = text
            .strip_prefix("sqlite://")
            .or_else(|| text.strip_prefix("sqlite:"))
        {
            return file(path);
        }
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => match text.parse() {
                Ok(options) => Ok(Location::Postgres(PostgresUrl(Box::new(options)))),
                Err(_) => Err(LocationError::Postgres),
            },
            Some((scheme, _)) => Err(LocationError::UnknownScheme(scheme.to_owned())),
            None => file(text),
        }
    }
}

fn file(path: &str) -> Result<Location, LocationError> {
    if path.is_empty() {
        return Err(LocationError::Empty);
    }
    Ok(Location::File(PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_a_postgres_url() {
        for path in [
            "data/catalog.db",
            "sqlite:data/catalog.db",
            "sqlite://data/catalog.db",
        ] {
            let Ok(Location::File(file)) = path.parse() else {
                panic!("{path}")
            };
            assert_eq!(file, PathBuf::from("data/catalog.db"));
        }
        assert!(matches!(
            "postgresql://h/d".parse(),
            Ok(Location::Postgres(_))
        ));
        assert_eq!(
            "mysql://h/d".parse::<Location>().unwrap_err().to_string(),
            "a catalog cannot be opened by `mysql:`; use a `postgres://` URL or the path of a file"
        );
        assert_eq!("".parse::<Location>().unwrap_err(), LocationError::Empty);
    }

    #[test]
    fn a_password_is_never_shown() {
        let location: Location = "postgres://telesift:hunter2@db.example:5433/catalog"
            .parse()
            .unwrap();
        let shown = format!("{location:?} {:?}", CatalogConfig::new(location.clone()));
        assert!(
            shown.contains("postgres://telesift@db.example:5433/catalog"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        let broken = "postgres://telesift:hunter2@db.example:notaport/catalog";
        let refused = broken.parse::<Location>().unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }
}
