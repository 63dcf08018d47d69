//! What the controller of the cluster (SC) knows: topics, who leads each partition, where that SPU listens.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use fluvio::{
    FluvioAdmin,
    metadata::{
        objects::Metadata, partition::PartitionSpec, smartmodule::SmartModuleSpec, spu::SpuSpec,
        topic::TopicSpec,
    },
};
use telesift_ports::record_log::{Error, Result};
use telesift_schemas::{PartitionId, Topic, TopicPartition};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    FluvioLogConfig,
    error::{Failure, unavailable},
    retry::Retry,
    telemetry,
};

/// What is known is asked for again only after this, whatever fails meanwhile.
const MIN_AGE: Duration = Duration::from_millis(100);

/// The cluster as the controller describes it, and the connection to that.
pub(crate) struct Cluster {
    config: FluvioLogConfig,
    admin: Mutex<Option<Arc<FluvioAdmin>>>,
    known: RwLock<Arc<Known>>,
    /// Held while asking, so that many who miss something ask once.
    asking: Mutex<()>,
}

/// An answer of the controller.
#[derive(Clone, Default)]
struct Known {
    at: Option<Instant>,
    topics: BTreeMap<String, TopicSpec>,
    /// By topic and partition.
    partitions: HashMap<(String, u32), PartitionSpec>,
    spus: HashMap<i32, Spu>,
    /// Of the partitions, those an earlier answer named and this one did not.
    n_kept: usize,
}

/// Where an SPU is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spu {
    pub(crate) id: i32,
    /// Its name, part of the name in its certificate.
    pub(crate) key: String,
    pub(crate) address: String,
}

