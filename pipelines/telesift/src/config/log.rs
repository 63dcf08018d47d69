//! The section `[log]`: which log, how it is cut, and how long it keeps what it holds.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Result, ensure};
use serde::Deserialize;
use telesift_ports::record_log::Retention;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) kind: LogKind,
    pub(crate) fluvio: FluvioLog,
    pub(crate) partitions: u32,
    pub(crate) cache_mib: u64,
    pub(crate) write_buffer_mib: u64,
    pub(crate) min_free_mib: u64,
    pub(crate) retention: BTreeMap<String, TopicRetention>,
}

impl Log {
    /// A cluster asks for more than a disk.
    pub(super) fn check(&self, screen_batch_records: usize) -> Result<()> {
        ensure!(self.partitions >= 1, "log.partitions must be at least 1");
        ensure!(
            (1..=64).contains(&self.write_buffer_mib),
            "log.write_buffer_mib must be from 1 to 64"
        );
        if self.kind == LogKind::Embedded {
            return Ok(());
        }
        let fluvio = &self.fluvio;
        ensure!(
            !fluvio.endpoint.is_empty() && fluvio.request_timeout_s >= 1,
            "log.fluvio.endpoint must be set and log.fluvio.request_timeout_s at least 1"
        );
        // Readers look back over twice what a frozen owner may have left behind.
        let max_batch = telesift_stages::origins::LOOK_BACK / 2;
        ensure!(
            screen_batch_records as u64 <= max_batch,
            "screen.batch_records must be at most {max_batch} with log.kind = \"fluvio\""
        );
        let files = [&fluvio.tls_ca_cert, &fluvio.tls_cert, &fluvio.tls_key];
        ensure!(
            fluvio.tls != TlsMode::Verified
                || !(fluvio.tls_domain.is_empty()
                    || files.iter().any(|f| f.as_os_str().is_empty())),
            "log.fluvio.tls = \"verified\" needs tls_domain, tls_ca_cert, tls_cert and tls_key"
        );
        Ok(())
    }
}

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogKind {
    Embedded,
    Fluvio,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FluvioLog {
    pub(crate) endpoint: String,
    pub(crate) prefix: String,
    pub(crate) topics: PathBuf,
    pub(crate) request_timeout_s: u64,
    pub(crate) tls: TlsMode,
    pub(crate) tls_domain: String,
    pub(crate) tls_ca_cert: PathBuf,
    pub(crate) tls_cert: PathBuf,
    pub(crate) tls_key: PathBuf,
}

/// How connections to the cluster are secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TlsMode {
    Off,
    Unverified,
    Verified,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicRetention {
    max_age_days: u64,
    max_mib: u64,
}

impl From<TopicRetention> for Retention {
    fn from(from: TopicRetention) -> Self {
        let limit = |n: u64, unit: u64| (n > 0).then(|| n.saturating_mul(unit));
        Retention {
            max_age_s: limit(from.max_age_days, 24 * 3600),
            max_bytes: limit(from.max_mib, 1 << 20),
        }
    }
}
