//! What the cluster and the sockets to it say, as errors of the port; by kind and code, never by text.

use std::fmt::Display;

use fluvio::dataplane::link::ErrorCode;
use telesift_ports::record_log::Error;
use telesift_schemas::{Offset, TopicPartition};

/// Nothing was written.
pub(crate) fn unavailable(reason: impl Display) -> Error {
    Error::Unavailable {
        reason: reason.to_string(),
        ambiguous: false,
    }
}

/// What was being written may be in the log.
pub(crate) fn ambiguous(reason: impl Display) -> Error {
    Error::Unavailable {
        reason: reason.to_string(),
        ambiguous: true,
    }
}

/// Why a request to an SPU failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection, or it broke, or no answer in time.
    #[error("{0}")]
    Broken(String),
    /// The SPU answered with a code.
    #[error("{0}")]
    Code(ErrorCode),
    /// Another try is pointless.
    #[error(transparent)]
    Final(Error),
}

impl Failure {
    pub(crate) fn broken(reason: impl Display) -> Self {
        Failure::Broken(reason.to_string())
    }

    /// Whether the leader of the partition is elsewhere, or nowhere yet.
    pub(crate) fn is_about_leader(&self) -> bool {
        matches!(
            self,
            Failure::Broken(_)
                | Failure::Code(
                    ErrorCode::NotLeaderForPartition
                        | ErrorCode::PartitionNotLeader
                        | ErrorCode::PartitionPendingInitialization
                        | ErrorCode::SpuOffline
                        | ErrorCode::SpuNotFound
                        | ErrorCode::TopicNotFound
                )
        )
    }

    /// The error of a read of `at` from `from` that is not worth another try, if it is one.
    pub(crate) fn of_read(self, at: &TopicPartition, from: Offset) -> Result<Error, Failure> {
        match self {
            Failure::Code(ErrorCode::OffsetEvicted { next_available, .. }) => Ok(Error::Evicted {
                at: at.clone(),
                from,
                first: offset(next_available),
            }),
            Failure::Final(error) => Ok(error),
            passing => Err(passing),
        }
    }
}

/// An offset as the cluster gives it; -1 stands for none there.
pub(crate) fn offset(n: i64) -> Offset {
    Offset(u64::try_from(n).unwrap_or_default())
}
