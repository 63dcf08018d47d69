//! What the log on a cluster does, beside what Fluvio's own `benchmark` does there:
//! `cargo bench -p telesift-log-fluvio --features testing`, with `TELESIFT_TEST_FLUVIO_BIN` set.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{process::Output, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use telesift_log_fluvio::{FluvioLog, FluvioLogConfig, testing::TestCluster};
use telesift_ports::{
    RecordLog,
    memory::MemoryState,
    record_log::{NewRecord, ReadLimits, Retention, TopicConfig, Transaction},
};
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};

const RECORD_BYTES: usize = 512;
/// Records of one commit: what an import appends at once.
const COMMIT: usize = 1_000;
const IN_FLIGHT: usize = 8;

fn main() {
    // `cargo test` runs benches too, with this flag missing; measuring takes a minute.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let n_records: usize = std::env::var("TELESIFT_BENCH_RECORDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(500_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(n_records));
}

async fn run(n_records: usize) {
    let Some(cluster) = TestCluster::start(1).await else {
        return;
    };
    println!("| what | result |\n|---|---|");
    let config = FluvioLogConfig::new(cluster.endpoint(), Arc::new(MemoryState::new()));
    let log = Arc::new(FluvioLog::open(config).await.unwrap());
    let topic = Topic::new("bench");
    let spec = TopicConfig {
        partitions: 1,
        retention: Retention::default(),
    };
    log.create_topic(&topic, spec).await.unwrap();
    let at = TopicPartition::new(topic, PartitionId(0));
    produce(&log, &at, n_records).await;
    consume(&log, &at, n_records).await;
    // A thousandth of the records in each batch of its own, as the log's writer forms them.
    let n = n_records.to_string();
    let size = RECORD_BYTES.to_string();
    for direction in ["producer", "consumer"] {
        let common = ["benchmark", direction, "--num-records", &n];
        let more: &[&str] = match direction {
            "producer" => &[
                "--record-size",
                &size,
                "--max-request-size",
                "1mib",
                "--batch-size",
                "1mib",
                "--linger",
                "10ms",
            ],
            _ => &["--record-size", &size],
        };
        let arguments: Vec<&str> = common.into_iter().chain(more.iter().copied()).collect();
        show(direction, &cluster.fluvio(&arguments).unwrap());
    }
}

fn row(what: &str, result: &str) {
    println!("| {what} | {result} |");
}

fn rate(n_records: usize, started: Instant) -> String {
    let rate = n_records as f64 / started.elapsed().as_secs_f64();
    let mib = rate * RECORD_BYTES as f64 / f64::from(1 << 20);
    format!("{rate:.0} records/s, {mib:.0} MiB/s")
}

async fn produce(log: &Arc<FluvioLog>, at: &TopicPartition, n_records: usize) {
    let value = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let commit = || {
        let record = NewRecord {
            key: Bytes::from_static(b"-1001234567890"),
            value: value.clone(),
            unique: Vec::new(),
        };
        let appends = vec![(at.clone(), record); COMMIT];
        let log = log.clone();
        tokio::spawn(async move {
            log.commit(Transaction::appends(appends))
                .await
                .map(drop)
                .unwrap()
        })
    };
    let started = Instant::now();
    let mut flying: FuturesUnordered<tokio::task::JoinHandle<()>> = FuturesUnordered::new();
    for _ in 0..n_records / COMMIT {
        if flying.len() >= IN_FLIGHT {
            flying.next().await.unwrap().unwrap();
        }
        flying.push(commit());
    }
    while let Some(done) = flying.next().await {
        done.unwrap();
    }
    row(
        "log-fluvio: append, acknowledged, commits of 1,000, 8 at a time",
        &rate(n_records, started),
    );
}

async fn consume(log: &FluvioLog, at: &TopicPartition, n_records: usize) {
    let started = Instant::now();
    let (mut next, mut n_read) = (Offset::ZERO, 0);
    while n_read < n_records {
        let batch = log.read(at, next, ReadLimits::default()).await.unwrap();
        n_read += batch.records.len();
        next = batch.next;
    }
    row("log-fluvio: read from the start", &rate(n_read, started));
}

/// What Fluvio's benchmark printed, line by line.
fn show(direction: &str, output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    for line in text
        .lines()
        .chain(errors.lines())
        .filter(|l| !l.trim().is_empty())
    {
        row(&format!("fluvio benchmark {direction}"), line.trim());
    }
}
