//! Topics of the log as topics of the cluster: partitions, replication and retention, all of them explicit.

use std::time::Duration;

use fluvio::metadata::topic::{CleanupPolicy, SegmentBasedPolicy, TopicSpec, TopicStorageConfig};
use telesift_ports::record_log::{Error, Result, Retention, TopicConfig};
use telesift_schemas::{Generation, PartitionId, Topic, TopicPartition};

use crate::{FluvioLogConfig, error::unavailable, reader::Reader};

/// Stands for "for ever" where a cluster wants a number of seconds: 136 years.
const FOR_EVER_S: u32 = u32::MAX;
/// Stands for "no limit" where a cluster wants a number of bytes: 8 EiB.
const UNLIMITED_BYTES: u64 = i64::MAX as u64;
/// What a cluster keeps a topic if nobody said otherwise: seven days.
const MIN_AGE_S: u64 = 10;

/// The specification of a topic to be created.
pub(crate) fn spec(topic: &Topic, config: &TopicConfig, log: &FluvioLogConfig) -> TopicSpec {
    // A topic of a generation is kept as that of the first one.
    let mut first = log.replication_of.iter();
    let first = first.find(|(t, _)| Generation::of_name(t.as_str(), topic.as_str()).is_some());
    let replication = first.map_or(&log.replication, |(_, replication)| replication);
    let mut spec = TopicSpec::new_computed(config.partitions.max(1), (*replication).max(1), None);
    let age_s = config.retention.max_age_s.map_or(FOR_EVER_S, |s| {
        u32::try_from(s.max(MIN_AGE_S)).unwrap_or(FOR_EVER_S)
    });
    spec.set_cleanup_policy(CleanupPolicy::Segment(SegmentBasedPolicy {
        time_in_seconds: age_s,
    }));
    // Files no larger than a quarter of what may be kept, so that the limit means something.
    let limit = config.retention.max_bytes.unwrap_or(UNLIMITED_BYTES);
    let segment = u64::from(log.segment_bytes)
        .min(limit / 4)
        .max(MIN_SEGMENT_BYTES);
    spec.set_storage(TopicStorageConfig {
        segment_size: Some(u32::try_from(segment).unwrap_or(log.segment_bytes)),
        max_partition_size: Some(limit.max(segment * 2)),
    });
    spec
}

/// A file holds at least one batch of the largest size.
const MIN_SEGMENT_BYTES: u64 = 4 << 20;

/// The retention of a topic as it stands.
pub(crate) fn retention(spec: &TopicSpec) -> Retention {
    let age_s = spec.retention_secs();
    let bytes = spec.get_storage().and_then(|s| s.max_partition_size);
    Retention {
        max_age_s: (age_s < FOR_EVER_S).then_some(u64::from(age_s)),
        max_bytes: bytes.filter(|bytes| *bytes < UNLIMITED_BYTES),
    }
}

/// Checks that a topic that exists is the one asked for. Its retention cannot be changed: that is said, not refused.
pub(crate) fn check(topic: &Topic, found: &TopicSpec, wanted: &TopicSpec) -> Result<()> {
    let (actual, asked) = (found.partitions(), wanted.partitions());
    if actual != asked {
        return Err(Error::PartitionCount {
            topic: topic.clone(),
            actual,
            wanted: asked,
        });
    }
    if retention(found) != retention(wanted) {
        tracing::warn!(
            %topic,
            "its retention differs from the configuration, and a cluster does not change that of a topic that exists"
        );
    }
    Ok(())
}

/// Waits until every partition of a new topic has a leader that answers.
pub(crate) async fn wait_until_led(
    reader: &Reader,
    topic: &Topic,
    partitions: u32,
    patience: Duration,
) -> Result<()> {
    for partition in 0..partitions {
        let at = TopicPartition::new(topic.clone(), PartitionId(partition));
        let led = tokio::time::timeout(patience, reader.bounds(&at)).await;
        led.map_err(|_| unavailable(format_args!("`{at}` got no leader within {patience:?}")))??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use telesift_ports::memory::MemoryState;

    use super::*;

    fn log() -> FluvioLogConfig {
        FluvioLogConfig::new("nowhere:1", Arc::new(MemoryState::new()))
    }

    #[test]
    fn retention_comes_back_as_it_was_asked_for() {
        for (max_age_s, max_bytes) in [
            (None, None),
            (Some(86_400), None),
            (None, Some(1 << 30)),
            (Some(60), Some(64 << 20)),
        ] {
            let asked = Retention {
                max_age_s,
                max_bytes,
            };
            let spec = spec(
                &Topic::MESSAGES,
                &TopicConfig {
                    partitions: 3,
                    retention: asked.clone(),
                },
                &log(),
            );
            assert_eq!(retention(&spec), asked);
            assert_eq!(spec.validate_config(), None, "the cluster takes it");
            assert_eq!(spec.partitions(), 3);
        }
    }

    #[test]
    fn another_partition_count_is_refused() {
        let of = |partitions| {
            let retention = Retention::default();
            spec(
                &Topic::MESSAGES,
                &TopicConfig {
                    partitions,
                    retention,
                },
                &log(),
            )
        };
        assert!(check(&Topic::MESSAGES, &of(4), &of(4)).is_ok());
        let refused = check(&Topic::MESSAGES, &of(4), &of(3)).unwrap_err();
        assert!(matches!(
            refused,
            Error::PartitionCount {
                actual: 4,
                wanted: 3,
                ..
            }
        ));
    }
}
