//! The log itself: appends to the cluster, state to its store, reads from wherever they are answered fastest.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join_all;
use telesift_ports::{
    RecordLog,
    record_log::{
        Batch, Bounds, Durability, Error, NewRecord, Outcome, PartitionBounds, ReadLimits, Result,
        StateWrite, TopicConfig, TopicInfo, Transaction,
    },
};
use telesift_schemas::{Epoch, Generation, Offset, PartitionId, Timestamp, Topic, TopicPartition};
use tokio::time::timeout;

use crate::{
    FluvioLogConfig, MAX_RECORD_BYTES, cluster::Cluster, connection::Connections, error::ambiguous,
    follower::Followers, reader::Reader, recent::Recent, telemetry, topics, writer::Writer,
};

/// Where the identity of this log stands in its state.
const EPOCH_KEY: &str = "log/epoch";

/// A [`RecordLog`] on a Fluvio cluster.
///
/// An acknowledged record is in the page cache of the leader and of every replica ([`Durability::Replicated`]). It is not
/// transactional: appends come first, state last, and identities are remembered as far back as the configuration says.
pub struct FluvioLog {
    config: FluvioLogConfig,
    epoch: Epoch,
    connections: Arc<Connections>,
    reader: Arc<Reader>,
    followers: Arc<Followers>,
    recent: Recent,
    writers: Mutex<HashMap<TopicPartition, Arc<Writer>>>,
}

impl FluvioLog {
    /// Connects to the cluster. The identity of the log is made once, and kept with its state.
    ///
    /// # Errors
    /// If the cluster or the state cannot be reached.
    pub async fn open(config: FluvioLogConfig) -> Result<Self> {
        telemetry::describe();
        let cluster = Arc::new(Cluster::new(config.clone()));
        cluster.topics().await?;
        let epoch = epoch(&config).await?;
        let connections = Arc::new(Connections::new(cluster));
        let reader = Arc::new(Reader::new(connections.clone()));
        Ok(FluvioLog {
            followers: Arc::new(Followers::new(connections.clone(), reader.clone())),
            recent: Recent::new(config.max_recent_keys),
            writers: Mutex::default(),
            config,
            epoch,
            connections,
            reader,
        })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.connections.cluster()
    }

