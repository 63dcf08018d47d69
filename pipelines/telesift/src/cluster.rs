//! A Fluvio cluster as the log: its topics as `deploy/topics.toml` has them, and what is to be done about them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use telesift_log_fluvio::{FluvioLog, FluvioLogConfig, Tls};
use telesift_ports::{
    RecordLog, StateStore,
    record_log::{Retention, StoredRecord, TopicConfig, TopicInfo},
};
use telesift_schemas::Topic;

use crate::config::{Log, TlsMode};

/// The topics the binary carries.
const TOPICS: &str = include_str!("../../../deploy/topics.toml");
/// How long a server waits for a cluster that is not there yet.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicPlan {
    partitions: u32,
    replication: u32,
    max_age_days: u64,
    max_mib: u64,
}

impl TopicPlan {
    fn config(&self) -> TopicConfig {
        let limit = |n: u64, unit: u64| (n > 0).then(|| n.saturating_mul(unit));
        TopicConfig {
            partitions: self.partitions,
            retention: Retention {
                max_age_s: limit(self.max_age_days, 24 * 3_600),
                max_bytes: limit(self.max_mib, 1 << 20),
            },
        }
    }
}

/// Every topic of the flow, in flow order.
pub(crate) type Topics = Vec<(Topic, TopicPlan)>;

