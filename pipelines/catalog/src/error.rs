//! What a driver's error means to the caller, decided by its kind or code, never by its text.

use sqlx::{
    error::DatabaseError, migrate::MigrateError, postgres::PgDatabaseError, sqlite::SqliteError,
};
use telesift_ports::catalog::Error;

/// Sorts a driver's error into those of the port. `what` names the value a unique index refused.
pub(crate) fn sort(error: sqlx::Error, what: impl FnOnce() -> String) -> Error {
    match error {
        sqlx::Error::Database(e) if e.is_unique_violation() => Error::Conflict { what: what() },
        sqlx::Error::Database(e) if is_damage(&*e) => Error::Damaged(e.to_string()),
        sqlx::Error::Migrate(e) => sort_migration(*e),
        e @ (sqlx::Error::Database(_)
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed) => Error::Unavailable(e.to_string()),
        // What is left is about values: a column that is not there, of another type, not readable.
        e => Error::Damaged(e.to_string()),
    }
}

/// An error of the migrations that run when a catalog is opened.
pub(crate) fn sort_migration(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => sort(e, String::new),
        MigrateError::VersionMissing(version) => Error::Damaged(format!(
            "its schema has migration {version}, which this version of telesift does not know: it was opened by a newer one"
        )),
        MigrateError::VersionMismatch(version) => Error::Damaged(format!(
            "migration {version} was applied in another form than this version of telesift has it"
        )),
        e => Error::Damaged(e.to_string()),
    }
}

/// Whether a database says that it will not do better later.
fn is_damage(error: &dyn DatabaseError) -> bool {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return !is_passing_sqlstate(error.code());
    }
    if let Some(error) = error.try_downcast_ref::<SqliteError>() {
        let code = DatabaseError::code(error).and_then(|code| code.parse().ok());
        return !code.is_some_and(is_passing_sqlite_code);
    }
    false
}

/// Conditions of the server rather than of the data or the statement.
///
/// Source: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
fn is_passing_sqlstate(code: &str) -> bool {
    // A server that turned into a standby refuses writes until the address points to the new primary.
    const READ_ONLY: &str = "25006";
    const CLASSES: [&str; 9] = [
        "08", // connection
        "28", // authorization: somebody has to let us in
        "3D", // no such database, yet
        "40", // serialization failure, deadlock
        "53", // insufficient resources, a full disk too
        "55", // locked
        "57", // cancelled (statement timeout), shutting down, starting up
        "58", // system error
        "F0", // lock file
    ];
    code == READ_ONLY || code.get(..2).is_some_and(|class| CLASSES.contains(&class))
}

/// Conditions of the machine rather than of the file.
///
/// Source: <https://www.sqlite.org/rescode.html>; the low byte of an extended code is the primary one.
fn is_passing_sqlite_code(extended: i32) -> bool {
    const PERM: i32 = 3;
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const INTERRUPT: i32 = 9;
    const IOERR: i32 = 10;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    const PROTOCOL: i32 = 15;
    const IOERR_CORRUPTFS: i32 = IOERR | (33 << 8);
    extended != IOERR_CORRUPTFS
        && matches!(
            extended & 0xff,
            PERM | BUSY
                | LOCKED
                | NOMEM
                | READONLY
                | INTERRUPT
                | IOERR
                | FULL
                | CANTOPEN
                | PROTOCOL
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_or_full_database_is_worth_another_try() {
        // SQLITE_BUSY, _BUSY_SNAPSHOT, _LOCKED, _FULL, _IOERR_WRITE
        for code in [5, 517, 6, 13, 778] {
            assert!(is_passing_sqlite_code(code), "{code}");
        }
        // SQLITE_ERROR, _CORRUPT, _NOTADB, _IOERR_CORRUPTFS, _MISMATCH
        for code in [1, 11, 26, 8458, 20] {
            assert!(!is_passing_sqlite_code(code), "{code}");
        }
        for code in [
            "08006", "53100", "53300", "57P01", "57P03", "57014", "40001", "40P01", "25006",
        ] {
            assert!(is_passing_sqlstate(code), "{code}");
        }
        for code in ["42P01", "42703", "22021", "XX001", "23502", ""] {
            assert!(!is_passing_sqlstate(code), "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_worth_another_try() {
        let reset = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        for e in [reset, sqlx::Error::PoolTimedOut, sqlx::Error::WorkerCrashed] {
            assert!(sort(e, String::new).is_retryable());
        }
        assert!(!sort(sqlx::Error::ColumnNotFound("x".into()), String::new).is_retryable());
    }
}