    /// On how many SPUs each topic is kept.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn replication(&self) -> Result<BTreeMap<Topic, u32>> {
        let topics = self.cluster().topics().await?;
        let known = topics.into_iter().filter_map(|(name, spec)| {
            let topic = Topic::new(name.strip_prefix(&self.config.prefix)?.to_owned());
            Some((topic, spec.replication_factor()?))
        });
        Ok(known.collect())
    }

    /// The partitions of this log that have nobody to lead them, by what the controller says now: those whose metadata it lost,
    /// or whose SPU is no longer part of the cluster.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn without_leader(&self) -> Result<Vec<TopicPartition>> {
        self.cluster().without_leader().await
    }

    fn writer(&self, at: &TopicPartition) -> Arc<Writer> {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = writers.entry(at.clone()).or_insert_with(|| {
            Arc::new(Writer::start(
                self.connections.clone(),
                self.reader.clone(),
                self.followers.clone(),
                at.clone(),
            ))
        });
        writer.clone()
    }

    async fn check_appends(&self, appends: &[(TopicPartition, NewRecord)]) -> Result<()> {
        for (_, record) in appends {
            let n_bytes = record.key.len() + record.value.len();
            if n_bytes > MAX_RECORD_BYTES {
                return Err(Error::TooLarge {
                    n_bytes,
                    limit: MAX_RECORD_BYTES,
                });
            }
        }
        let partitions: BTreeSet<&TopicPartition> = appends.iter().map(|(at, _)| at).collect();
        for at in partitions {
            if at.partition.0 >= self.cluster().topic(&at.topic).await?.partitions() {
                return Err(Error::PartitionNotFound(at.clone()));
            }
        }
        Ok(())
    }

    async fn check_guards(&self, guards: &[StateWrite]) -> Result<()> {
        for (key, expected) in guards {
            if self.config.state.get(key).await? != *expected {
                return Err(Error::GuardFailed { key: key.clone() });
            }
        }
        Ok(())
    }

    /// Remembers the identities of the newest records of each partition that is about to be written to.
    async fn load_recent(&self, appends: &[(TopicPartition, NewRecord)]) -> Result<()> {
        const BACK: u64 = 20_000;
        let known = appends.iter().filter(|(_, r)| !r.unique.is_empty());
        let partitions: BTreeSet<&TopicPartition> = known.map(|(at, _)| at).collect();
        for at in partitions {
            let loaded = self.recent.loaded(at);
            let mut loaded = loaded.lock().await;
            if *loaded {
                continue;
            }
            let bounds = self.reader.bounds(at).await?;
            let mut next = bounds.start.max(Offset(bounds.end.0.saturating_sub(BACK)));
            while next < bounds.end {
                let batch = match self.reader.read(at, next, ReadLimits::default()).await {
                    Err(Error::Evicted { first, .. }) => {
                        next = first;
                        continue;
                    }
                    read => read?,
                };
                let keys = batch.records.iter();
                let keys = keys.flat_map(|r| (self.config.identify)(&at.topic, r));
                self.recent.remember(keys);
                next = batch.next;
            }
            *loaded = true;
        }
        Ok(())
    }

    /// Appends what is new, all partitions at a time; one outcome per append, in order.
    async fn append(
        &self,
        appends: Vec<(TopicPartition, NewRecord)>,
        is_new: &[bool],
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::Duplicate; appends.len()];
        let mut by_partition: BTreeMap<TopicPartition, (Vec<usize>, Vec<NewRecord>)> =
            BTreeMap::new();
        for (i, (at, record)) in appends.into_iter().enumerate() {
            if is_new[i] {
                let (indexes, records) = by_partition.entry(at).or_default();
                indexes.push(i);
                records.push(record);
            }
        }
        let is_alone = by_partition.len() == 1;
        let appending = by_partition.into_iter().map(|(at, (indexes, records))| {
            let writer = self.writer(&at);
            async move { writer.append(records).await.map(|stored| (indexes, stored)) }
        });
        let appended = try_join_all(appending).await;
        let appended = appended.map_err(|e| if is_alone { e } else { partly(e) })?;
        for (indexes, stored) in appended {
            for (i, outcome) in indexes.into_iter().zip(stored) {
                outcomes[i] = outcome;
            }
        }
        Ok(outcomes)
    }

    /// Longer than any of its parts may take.
    fn commit_timeout(&self) -> std::time::Duration {
        self.config.request_timeout * 2 + self.config.retry_for * 2
    }

    async fn try_commit(&self, transaction: Transaction) -> Result<Vec<Outcome>> {
        let Transaction {
            appends,
            guards,
            fence,
            finish,
        } = transaction;
        self.check_appends(&appends).await?;
        self.check_guards(&guards).await?;
        if fence.lease().is_some() {
            // Right before the append, which asks nobody.
            let state = &self.config.state;
            state.compare_and_set_under(&[], &[], &fence).await?;
        }
        self.load_recent(&appends).await?;
        let (claim, is_new) = self.recent.claim(&appends).await;
        let outcomes = self.append(appends, &is_new).await?;
        claim.keep();
        telemetry::duplicates(is_new.iter().filter(|new| !**new).count());
        let writes = finish(&outcomes);
        if !writes.is_empty() || !guards.is_empty() {
            let state = &self.config.state;
            state
                .compare_and_set_under(&guards, &writes, &fence)
                .await?;
        }
        Ok(outcomes)
    }
}

/// Where one partition of several failed, others may have been appended to.
fn partly(error: Error) -> Error {
    match error {
        Error::Unavailable { reason, .. } => ambiguous(reason),
        other => other,
    }
}