/// Reads the file at `path`, or the one the binary carries.
pub(crate) fn topics(path: &Path) -> Result<Topics> {
    if path.as_os_str().is_empty() {
        return parse(TOPICS);
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the topics file {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str) -> Result<Topics> {
    let mut plans: BTreeMap<String, TopicPlan> =
        toml::from_str(text).context("not a topics file")?;
    let mut topics = Topics::new();
    for (topic, fixed) in Topic::ALL {
        let plan = plans.remove(topic.as_str());
        let plan = plan.with_context(|| format!("the topic `{topic}` is missing"))?;
        ensure!(
            plan.partitions >= 1 && plan.replication >= 1,
            "`{topic}`: partitions and replication must be at least 1"
        );
        ensure!(
            fixed.is_none_or(|n| n == plan.partitions),
            "`{topic}` has one writer and one partition"
        );
        topics.push((topic, plan));
    }
    if let Some(unknown) = plans.keys().next() {
        anyhow::bail!("`{unknown}` is no topic of this version of telesift");
    }
    let partitions = |topic| {
        let found = topics.iter().find(|(t, _)| *t == topic);
        found.map(|(_, plan)| plan.partitions)
    };
    ensure!(
        partitions(Topic::TELEGRAM_RAW) == partitions(Topic::MESSAGES),
        "`telegram-raw` and `messages` must have the same number of partitions"
    );
    Ok(topics)
}

/// Connects to the cluster, with the state of the log in `state`.
pub(crate) async fn open(config: &Log, state: Arc<dyn StateStore>) -> Result<FluvioLog> {
    let cluster = cluster_config(config, state)?;
    let endpoint = &config.fluvio.endpoint;
    FluvioLog::open(cluster)
        .await
        .with_context(|| format!("cannot use the Fluvio cluster at `{endpoint}`"))
}

/// The same for a server, which may come up before the cluster does.
pub(crate) async fn open_patiently(config: &Log, state: Arc<dyn StateStore>) -> Result<FluvioLog> {
    let started = Instant::now();
    loop {
        match open(config, state.clone()).await {
            Err(error) if started.elapsed() < PATIENCE => {
                tracing::warn!(error = format!("{error:#}"), "waiting for the cluster");
            }
            opened => return opened,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn cluster_config(config: &Log, state: Arc<dyn StateStore>) -> Result<FluvioLogConfig> {
    let fluvio = &config.fluvio;
    let tls = match fluvio.tls {
        TlsMode::Off => Tls::Off,
        TlsMode::Unverified => Tls::Unverified,
        TlsMode::Verified => Tls::Verified {
            domain: fluvio.tls_domain.clone(),
            ca_cert: fluvio.tls_ca_cert.clone(),
            cert: fluvio.tls_cert.clone(),
            key: fluvio.tls_key.clone(),
        },
    };
    let replication_of = topics(&fluvio.topics)?
        .into_iter()
        .map(|(topic, plan)| (topic, plan.replication));
    Ok(FluvioLogConfig {
        tls,
        prefix: fluvio.prefix.clone(),
        replication_of: replication_of.collect(),
        request_timeout: Duration::from_secs(fluvio.request_timeout_s),
        identify: Arc::new(identities),
        ..FluvioLogConfig::new(fluvio.endpoint.clone(), state)
    })
}

/// What a record of the log was known by when it was appended.
fn identities(topic: &Topic, record: &StoredRecord) -> Vec<telesift_ports::record_log::UniqueKey> {
    match *topic == Topic::TELEGRAM_RAW {
        true => telesift_telegram::raw_identities(&record.value),
        false => telesift_stages::identities::of(topic, record),
    }
}

/// Every topic of the flow, as it is to be.
pub(crate) fn wanted(config: &Log) -> Result<Vec<(Topic, TopicConfig)>> {
    let topics = topics(&config.fluvio.topics)?.into_iter();
    Ok(topics.map(|(topic, plan)| (topic, plan.config())).collect())
}

/// Makes those of `topics` that are missing.
pub(crate) async fn create_topics(
    topics: Vec<(Topic, TopicConfig)>,
    log: &dyn RecordLog,
) -> Result<()> {
    for (topic, spec) in topics {
        log.create_topic(&topic, spec)
            .await
            .with_context(|| format!("cannot create the topic `{topic}`"))?;
    }
    Ok(())
}

/// What is to be done about one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) topic: Topic,
    pub(crate) action: Action,
    pub(crate) detail: String,
}

/// See [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is missing.
    Create,
    /// It is as it should be.
    Keep,
    /// It is there otherwise than asked for, and a cluster does not change that.
    Differs,
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Keep => "keep",
            Action::Differs => "differs",
        }
    }
}

/// Compares what is to be with what is there.
pub(crate) fn plan(
    wanted: &Topics,
    found: &[TopicInfo],
    replication: &BTreeMap<Topic, u32>,
) -> Vec<Step> {
    let step = |(topic, plan): &(Topic, TopicPlan)| {
        let asked = words(&plan.config(), Some(plan.replication));
        let (action, detail) = match found.iter().find(|info| info.topic == *topic) {
            None => (Action::Create, asked),
            Some(info) => {
                let is = TopicConfig {
                    partitions: info.partitions.len() as u32,
                    retention: info.retention.clone(),
                };
                let is = words(&is, replication.get(topic).copied());
                match is == asked {
                    true => (Action::Keep, is),
                    false => (Action::Differs, format!("is {is}; asked for {asked}")),
                }
            }
        };
        Step {
            topic: topic.clone(),
            action,
            detail,
        }
    };
    wanted.iter().map(step).collect()
}

fn words(config: &TopicConfig, replication: Option<u32>) -> String {
    let days = match config.retention.max_age_s {
        Some(s) => format!("{} days", s / (24 * 3_600)),
        None => "for ever".to_owned(),
    };
    let size = match config.retention.max_bytes {
        Some(bytes) => format!(", at most {} MiB a partition", bytes >> 20),
        None => String::new(),
    };
    let replicas = replication.map_or("?".to_owned(), |n| n.to_string());
    format!(
        "{} partitions on {replicas} SPUs, kept {days}{size}",
        config.partitions
    )
}

#[cfg(test)]
mod tests {
    use telesift_ports::record_log::{Bounds, PartitionBounds};
    use telesift_schemas::{DEFAULT_PARTITIONS, Offset, PartitionId};

    use super::*;

    #[test]
    fn the_file_holds_every_topic_of_the_flow_and_no_other() {
        let topics = parse(TOPICS).unwrap();
        let names: Vec<&Topic> = topics.iter().map(|(topic, _)| topic).collect();
        assert_eq!(names, Topic::ALL.iter().map(|(t, _)| t).collect::<Vec<_>>());
        for ((_, plan), (topic, partitions)) in topics.iter().zip(&Topic::ALL) {
            let expected = partitions.unwrap_or(DEFAULT_PARTITIONS);
            assert_eq!(plan.partitions, expected, "{topic}");
        }
        // Nothing goes but answers, which can be worked out again.
        let answers = [
            Topic::SCREEN_STATS,
            Topic::TRENDS,
            Topic::BURSTS,
            Topic::STORY_SPREAD,
        ];
        for (topic, plan) in &topics {
            let is_kept = plan.config().retention == Retention::default();
            assert_eq!(is_kept, !answers.contains(topic), "{topic}");
        }
    }

    #[test]
    fn a_file_that_does_not_fit_the_flow_is_refused() {
        let refused = |from: &str, to: &str| {
            let text = TOPICS.replace(from, to);
            assert_ne!(text, TOPICS);
            format!("{:#}", parse(&text).unwrap_err())
        };
        assert!(refused("[stories]", "[tales]").contains("`stories` is missing"));
        assert!(
            refused("[messages]\npartitions = 4", "[messages]\npartitions = 6")
                .contains("same number")
        );
        assert!(
            refused("[decisions]\npartitions = 1", "[decisions]\npartitions = 2")
                .contains("one partition")
        );
        let more = format!(
            "{TOPICS}\n[tales]\npartitions = 1\nreplication = 1\nmax_age_days = 0\nmax_mib = 0"
        );
        assert!(format!("{:#}", parse(&more).unwrap_err()).contains("`tales`"));
    }

    #[test]
    fn a_plan_creates_what_is_missing_and_says_what_it_cannot_change() {
        let wanted = parse(TOPICS).unwrap();
        let steps = plan(&wanted, &[], &BTreeMap::new());
        assert!(steps.iter().all(|s| s.action == Action::Create));
        let info = |topic: Topic, partitions| TopicInfo {
            topic,
            partitions: (0..partitions)
                .map(|n| PartitionBounds {
                    partition: PartitionId(n),
                    bounds: Bounds {
                        start: Offset::ZERO,
                        end: Offset::ZERO,
                    },
                })
                .collect(),
            retention: Retention::default(),
        };
        let found = [info(Topic::TELEGRAM_RAW, 4), info(Topic::MESSAGES, 2)];
        let replication = found.iter().map(|i| (i.topic.clone(), 1)).collect();
        let steps = plan(&wanted, &found, &replication);
        let actions: Vec<Action> = steps.iter().map(|s| s.action).collect();
        use Action::{Create, Differs, Keep};
        assert_eq!(actions[..2], [Keep, Differs]);
        assert_eq!(actions.len(), Topic::ALL.len());
        assert!(actions[2..].iter().all(|action| *action == Create));
        assert!(steps[1].detail.contains("is 2 partitions"));
    }
}
