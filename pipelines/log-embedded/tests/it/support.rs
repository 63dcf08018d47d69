//! Small helpers: opening logs, numbered records, and what must hold after any crash.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use bytes::Bytes;
use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{
    RecordLog,
    record_log::{
        NewRecord, Outcome, ReadLimits, Result, Retention, TopicConfig, Transaction, UniqueKey,
    },
};
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};

pub(crate) const TOPIC: &str = "t";

pub(crate) fn config(path: &Path) -> EmbeddedLogConfig {
    EmbeddedLogConfig {
        // Only when a test asks for it.
        retention_interval: Duration::from_secs(86_400),
        ..EmbeddedLogConfig::new(path)
    }
}

pub(crate) fn open(path: &Path) -> EmbeddedLog {
    EmbeddedLog::open(config(path)).unwrap()
}

pub(crate) async fn create(log: &EmbeddedLog, partitions: u32, retention: Retention) {
    let config = TopicConfig {
        partitions,
        retention,
    };
    log.create_topic(&Topic::new(TOPIC), config).await.unwrap();
}

pub(crate) fn at(partition: u32) -> TopicPartition {
    TopicPartition::new(Topic::new(TOPIC), PartitionId(partition))
}

/// The value of record `n`: 2 to 40 bytes, so that batches end anywhere.
pub(crate) fn value(n: u64) -> Bytes {
    let filler = "слово ".repeat((n % 4) as usize);
    format!("{n}:{filler}").into()
}

pub(crate) fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.split_once(':').unwrap().0.parse().unwrap()
}

/// Records `numbers`, each with its identity, over partitions 0 and 1; the state `last` says the last of them.
pub(crate) fn numbered(numbers: std::ops::Range<u64>) -> Transaction {
    let last = Bytes::from((numbers.end - 1).to_string());
    let appends = numbers.map(|n| {
        let record = NewRecord {
            key: Bytes::from_static(b"-1001234567890"),
            value: value(n),
            unique: vec![UniqueKey::new("n", &[&n.to_string()])],
        };
        (at((n % 2) as u32), record)
    });
    Transaction {
        finish: Box::new(move |_| vec![("last".to_owned(), Some(last))]),
        ..Transaction::appends(appends.collect())
    }
}

pub(crate) async fn append(
    log: &EmbeddedLog,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<Outcome>> {
    log.commit(numbered(numbers)).await
}

/// Every record of both partitions, read batch by batch, with contiguous offsets; numbers ascend within a partition.
pub(crate) async fn read_numbers(log: &EmbeddedLog) -> Vec<u64> {
    let mut numbers = Vec::new();
    for partition in 0..2 {
        let (mut next, mut last) = (Offset::ZERO, None);
        loop {
            let limits = ReadLimits {
                max_records: 7,
                ..ReadLimits::default()
            };
            let batch = log.read(&at(partition), next, limits).await.unwrap();
            assert!(batch.gaps.is_empty(), "{:?}", batch.gaps);
            if batch.records.is_empty() {
                assert_eq!(next, batch.end);
                break;
            }
            for record in &batch.records {
                assert_eq!(record.offset, next);
                next = next.next();
                let n = number(&record.value);
                assert_eq!(record.value, value(n));
                assert!(last < Some(n), "{last:?} then {n}");
                last = Some(n);
                numbers.push(n);
            }
        }
    }
    numbers.sort_unstable();
    numbers
}

/// What must hold after any crash: all of `0..n_acknowledged` is there, once; what else is there is a whole transaction;
/// the state agrees with the records; every identity of a record that is there is known, none of one that is not.
/// Returns how many records there are.
pub(crate) async fn assert_consistent(log: &EmbeddedLog, n_acknowledged: u64) -> u64 {
    let numbers = read_numbers(log).await;
    let n = numbers.len() as u64;
    assert_eq!(numbers, (0..n).collect::<Vec<_>>(), "no gaps, no repeats");
    assert!(n >= n_acknowledged, "{n} of {n_acknowledged}");
    let last = log.state("last").await.unwrap();
    let expected = n.checked_sub(1).map(|last| Bytes::from(last.to_string()));
    assert_eq!(last, expected, "state and records are one batch");
    if n > 0 {
        let again = append(log, n - 1..n + 1).await.unwrap();
        assert_eq!(again[0], Outcome::Duplicate, "known before the crash");
        assert!(
            matches!(again[1], Outcome::Appended { .. }),
            "not known before"
        );
    }
    n
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The youngest journal of the log at `path`, and how many bytes of it are used.
pub(crate) fn journal(path: &Path) -> (std::path::PathBuf, usize) {
    let files = fs::read_dir(path.join("store")).unwrap();
    let journals: BTreeSet<_> = files
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "jnl"))
        .collect();
    let youngest = journals.into_iter().next_back().unwrap();
    let bytes = fs::read(&youngest).unwrap();
    let n_used = bytes
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    (youngest, n_used)
}