async fn epoch(config: &FluvioLogConfig) -> Result<Epoch> {
    let fresh = fresh_epoch(config);
    let write = [(EPOCH_KEY.to_owned(), Some(fresh))];
    let absent = [(EPOCH_KEY.to_owned(), None)];
    loop {
        if let Some(known) = config.state.get(EPOCH_KEY).await? {
            let text = String::from_utf8_lossy(&known).into_owned();
            return Epoch::new(text).map_err(crate::error::unavailable);
        }
        match config.state.compare_and_set(&absent, &write).await {
            // Another process was faster: its epoch counts.
            Ok(()) | Err(telesift_ports::state_store::Error::GuardFailed { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// `f` and the time in microseconds, base 36.
fn fresh_epoch(config: &FluvioLogConfig) -> Bytes {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut n = config.clock.now().as_microsecond().unsigned_abs();
    let mut text = vec![b'f'];
    while n > 0 {
        text.push(DIGITS[(n % 36) as usize]);
        n /= 36;
    }
    text.into()
}

#[async_trait]
impl RecordLog for FluvioLog {
    fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    fn durability(&self) -> Durability {
        Durability::Replicated
    }

    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()> {
        let wanted = topics::spec(topic, &config, &self.config);
        let name = self.config.name_of(topic);
        if let Some(found) = self.cluster().topics().await?.get(&name) {
            return topics::check(topic, found, &wanted);
        }
        if let Err(error) = self.cluster().create_topic(topic, &wanted).await {
            // Another process may have been faster.
            match self.cluster().topics().await?.get(&name) {
                Some(found) => topics::check(topic, found, &wanted)?,
                None => return Err(error),
            }
        }
        let patience = self.commit_timeout();
        topics::wait_until_led(&self.reader, topic, wanted.partitions(), patience).await
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        let name = self.config.name_of(topic);
        if self.cluster().topics().await?.contains_key(&name)
            && let Err(error) = self.cluster().delete_topic(topic).await
        {
            // Another process may have been faster.
            if self.cluster().topics().await?.contains_key(&name) {
                return Err(error);
            }
        }
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|at, _| at.topic != *topic);
        drop(writers);
        self.followers.forget(topic);
        self.reader.forget(topic);
        Ok(())
    }

    /// Numbers of generations are given once, so that what is remembered of an old one refuses nothing; it goes as newer
    /// identities come.
    async fn forget_generation(&self, _: Generation) -> Result<()> {
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        let specs = self.cluster().topics().await?;
        let infos = specs.into_iter().filter_map(|(name, spec)| {
            let topic = Topic::new(name.strip_prefix(&self.config.prefix)?.to_owned());
            Some(async move {
                Ok(TopicInfo {
                    partitions: self.partitions(&topic).await?,
                    topic,
                    retention: topics::retention(&spec),
                })
            })
        });
        try_join_all(infos).await
    }

    async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionBounds>> {
        let n_partitions = self.cluster().topic(topic).await?.partitions();
        let bounds = (0..n_partitions).map(|n| {
            let partition = PartitionId(n);
            let at = TopicPartition::new(topic.clone(), partition);
            async move {
                let bounds = self.reader.bounds(&at).await?;
                Ok(PartitionBounds { partition, bounds })
            }
        });
        try_join_all(bounds).await
    }

    async fn bounds(&self, at: &TopicPartition) -> Result<Bounds> {
        self.reader.bounds(at).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Vec<Outcome>> {
        let started = Instant::now();
        let limit = self.commit_timeout();
        let outcomes = match timeout(limit, self.try_commit(transaction)).await {
            Ok(outcomes) => outcomes?,
            Err(_) => return Err(ambiguous(format_args!("no answer within {limit:?}"))),
        };
        telemetry::committed(started.elapsed());
        Ok(outcomes)
    }

    fn is_transactional(&self) -> bool {
        false
    }

    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        if let Some(batch) = self.followers.get(at).and_then(|f| f.read(from, limits)) {
            return Ok(batch);
        }
        self.reader.read(at, from, limits).await
    }

    async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.reader.offset_at(at, time).await
    }

    async fn wait_beyond(&self, at: &TopicPartition, offset: Offset) -> Result<Offset> {
        let known = self.followers.get(at).map(|f| f.end());
        if let Some(end) = known.filter(|end| *end > offset) {
            return Ok(end);
        }
        let end = self.reader.bounds(at).await?.end;
        if end < offset {
            return Err(self.reader.beyond(at, offset, end).await);
        }
        if end > offset {
            return Ok(end);
        }
        let end = self.followers.follow(at, end).beyond(offset).await;
        end.ok_or_else(|| Error::TopicNotFound(at.topic.clone()))
    }

    async fn state(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.config.state.get(key).await?)
    }

    async fn state_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        let mut state = self.config.state.list(prefix).await?;
        state.retain(|(key, _)| key != EPOCH_KEY); // the log's own
        Ok(state)
    }
}
