//! What the log on a cluster does, beside what Fluvio's own tools do there, and the embedded log:
//! `cargo bench -p telesift-log-fluvio --features testing`, with `TELESIFT_TEST_FLUVIO_BIN` set.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

#[path = "cluster/support.rs"]
mod support;

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fluvio::{
    FluvioClusterConfig, Isolation, Offset as FluvioOffset, RecordKey, TopicProducerConfigBuilder,
    consumer::{ConsumerConfigExtBuilder, OffsetManagementStrategy},
    metadata::topic::TopicSpec,
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
/// Batches of Fluvio's own producer as the log's writer forms them.
const LARGE: [&str; 6] = [
    "--batch-size",
    "1mib",
    "--max-request-size",
    "2mib",
    "--linger",
    "10ms",
];
/// What an answer to Fluvio's own consumer may hold: all of a file, of which topics made here have such of 64 MiB. An answer that
/// ends within a batch it takes for one that holds all of it, and what was cut off is never given (Fluvio's #4627).
const MAX_BYTES: &str = "67108864";
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
    // The command line connects by its profile, whatever cluster it is told.
    let endpoint = cluster.endpoint();
    let profile = ["profile", "add", "bench", &endpoint, "local"];
    cluster.fluvio(&profile).unwrap();
    let config = FluvioLogConfig::new(&*endpoint, Arc::new(MemoryState::new()));
    let log: Arc<dyn RecordLog> = Arc::new(FluvioLog::open(config).await.unwrap());
    let folder = tempfile::tempdir_in(target_dir()).unwrap();
    let embedded = EmbeddedLog::open(EmbeddedLogConfig::new(folder.path().join("log"))).unwrap();
    let embedded: Arc<dyn RecordLog> = Arc::new(embedded);

    let mut table = Table::default();
    for round in 0..ROUNDS {
        let name = format!("bench-{round}");
        let at = create(&*log, &name).await;
        table.add(OURS_IN, produce(&log, &at, n_records).await);
        table.add(THEIRS_IN, fluvio_producer(&cluster, n_records, &LARGE));
        table.add(THEIRS_SMALL, fluvio_producer(&cluster, n_records, &[]));
        table.add(
            CLIENT_IN,
            fluvio_client_producer(&endpoint, n_records).await,
        );
        table.add(OURS_OUT, consume(&*log, &at, n_records).await);
        table.add(THEIRS_OUT, fluvio_consume(&cluster, &name, n_records));
        table.add(
            CLIENT_OUT,
            fluvio_client_consumer(&endpoint, &name, n_records).await,
        );
        let at = create(&*embedded, &name).await;
        table.add(EMBEDDED_IN, produce(&embedded, &at, n_records).await);
        table.add(EMBEDDED_OUT, consume(&*embedded, &at, n_records).await);
    }
    let n_screened = number("TELESIFT_BENCH_SCREENED", 50_000);
    for (name, log) in [(SCREEN, log), (SCREEN_EMBEDDED, embedded)] {
        table.add(name, support::screen(log, n_screened).await);
    }
    table.print();
}

const OURS_IN: &str = "log-fluvio: append, acknowledged, commits of 1,000, 8 at a time";
const THEIRS_IN: &str = "`fluvio benchmark producer`, batches of 1 MiB as the log's";
const THEIRS_SMALL: &str = "`fluvio benchmark producer`, batches as it makes them (16 KiB)";
const CLIENT_IN: &str = "Fluvio's client in this program: produce and flush, batches of 1 MiB";
const OURS_OUT: &str = "log-fluvio: read from the start";
const THEIRS_OUT: &str = "`fluvio consume -B -d`, to nowhere";
const CLIENT_OUT: &str = "Fluvio's client in this program: stream from the start";
const EMBEDDED_IN: &str = "embedded log: append, synced, commits of 1,000, 8 at a time";
const EMBEDDED_OUT: &str = "embedded log: read from the start";
const SCREEN: &str = "screen on Fluvio, one partition, batches of 1,000";
const SCREEN_EMBEDDED: &str = "screen on the embedded log, the same";

/// What each row is to be compared with.
const BESIDE: [(&str, &str); 4] = [
    (OURS_IN, THEIRS_IN),
    (CLIENT_IN, THEIRS_IN),
    (OURS_OUT, THEIRS_OUT),
    (CLIENT_OUT, THEIRS_OUT),
];

/// Records per second, of each round.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<f64>)>);

