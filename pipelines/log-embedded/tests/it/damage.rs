//! Damage on disk costs the damaged records only, and is said.

use std::{
    fs,
    path::{Path, PathBuf},
};

use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{
    RecordLog,
    record_log::{GapReason, ReadLimits, Retention},
};
use telesift_schemas::Offset;

use crate::support::{append, at, config, create, number, value};

/// 1 MiB, the least: tables appear after few records.
fn small_tables(path: &Path) -> EmbeddedLogConfig {
    EmbeddedLogConfig {
        write_buffer_bytes: 1 << 20,
        ..config(path)
    }
}

const N: u64 = 60_000;

async fn filled(path: &Path) -> EmbeddedLog {
    let log = EmbeddedLog::open(small_tables(path)).unwrap();
    create(&log, 2, Retention::default()).await;
    for n in 0..N / 1_000 {
        append(&log, n * 1_000..n * 1_000 + 1_000).await.unwrap();
    }
    log
}

/// Every table file below, oldest first.
fn tables(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![path.join("store").join("keyspaces")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.parent().is_some_and(|p| p.ends_with("tables")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn largest(files: Vec<PathBuf>) -> PathBuf {
    let by_size = |file: &PathBuf| fs::metadata(file).unwrap().len();
    files.into_iter().max_by_key(by_size).unwrap()
}

#[tokio::test]
async fn a_damaged_block_is_a_gap_and_the_rest_is_served() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await.close().await.unwrap();
    let table = largest(tables(directory.path()));
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    fs::write(&table, &bytes).unwrap();

    let log = EmbeddedLog::open(small_tables(directory.path())).unwrap();
    let (mut n_records, mut n_lost) = (0, 0);
    for partition in 0..2 {
        let mut next = Offset::ZERO;
        loop {
            let batch = log
                .read(&at(partition), next, ReadLimits::default())
                .await
                .unwrap();
            let mut covered = next;
            let mut gaps = batch.gaps.iter().peekable();
            for record in &batch.records {
                while let Some(gap) = gaps.next_if(|g| g.from == covered) {
                    covered = gap.to;
                }
                assert_eq!(record.offset, covered, "records and gaps cover everything");
                covered = covered.next();
                let n = number(&record.value);
                assert_eq!(n, record.offset.0 * 2 + u64::from(partition));
                assert_eq!(record.value, value(n));
            }
            for gap in &batch.gaps {
                assert_eq!(gap.reason, GapReason::Corrupt);
                n_lost += gap.to.0 - gap.from.0;
            }
            n_records += batch.records.len() as u64;
            if batch.next == batch.end {
                break;
            }
            assert!(batch.next > next, "reading gets on");
            next = batch.next;
        }
    }
    assert_eq!(n_records + n_lost, N);
    assert!(n_lost > 0, "the damage is seen");
    assert!(n_lost < 1_500, "a block is lost, not a table: {n_lost}");
    // The log goes on.
    append(&log, N..N + 1).await.unwrap();
}

/// Topics, positions and state stand in tables of their own, without which nothing of the rest can be told.
#[tokio::test]
async fn damage_in_what_the_log_knows_of_itself_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    // A small log writes little else when it is closed.
    let log = EmbeddedLog::open(small_tables(directory.path())).unwrap();
    create(&log, 2, Retention::default()).await;
    append(&log, 0..10).await.unwrap();
    log.close().await.unwrap();
    let own = directory.path().join("store/keyspaces/0");
    let mut own = tables(directory.path())
        .into_iter()
        .filter(|file| file.starts_with(&own));
    let table = own.next().expect("a table of its own");
    let mut bytes = fs::read(&table).unwrap();
    for byte in &mut bytes {
        *byte ^= 0x10;
    }
    fs::write(&table, &bytes).unwrap();

    let refused = EmbeddedLog::open(small_tables(directory.path())).err();
    let said = refused.expect("it is not opened").to_string();
    let place = directory.path().display().to_string();
    assert!(said.contains(&place) && said.contains("backup"), "{said}");
}

#[tokio::test]
async fn retention_gives_disk_space_back_without_rewriting_what_stays() {
    let directory = tempfile::tempdir().unwrap();
    let log = filled(directory.path()).await;
    log.close().await.unwrap();
    let log = EmbeddedLog::open(small_tables(directory.path())).unwrap();
    let before = tables(directory.path());
    let retention = Retention {
        max_bytes: Some(100_000),
        ..Retention::default()
    };
    create(&log, 2, retention).await;
    let n_evicted = log.run_retention().await.unwrap();
    assert!(n_evicted > N / 2, "{n_evicted}");
    let mut n_left = 0;
    for partition in 0..2 {
        let bounds = log.bounds(&at(partition)).await.unwrap();
        assert!(bounds.start > Offset::ZERO);
        n_left += bounds.end.0 - bounds.start.0;
        let batch = log
            .read(&at(partition), bounds.start, ReadLimits::default())
            .await
            .unwrap();
        assert_eq!(batch.records[0].offset, bounds.start);
    }
    assert_eq!(n_left + n_evicted, N);
    log.close().await.unwrap();
    let after = tables(directory.path());
    let records = |tables: &[PathBuf]| {
        tables
            .iter()
            .map(|t| fs::metadata(t).unwrap().len())
            .sum::<u64>()
    };
    assert!(
        after.len() < before.len(),
        "{} of {} tables",
        after.len(),
        before.len()
    );
    assert!(records(&after) > 0);
    // True starts and true offsets after a restart, too.
    let log = EmbeddedLog::open(small_tables(directory.path())).unwrap();
    let bounds = log.bounds(&at(0)).await.unwrap();
    assert!(bounds.start > Offset::ZERO);
    assert_eq!(bounds.end, Offset(N / 2));
}
