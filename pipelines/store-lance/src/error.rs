//! What LanceDB reports, sorted by what a caller can do about it. Texts of messages never get into an error.

use lancedb::Error as LanceDbError;
use telesift_ports::message_store::Error;

/// A failed call to LanceDB.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The lease of that name is lost: another writes by now.
    LeaseLost(String),
    /// Storage failed or a commit race was lost; the same call may succeed later.
    Unavailable(String),
    /// The call itself was refused, and would be again.
    Refused(String),
    /// What is stored cannot be read.
    Damaged(String),
}

pub(crate) type Attempt<T> = Result<T, Fault>;

impl From<LanceDbError> for Fault {
    fn from(error: LanceDbError) -> Self {
        match error {
            LanceDbError::Lance { source } => source.into(),
            LanceDbError::ObjectStore { source } => Fault::Unavailable(source.to_string()),
            LanceDbError::CreateDir { path, source } => {
                Fault::Unavailable(format!("cannot create `{path}`: {source}"))
            }
            LanceDbError::Timeout { .. } => Fault::Unavailable("storage timed out".to_owned()),
            LanceDbError::TableCorrupted { name, .. } => {
                Fault::Damaged(format!("table `{name}` cannot be loaded"))
            }
            LanceDbError::TableNotFound { name, .. } => {
                Fault::Unavailable(format!("table `{name}` not found"))
            }
            LanceDbError::InvalidInput { .. } => Fault::Refused("invalid input".to_owned()),
            LanceDbError::Schema { .. } => Fault::Refused("the schema does not fit".to_owned()),
            LanceDbError::Arrow { .. } => Fault::Refused("arrow refuses the rows".to_owned()),
            other => Fault::Refused(variant(&other)),
        }
    }
}

impl From<lance::Error> for Fault {
    fn from(error: lance::Error) -> Self {
        use lance::Error as E;
        match error {
            E::CommitConflict { .. }
            | E::RetryableCommitConflict { .. }
            | E::TooMuchWriteContention { .. }
            | E::IncompatibleTransaction { .. } => Fault::Unavailable(
                "another writer committed first; the same write is tried again on top of that"
                    .to_owned(),
            ),
            E::IO { source, .. } => Fault::Unavailable(source.to_string()),
            E::NotFound { uri, .. } => Fault::Unavailable(format!("`{uri}` not found")),
            E::DatasetNotFound { path, .. } => Fault::Unavailable(format!("`{path}` not found")),
            E::Timeout { .. } => Fault::Unavailable("storage timed out".to_owned()),
            E::DiskCapExceeded { .. } => Fault::Unavailable("the disk is full".to_owned()),
            E::CorruptFile { path, .. } => Fault::Damaged(format!("`{path}` is corrupt")),
            E::VersionConflict { .. } => {
                Fault::Damaged("the table was written by a newer LanceDB".to_owned())
            }
            other => Fault::Refused(variant(&other)),
        }
    }
}

/// The name of an error's variant: all that is safe to show, since the rest may quote what was stored or asked.
fn variant(error: &impl std::fmt::Debug) -> String {
    let debug = format!("{error:?}");
    let name = debug
        .split(|c: char| !c.is_alphanumeric())
        .find(|part| !part.is_empty());
    format!("LanceDB error of kind {}", name.unwrap_or("unknown"))
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::LeaseLost(name) => Error::LeaseLost { name },
            Fault::Unavailable(what) => Error::Unavailable(what),
            // Nothing was wrong with what the user asked: filters and queries are built here.
            Fault::Refused(what) | Fault::Damaged(what) => Error::Damaged(what),
        }
    }
}