impl Table {
    fn add(&mut self, what: &'static str, rate: f64) {
        println!("{what}: {rate:.0}/s");
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, rates)) => rates.push(rate),
            None => self.0.push((what, vec![rate])),
        }
    }

    fn print(&self) {
        println!(
            "\n| what | records/s, the median | all rounds | of Fluvio's own |\n|---|---|---|---|"
        );
        for (what, rates) in &self.0 {
            let beside = BESIDE.iter().find(|(name, _)| name == what);
            let theirs = beside.and_then(|(_, other)| self.0.iter().find(|(n, _)| n == other));
            let ratio = theirs.map(|(_, theirs)| format!("{:.2}", median(rates) / median(theirs)));
            let all: Vec<String> = rates.iter().map(|r| format!("{r:.0}")).collect();
            println!(
                "| {what} | {:.0} | {} | {} |",
                median(rates),
                all.join(", "),
                ratio.unwrap_or_default()
            );
        }
    }
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
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

fn rate(n_records: usize, started: Instant) -> f64 {
    n_records as f64 / started.elapsed().as_secs_f64()
}

async fn produce(log: &Arc<dyn RecordLog>, at: &TopicPartition, n_records: usize) -> f64 {
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
    rate(n_records, started)
}

async fn consume(log: &dyn RecordLog, at: &TopicPartition, n_records: usize) -> f64 {
    let started = Instant::now();
    let (mut next, mut n_read) = (Offset::ZERO, 0);
    while n_read < n_records {
        let batch = log.read(at, next, ReadLimits::default()).await.unwrap();
        n_read += batch.records.len();
        next = batch.next;
    }
    rate(n_read, started)
}

/// Fluvio's own benchmark, as its command line is built.
fn fluvio_producer(cluster: &TestCluster, n_records: usize, more: &[&str]) -> f64 {
    let (n, size) = (n_records.to_string(), RECORD_BYTES.to_string());
    let mut arguments = vec!["benchmark", "producer", "--num-records", &n];
    arguments.extend(["--record-size", &size, "--num-samples", "1"]);
    arguments.extend(more);
    let output = cluster.fluvio(&arguments).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|l| l.contains("total records sent"));
    let rate = line.and_then(|l| l.split(" records/sec").next()?.rsplit(' ').next());
    let rate = rate.and_then(|r| r.parse().ok());
    rate.unwrap_or_else(|| panic!("no rate: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The producer of the same client, built as this is.
async fn fluvio_client_producer(endpoint: &str, n_records: usize) -> f64 {
    let config = FluvioClusterConfig::new(endpoint);
    let client = fluvio::Fluvio::connect_with_config(&config).await.unwrap();
    let admin = client.admin().await;
    let topic = "bench-client";
    let spec = TopicSpec::new_computed(1, 1, None);
    admin.create(topic.to_owned(), false, spec).await.unwrap();
    let config = TopicProducerConfigBuilder::default()
        .batch_size(1 << 20)
        .max_request_size(2 << 20)
        .linger(Duration::from_millis(10))
        .isolation(Isolation::ReadUncommitted)
        .build()
        .unwrap();
    let producer = client
        .topic_producer_with_config(topic, config)
        .await
        .unwrap();
    let value = vec![b'x'; RECORD_BYTES];
    let started = Instant::now();
    for _ in 0..n_records {
        producer.send(RecordKey::NULL, value.clone()).await.unwrap();
    }
    producer.flush().await.unwrap();
    let rate = rate(n_records, started);
    admin.delete::<TopicSpec>(topic).await.unwrap();
    rate
}

/// Fluvio's command line, which has no benchmark of consumers (`consume not implemented`), reading what the log wrote.
fn fluvio_consume(cluster: &TestCluster, topic: &str, n_records: usize) -> f64 {
    let arguments = ["consume", topic, "-B", "-d", "--maxbytes", MAX_BYTES];
    let mut command = cluster.fluvio_command(&arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap()).split(b'\n');
    let n_read = lines
        .map(|line| line.unwrap())
        .filter(|l| l.len() == RECORD_BYTES);
    let n_read = n_read.count();
    assert!(child.wait().unwrap().success());
    assert_eq!(n_read, n_records, "of `fluvio consume`");
    rate(n_read, started)
}

/// The stream of the same client, built as this is.
async fn fluvio_client_consumer(endpoint: &str, topic: &str, n_records: usize) -> f64 {
    let config = FluvioClusterConfig::new(endpoint);
    let client = fluvio::Fluvio::connect_with_config(&config).await.unwrap();
    let consumer = ConsumerConfigExtBuilder::default()
        .topic(topic)
        .partition(0)
        .offset_start(FluvioOffset::beginning())
        .offset_strategy(OffsetManagementStrategy::None)
        .max_bytes(MAX_BYTES.parse().unwrap())
        .build()
        .unwrap();
    let started = Instant::now();
    let mut stream = client.consumer_with_config(consumer).await.unwrap();
    for n_read in 0..n_records {
        let next = tokio::time::timeout(STANDS_STILL, stream.next()).await;
        let record = next.unwrap_or_else(|_| panic!("nothing more after {n_read} records"));
        record.unwrap().unwrap();
    }
    rate(n_records, started)
}