impl Cluster {
    pub(crate) fn new(config: FluvioLogConfig) -> Self {
        Cluster {
            config,
            admin: Mutex::default(),
            known: RwLock::default(),
            asking: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &FluvioLogConfig {
        &self.config
    }

    /// The SPU that leads `at`.
    pub(crate) async fn leader(&self, at: &TopicPartition) -> std::result::Result<Spu, Failure> {
        let name = self.config.name_of(&at.topic);
        let mut known = self.known();
        if !known.topics.contains_key(&name) {
            known = self.ask(known.at).await?;
        }
        let Some(spec) = known.topics.get(&name) else {
            return Err(Failure::Final(Error::TopicNotFound(at.topic.clone())));
        };
        if at.partition.0 >= spec.partitions() {
            return Err(Failure::Final(Error::PartitionNotFound(at.clone())));
        }
        let leader = known.partitions.get(&(name, at.partition.0));
        if let Some(spu) = leader.and_then(|p| known.spus.get(&p.leader)) {
            return Ok(spu.clone());
        }
        let is_known = leader.is_some();
        self.ask(known.at).await?;
        Err(match is_known {
            true => Failure::broken(format_args!("`{at}` has no leader yet")),
            false => Failure::broken(format_args!(
                "the cluster's controller does not know `{at}`: `telesift doctor` says more"
            )),
        })
    }

    /// Whether one SPU alone keeps `at`.
    pub(crate) async fn is_kept_alone(
        &self,
        at: &TopicPartition,
    ) -> std::result::Result<bool, Failure> {
        // Who asks first learns here who keeps it.
        self.leader(at).await?;
        let key = (self.config.name_of(&at.topic), at.partition.0);
        let known = self.known();
        let partition = known.partitions.get(&key);
        Ok(partition.is_some_and(|p| p.replicas.len() == 1))
    }

    /// The partitions of this log that have nobody to lead them by what the controller says now.
    pub(crate) async fn without_leader(&self) -> Result<Vec<TopicPartition>> {
        let known = self
            .call("partitions", |admin| async move { say(&admin).await })
            .await?;
        let ours = known.topics.iter().filter(|(_, spec)| !spec.is_system());
        let ours = ours.filter_map(|(name, spec)| {
            let topic = Topic::new(name.strip_prefix(&self.config.prefix)?.to_owned());
            Some((name, topic, spec.partitions()))
        });
        let mut without = Vec::new();
        for (name, topic, n_partitions) in ours {
            for n in 0..n_partitions {
                let spec = known.partitions.get(&(name.clone(), n));
                if !spec.is_some_and(|p| known.spus.contains_key(&p.leader)) {
                    without.push(TopicPartition::new(topic.clone(), PartitionId(n)));
                }
            }
        }
        Ok(without)
    }

    /// Asks again who leads: what was known led nowhere.
    pub(crate) async fn look_again(&self) {
        let since = self.known().at;
        if let Err(e) = self.ask(since).await {
            // What is known may still do: the controller is not needed for reading and writing.
            tracing::debug!(error = %e, "the controller of the cluster does not answer");
        }
    }

    /// The topics of this log by their names on the cluster, as they stand now.
    pub(crate) async fn topics(&self) -> Result<BTreeMap<String, TopicSpec>> {
        let topics = self
            .call(
                "topics",
                |admin| async move { admin.all::<TopicSpec>().await },
            )
            .await?;
        let ours = topics
            .into_iter()
            .filter(|t| !t.spec.is_system() && t.name.starts_with(&self.config.prefix));
        Ok(ours.map(|t| (t.name, t.spec)).collect())
    }

    /// The specification of a topic, if there is one; what is known will do.
    pub(crate) async fn topic(&self, topic: &Topic) -> Result<TopicSpec> {
        let name = self.config.name_of(topic);
        let mut known = self.known();
        if !known.topics.contains_key(&name) {
            known = self.ask(known.at).await.map_err(unavailable)?;
        }
        let spec = known.topics.get(&name).cloned();
        spec.ok_or_else(|| Error::TopicNotFound(topic.clone()))
    }

    /// Creates a topic.
    pub(crate) async fn create_topic(&self, topic: &Topic, spec: &TopicSpec) -> Result<()> {
        let name = self.config.name_of(topic);
        self.call("create-topic", |admin| {
            let (name, spec) = (name.clone(), spec.clone());
            async move { admin.create(name, false, spec).await }
        })
        .await?;
        self.look_again().await;
        Ok(())
    }

    /// Deletes a topic of the cluster.
    pub(crate) async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        let name = self.config.name_of(topic);
        self.call("delete-topic", |admin| {
            let name = name.clone();
            async move { admin.delete::<TopicSpec>(name).await }
        })
        .await?;
        let mut stored = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = Known::clone(&stored);
        known.topics.remove(&name);
        known.partitions.retain(|(of, _), _| *of != name);
        *stored = Arc::new(known);
        Ok(())
    }

    /// The SmartModules of the cluster, with their code.
    pub(crate) async fn smartmodules(&self) -> Result<Vec<Metadata<SmartModuleSpec>>> {
        self.call("smartmodules", |admin| async move {
            admin.all::<SmartModuleSpec>().await
        })
        .await
    }

    pub(crate) async fn put_smartmodule(&self, name: &str, spec: &SmartModuleSpec) -> Result<()> {
        self.call("create-smartmodule", |admin| {
            let (name, spec) = (name.to_owned(), spec.clone());
            async move { admin.create(name, false, spec).await }
        })
        .await
    }

    fn known(&self) -> Arc<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// What the controller says now, unless somebody asked after `since`, or a moment ago.
    async fn ask(&self, since: Option<Instant>) -> std::result::Result<Arc<Known>, Failure> {
        let _asking = self.asking.lock().await;
        let known = self.known();
        let is_fresh = known.at.is_some_and(|at| at.elapsed() < MIN_AGE);
        if known.at > since || is_fresh {
            return Ok(known);
        }
        let mut said = self
            .try_call(|admin| async move { say(&admin).await })
            .await?;
        said.keep_leaders_of(&known);
        let known = Arc::new(said);
        let mut stored = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *stored = known.clone();
        Ok(known)
    }

    /// Asks the controller, again if it does not answer.
    async fn call<T, E: Display, F>(
        &self,
        what: &'static str,
        ask: impl Fn(Arc<FluvioAdmin>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, E>>,
    {
        // A connection that broke unnoticed costs a whole time limit before the next one is tried.
        let patience = self.config.request_timeout + self.config.retry_for;
        let mut retry = Retry::new(what, patience);
        loop {
            match self.try_call(&ask).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => retry.pause(failure).await.map_err(unavailable)?,
            }
        }
    }

    async fn try_call<T, E: Display, F>(
        &self,
        ask: impl Fn(Arc<FluvioAdmin>) -> F,
    ) -> std::result::Result<T, Failure>
    where
        F: Future<Output = std::result::Result<T, E>>,
    {
        let admin = self.admin().await?;
        let answer = timeout(self.config.request_timeout, ask(admin.clone())).await;
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) => Failure::broken(e),
            Err(_) => self.no_answer(),
        };
        let mut current = self.admin.lock().await;
        if current.as_ref().is_some_and(|a| Arc::ptr_eq(a, &admin)) {
            *current = None;
        }
        Err(failure)
    }

