//! What an operator may choose about the log on a Fluvio cluster.

use std::{collections::HashMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use fluvio::{
    FluvioClusterConfig,
    config::{TlsConfig, TlsPaths, TlsPolicy},
};
use telesift_ports::{
    Clock, StateStore, SystemClock,
    record_log::{StoredRecord, UniqueKey},
};
use telesift_schemas::Topic;

/// The identities of a record that is in the log already, so that those of the end of a topic are known after a start.
pub type Identify = Arc<dyn Fn(&Topic, &StoredRecord) -> Vec<UniqueKey> + Send + Sync>;

/// Options of a [`FluvioLog`](crate::FluvioLog). [`FluvioLogConfig::new`] fills in the defaults.
#[derive(Clone)]
pub struct FluvioLogConfig {
    /// `host:port` of the cluster's controller (SC), such as `127.0.0.1:9003`.
    pub endpoint: String,
    /// How connections are secured. Plain unless said otherwise.
    pub tls: Tls,
    /// What the name of every topic of this log starts with on the cluster, so that several logs can share one. Empty.
    pub prefix: String,
    /// On how many SPUs a new topic is kept. 1.
    pub replication: u32,
    /// The same for single topics. Empty.
    pub replication_of: HashMap<Topic, u32>,
    /// Bytes after which an SPU starts a new file: what retention evicts goes by whole files. 64 MiB.
    pub segment_bytes: u32,
    /// Time for one request and its answer. 10 s.
    pub request_timeout: Duration,
    /// Time in which a call is tried again after failures that may pass. 10 s; then the caller is told.
    pub retry_for: Duration,
    /// How often a stream is checked against the end of its partition. 2 s.
    pub watchdog_interval: Duration,
    /// Bytes of keys and values sent as one batch, which is written as a whole or not at all. 1 MiB, at most 1.9 MiB: SPUs
    /// refuse batches over 2 MiB.
    pub max_batch_bytes: usize,
    /// Batches of one partition on their way, at most. 8.
    pub max_in_flight: usize,
    /// Bytes of the newest records of a partition kept in memory for whoever follows it. 1 MiB.
    pub tail_bytes: usize,
    /// Identities remembered to refuse duplicates, at most, over all topics. 200,000: about 20 MiB.
    pub max_recent_keys: usize,
    /// Identities of records in the log.
    pub identify: Identify,
    /// The log's state: what guards and commits of positions go to.
    pub state: Arc<dyn StateStore>,
    /// Says when a record was appended.
    pub clock: Arc<dyn Clock>,
}

/// How connections to the cluster are secured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: for a network of one's own.
    #[default]
    Off,
    /// Encrypted, but the server is not checked: no protection against somebody in between.
    Unverified,
    /// Encrypted, the server is checked, and the client shows its own certificate. PEM files.
    Verified {
        /// The name in the server's certificate.
        domain: String,
        /// The certificate of the authority that signed the server's.
        ca_cert: PathBuf,
        /// The client's certificate.
        cert: PathBuf,
        /// The client's key.
        key: PathBuf,
    },
}

impl Tls {
    /// The same in the client's terms.
    pub(crate) fn policy(&self) -> TlsPolicy {
        match self {
            Tls::Off => TlsPolicy::Disabled,
            Tls::Unverified => TlsPolicy::Anonymous,
            Tls::Verified {
                domain,
                ca_cert,
                cert,
                key,
            } => TlsPolicy::Verified(TlsConfig::Files(TlsPaths {
                domain: domain.clone(),
                key: key.clone(),
                cert: cert.clone(),
                ca_cert: ca_cert.clone(),
            })),
        }
    }
}

impl FluvioLogConfig {
    /// The defaults, for the cluster at `endpoint` with its state in `state`.
    pub fn new(endpoint: impl Into<String>, state: Arc<dyn StateStore>) -> Self {
        FluvioLogConfig {
            endpoint: endpoint.into(),
            tls: Tls::Off,
            prefix: String::new(),
            replication: 1,
            replication_of: HashMap::new(),
            segment_bytes: 64 << 20,
            request_timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(10),
            watchdog_interval: Duration::from_secs(2),
            max_batch_bytes: 1 << 20,
            max_in_flight: 8,
            tail_bytes: 1 << 20,
            max_recent_keys: 200_000,
            identify: Arc::new(|_, _| Vec::new()),
            state,
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn cluster(&self) -> FluvioClusterConfig {
        let mut cluster =
            FluvioClusterConfig::new(self.endpoint.clone()).with_tls(self.tls.policy());
        cluster.client_id = Some("telesift".to_owned());
        cluster
    }

    /// The name of `topic` on the cluster.
    pub(crate) fn name_of(&self, topic: &Topic) -> String {
        format!("{}{topic}", self.prefix)
    }
}

impl fmt::Debug for FluvioLogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FluvioLogConfig")
            .field("endpoint", &self.endpoint)
            .field("tls", &self.tls)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
