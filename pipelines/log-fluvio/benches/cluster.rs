//! What the log on a cluster does, beside what Fluvio's own tools do there, and the embedded log:
//! `cargo bench -p telesift-log-fluvio --features testing`, with `TELESIFT_TEST_FLUVIO_BIN` set.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

#[path = "cluster/support.rs"]
mod support;

use std::{
    process::Output,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fluvio::{
    FluvioClusterConfig, Offset as FluvioOffset, TopicProducerConfigBuilder,
    consumer::{ConsumerConfigExtBuilder, OffsetManagementStrategy},
};
use futures::stream::{FuturesUnordered, StreamExt as _};
use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
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
/// Bytes the log's reader asks for at once, for the client beside it.
const MAX_FETCH_BYTES: i32 = 4 << 20;
/// A stream that gives nothing for so long gives nothing more.
const STANDS_STILL: Duration = Duration::from_secs(20);
/// Everything is measured so often, one after the other: neighbours on the machine come and go.
const ROUNDS: usize = 3;

fn main() {
    // `cargo test` runs benches too, with this flag missing; measuring takes minutes.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let n_records = number("TELESIFT_BENCH_RECORDS", 500_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(n_records));
}

fn number(name: &str, otherwise: usize) -> usize {
    let said = std::env::var(name).ok();
    said.and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

async fn run(n_records: usize) {
    let Some(cluster) = TestCluster::start(1).await else {
        return;
    };
    println!("| what | result |\n|---|---|");
    let config = FluvioLogConfig::new(cluster.endpoint(), Arc::new(MemoryState::new()));
    let log: Arc<dyn RecordLog> = Arc::new(FluvioLog::open(config).await.unwrap());
    for round in 0..ROUNDS {
        let name = format!("bench-{round}");
        let at = create(&*log, &name).await;
        produce("log-fluvio", &log, &at, n_records).await;
        create(&*log, &format!("{name}-theirs")).await;
        fluvio_client_producer(&cluster.endpoint(), &format!("{name}-theirs"), n_records).await;
        fluvio_producer(&cluster, n_records);
        consume("log-fluvio", &*log, &at, n_records).await;
        fluvio_consumer(&cluster.endpoint(), &name, n_records).await;
    }
    let folder = tempfile::tempdir_in(target_dir()).unwrap();
    let embedded = EmbeddedLog::open(EmbeddedLogConfig::new(folder.path().join("log"))).unwrap();
    let embedded: Arc<dyn RecordLog> = Arc::new(embedded);
    let at = create(&*embedded, "bench").await;
    produce("embedded, synced", &embedded, &at, n_records).await;
    consume("embedded", &*embedded, &at, n_records).await;

    let n_screened = number("TELESIFT_BENCH_SCREENED", 50_000);
    for (name, log) in [("Fluvio", log), ("embedded", embedded)] {
        let rate = support::screen(log, n_screened).await;
        row(
            &format!("screen on {name}: one partition, batches of 1,000"),
            &format!("{rate:.0} records/s"),
        );
    }
}

/// Beside the build's own files: a disk, where the temporary directory may be memory.
fn target_dir() -> std::path::PathBuf {
    let bench = std::env::current_exe().unwrap();
    bench.parent().unwrap().to_owned()
}

async fn create(log: &dyn RecordLog, name: &str) -> TopicPartition {
    let topic = Topic::new(name.to_owned());
    let spec = TopicConfig {
        partitions: 1,
        retention: Retention::default(),
    };
    log.create_topic(&topic, spec).await.unwrap();
    TopicPartition::new(topic, PartitionId(0))
}

fn row(what: &str, result: &str) {
    println!("| {what} | {result} |");
}

fn rate(n_records: usize, started: Instant) -> String {
    let rate = n_records as f64 / started.elapsed().as_secs_f64();
    let mib = rate * RECORD_BYTES as f64 / f64::from(1 << 20);
    format!("{rate:.0} records/s, {mib:.0} MiB/s")
}

async fn produce(name: &str, log: &Arc<dyn RecordLog>, at: &TopicPartition, n_records: usize) {
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
        &format!("{name}: append, acknowledged, commits of 1,000, 8 at a time"),
        &rate(n_records, started),
    );
}

async fn consume(name: &str, log: &dyn RecordLog, at: &TopicPartition, n_records: usize) {
    let started = Instant::now();
    let (mut next, mut n_read) = (Offset::ZERO, 0);
    while n_read < n_records {
        let batch = log.read(at, next, ReadLimits::default()).await.unwrap();
        n_read += batch.records.len();
        next = batch.next;
    }
    row(
        &format!("{name}: read from the start"),
        &rate(n_read, started),
    );
}

/// The producer of Fluvio's own client, built as this is, with batches as the log's writer forms them.
async fn fluvio_client_producer(endpoint: &str, topic: &str, n_records: usize) {
    let config = FluvioClusterConfig::new(endpoint);
    let client = fluvio::Fluvio::connect_with_config(&config).await.unwrap();
    let config = TopicProducerConfigBuilder::default()
        .batch_size(1 << 20)
        .max_request_size(2 << 20)
        .linger(Duration::from_millis(10))
        .build()
        .unwrap();
    let producer = client
        .topic_producer_with_config(topic, config)
        .await
        .unwrap();
    let value = vec![b'x'; RECORD_BYTES];
    let started = Instant::now();
    for _ in 0..n_records {
        producer
            .send("-1001234567890", value.clone())
            .await
            .unwrap();
    }
    producer.flush().await.unwrap();
    row(
        "Fluvio's own client: produce and flush",
        &rate(n_records, started),
    );
}

/// Fluvio's own benchmark, with batches as the log's writer forms them. Its command line may be another build than this.
fn fluvio_producer(cluster: &TestCluster, n_records: usize) {
    // It connects by the profile, whatever cluster it is told.
    let endpoint = cluster.endpoint();
    let profile = ["profile", "add", "bench", &endpoint, "local"];
    cluster.fluvio(&profile).unwrap();
    let (n, size) = (n_records.to_string(), RECORD_BYTES.to_string());
    let arguments = [
        "benchmark",
        "producer",
        "--num-records",
        &n,
        "--record-size",
        &size,
        "--batch-size",
        "1mib",
        "--max-request-size",
        "2mib",
        "--linger",
        "10ms",
        "--num-samples",
        "1",
    ];
    show(&cluster.fluvio(&arguments).unwrap());
}

/// What Fluvio's benchmark printed: its lines with figures.
fn show(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().chain(errors.lines()).map(str::trim);
    for line in lines.filter(|l| l.contains("/s") || !output.status.success()) {
        row("`fluvio benchmark producer`", line);
    }
}

/// The stream of Fluvio's own client: its command line cannot measure consumers.
async fn fluvio_consumer(endpoint: &str, topic: &str, n_records: usize) {
    let config = FluvioClusterConfig::new(endpoint);
    let client = fluvio::Fluvio::connect_with_config(&config).await.unwrap();
    let consumer = ConsumerConfigExtBuilder::default()
        .topic(topic)
        .partition(0)
        .offset_start(FluvioOffset::beginning())
        .offset_strategy(OffsetManagementStrategy::None)
        // A batch that is larger than what may come at once never comes, and its stream stands still for ever.
        .max_bytes(MAX_FETCH_BYTES)
        .build()
        .unwrap();
    let started = Instant::now();
    let mut stream = client.consumer_with_config(consumer).await.unwrap();
    let mut n_read = 0;
    while n_read < n_records {
        match tokio::time::timeout(STANDS_STILL, stream.next()).await {
            Ok(record) => drop(record.unwrap().unwrap()),
            Err(_) => break,
        }
        n_read += 1;
    }
    let result = match n_read < n_records {
        true => format!("stood still after {n_read} records"),
        false => rate(n_records, started),
    };
    row("Fluvio's own client: stream from the start", &result);
}
