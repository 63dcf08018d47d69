//! What an operator may choose about the embedded log, with defaults that fit one small machine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use telesift_ports::{Clock, SystemClock};

/// Options of an [`EmbeddedLog`](crate::EmbeddedLog). `EmbeddedLogConfig::new(path)` fills in the defaults.
#[derive(Clone)]
pub struct EmbeddedLogConfig {
    /// The directory of the log. Created if absent; one process at a time.
    pub path: PathBuf,
    /// Decompressed blocks kept in memory, in bytes. 64 MiB: readers of a log read forwards, and the page cache of the
    /// system holds the rest.
    pub block_cache_bytes: u64,
    /// Records of one partition collected in memory before they become a table, in bytes, 1 to 64 MiB. 8 MiB: eight busy
    /// partitions hold 64 MiB, at worst five times that while a slow disk catches up.
    pub write_buffer_bytes: u64,
    /// Journals on disk before slow partitions are made to give theirs back, in bytes, at least 64 MiB. 128 MiB: they are
    /// read when the log opens, at several hundred MiB a second.
    pub max_journal_bytes: u64,
    /// The largest record taken, in bytes of key and value. 16 MiB.
    pub max_record_bytes: usize,
    /// The largest transaction taken, in bytes of keys and values. 64 MiB.
    pub max_transaction_bytes: usize,
    /// Records that share one sync, at most (a larger transaction goes alone). 8,192.
    pub max_group_records: usize,
    /// Bytes that share one sync, at most (a larger transaction goes alone). 8 MiB.
    pub max_group_bytes: usize,
    /// Transactions waiting for the writer, at most; further callers wait. 1,024.
    pub queue_transactions: usize,
    /// Bytes waiting for the writer, at most; further callers wait. 64 MiB, never less than one transaction.
    pub queue_bytes: usize,
    /// Free space below which appends are refused with `NoSpace`, in bytes. 256 MiB: the tables that make room for new
    /// journals have to be written somewhere.
    pub min_free_bytes: u64,
    /// How long a caller waits for its answer. 30 s; after that the append may still happen.
    pub commit_timeout: Duration,
    /// How often retention runs by itself. 60 s.
    pub retention_interval: Duration,
    /// Says when a record was appended.
    pub clock: Arc<dyn Clock>,
}

impl EmbeddedLogConfig {
    /// The defaults, for a log at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        const MIB: u64 = 1 << 20;
        EmbeddedLogConfig {
            path: path.into(),
            block_cache_bytes: 64 * MIB,
            write_buffer_bytes: 8 * MIB,
            max_journal_bytes: 128 * MIB,
            max_record_bytes: 16 << 20,
            max_transaction_bytes: 64 << 20,
            max_group_records: 8_192,
            max_group_bytes: 8 << 20,
            queue_transactions: 1_024,
            queue_bytes: 64 << 20,
            min_free_bytes: 256 * MIB,
            commit_timeout: Duration::from_secs(30),
            retention_interval: Duration::from_secs(60),
            clock: Arc::new(SystemClock),
        }
    }
}
