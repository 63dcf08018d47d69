//! Maps what the disk says to the errors of the port.

use std::{fmt::Display, io, path::Path};

use telesift_ports::record_log::Error;

/// The log cannot be used; nothing was written.
pub(crate) fn unavailable(reason: impl Display) -> Error {
    Error::Unavailable {
        reason: reason.to_string(),
        ambiguous: false,
    }
}

/// The log failed while writing; what was being written may be on disk.
pub(crate) fn ambiguous(reason: impl Display) -> Error {
    Error::Unavailable {
        reason: reason.to_string(),
        ambiguous: true,
    }
}

pub(crate) fn from_io(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_space(path),
        _ => unavailable(format_args!("{}: {error}", path.display())),
    }
}

/// An error of the storage engine outside of a commit.
pub(crate) fn from_fjall(path: &Path, error: &fjall::Error) -> Error {
    match error {
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => from_io(path, e),
        fjall::Error::Locked => locked(path),
        fjall::Error::Storage(damage) => unavailable(format_args!(
            "{}: its files are damaged: restore a backup ({damage:?})",
            path.display()
        )),
        other => unavailable(format_args!("{}: {other}", path.display())),
    }
}

pub(crate) fn locked(path: &Path) -> Error {
    Error::Locked {
        path: path.display().to_string(),
    }
}

pub(crate) fn no_space(path: &Path) -> Error {
    Error::NoSpace {
        path: path.display().to_string(),
    }
}
