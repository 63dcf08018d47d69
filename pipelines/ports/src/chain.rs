//! A chain of SmartModules, run over records with true offsets.

use bytes::Bytes;
use telesift_schemas::{DeadLetterCode, Offset};

/// Runs records through SmartModules, one outcome per record whatever happens to its neighbours.
///
/// A chain is a pure function of each record. It is CPU-bound and not `Sync`: one owner, called from a blocking thread.
/// Nothing can interrupt a module that never returns; the owner needs a watchdog.
pub trait SmartModuleChain: Send {
    /// One outcome per input, in order. A bad record does not touch its neighbours.
    ///
    /// # Errors
    /// Only when the chain itself is broken (a module cannot be built); the inputs are not to blame.
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError>;
}

/// A record on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInput {
    /// Its true offset.
    pub offset: Offset,
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// What the chain made of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainOutcome {
    /// It came out with this value; the key is kept.
    Value(Bytes),
    /// A filter took it out.
    Filtered,
    /// A module failed on it.
    Failed {
        /// Which module.
        module: String,
        /// [`DeadLetterCode::GuestError`] or [`DeadLetterCode::GuestTrap`].
        code: DeadLetterCode,
        /// The module's words, without message text.
        message: String,
    },
}

/// The chain cannot run at all.
#[derive(Debug, thiserror::Error)]
#[error("SmartModule chain: {0}")]
pub struct ChainError(pub String);