    async fn admin(&self) -> std::result::Result<Arc<FluvioAdmin>, Failure> {
        let mut admin = self.admin.lock().await;
        if let Some(admin) = &*admin {
            return Ok(admin.clone());
        }
        let cluster = self.config.cluster();
        let connecting = FluvioAdmin::connect_with_config(&cluster);
        let connected = match timeout(self.config.request_timeout, connecting).await {
            Ok(connected) => connected.map_err(Failure::broken)?,
            Err(_) => return Err(self.no_answer()),
        };
        telemetry::connected("controller");
        Ok(admin.insert(Arc::new(connected)).clone())
    }

    fn no_answer(&self) -> Failure {
        Failure::broken(format_args!(
            "the cluster at `{}` did not answer within {:?}",
            self.config.endpoint, self.config.request_timeout
        ))
    }
}

impl Known {
    /// Keeps who led the partitions that the controller has forgotten, of topics it still has. One that lost its metadata lists
    /// none, while the SPUs go on and need it neither for reads nor for appends; one that leads no more says so itself.
    fn keep_leaders_of(&mut self, before: &Known) {
        let mut n_kept = 0;
        for (key, spec) in &before.partitions {
            let topic = self.topics.get(&key.0);
            let is_left = topic.is_some_and(|t| key.1 < t.partitions());
            if is_left && !self.partitions.contains_key(key) {
                self.partitions.insert(key.clone(), spec.clone());
                n_kept += 1;
            }
        }
        for (id, spu) in &before.spus {
            self.spus.entry(*id).or_insert_with(|| spu.clone());
        }
        self.n_kept = n_kept;
        if n_kept > before.n_kept {
            tracing::warn!(
                n_partitions = n_kept,
                "the cluster's controller has forgotten who leads: what was known is kept until this process ends; `telesift doctor` says more"
            );
        }
    }
}

/// What the controller says now.
async fn say(admin: &FluvioAdmin) -> std::result::Result<Known, Failure> {
    let (topics, partitions, spus) = futures::try_join!(
        admin.all::<TopicSpec>(),
        admin.all::<PartitionSpec>(),
        admin.all::<SpuSpec>(),
    )
    .map_err(Failure::broken)?;
    Ok(Known {
        at: Some(Instant::now()),
        topics: topics.into_iter().map(|t| (t.name, t.spec)).collect(),
        partitions: partitions.into_iter().filter_map(partition).collect(),
        spus: spus.into_iter().map(spu).collect(),
        n_kept: 0,
    })
}

/// Named `<topic>-<partition>`.
fn partition(found: Metadata<PartitionSpec>) -> Option<((String, u32), PartitionSpec)> {
    let (topic, partition) = found.name.rsplit_once('-')?;
    Some(((topic.to_owned(), partition.parse().ok()?), found.spec))
}

fn spu(found: Metadata<SpuSpec>) -> (i32, Spu) {
    let id = found.spec.id;
    let spu = Spu {
        id,
        key: found.name,
        address: found.spec.public_endpoint.addr(),
    };
    (id, spu)
}
