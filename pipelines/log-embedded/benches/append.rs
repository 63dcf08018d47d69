//! What the embedded log does on this machine, beside what its disk does: `cargo bench -p telesift-log-embedded`.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{
    RecordLog,
    record_log::{NewRecord, ReadLimits, Retention, TopicConfig, Transaction, UniqueKey},
};
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};

const PARTITIONS: u32 = 4;

fn main() {
    // `cargo test` runs benches too, with this flag missing; measuring takes a minute.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let n_import: u64 = std::env::var("TELESIFT_BENCH_RECORDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let directory = tempfile::tempdir_in(target_dir()).unwrap();
    println!("| what | measured | asked |\n|---|---|---|");
    disk(directory.path());
    runtime.block_on(run(directory.path(), n_import));
}

/// Beside the build's own files: a disk, where the temporary directory may be memory.
fn target_dir() -> std::path::PathBuf {
    let bench = std::env::current_exe().unwrap();
    bench.parent().unwrap().to_owned()
}

fn row(what: &str, result: &str) {
    row_asked(what, result, "");
}

fn row_asked(what: &str, result: &str, asked: &str) {
    println!("| {what} | {result} | {asked} |");
}

/// One writer, 400 bytes and a sync at a time, into a file of its own.
fn disk(path: &Path) {
    let mut file = File::create(path.join("fsync")).unwrap();
    file.set_len(64 << 20).unwrap();
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        let before = Instant::now();
        file.write_all(&[7; 400]).unwrap();
        file.sync_all().unwrap();
        times.push(before.elapsed());
    }
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut times);
    row(
        "the disk itself: write 400 B and fsync, 1 writer",
        &format!("{rate:.0}/s, p50 {p50}, p99 {p99}"),
    );
}

async fn run(path: &Path, n_import: u64) {
    let log = Arc::new(EmbeddedLog::open(EmbeddedLogConfig::new(path.join("log"))).unwrap());
    for topic in ["small", "import"] {
        let config = TopicConfig {
            partitions: PARTITIONS,
            retention: Retention::default(),
        };
        log.create_topic(&Topic::new(topic), config).await.unwrap();
    }
    for n_writers in [1, 64] {
        durable_appends(&log, n_writers).await;
    }
    import(&log, n_import).await;
    read(&log, "just written").await;
    look_up_by_time(&log).await;
    Arc::try_unwrap(log).ok().unwrap().close().await.unwrap();

    let (started, cpu) = (Instant::now(), cpu_seconds());
    let log = EmbeddedLog::open(EmbeddedLogConfig::new(path.join("log"))).unwrap();
    let took = started.elapsed();
    row(
        &format!("opening again with {n_import} records"),
        &format!(
            "{:.2} s ({:.2} s of CPU)",
            took.as_secs_f64(),
            cpu_seconds() - cpu
        ),
    );
    read(&log, "after opening").await;
    log.close().await.unwrap();
    row("resident memory at its highest", &peak_memory());
    row("on disk", &disk_usage(path));
}

fn at(topic: &str, partition: u64) -> TopicPartition {
    let partition = PartitionId((partition % u64::from(PARTITIONS)) as u32);
    TopicPartition::new(Topic::new(topic.to_owned()), partition)
}

/// A record of about 300 bytes of JSON-like text that hardly repeats, with two identities.
fn record(n: u64) -> NewRecord {
    let mut seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = format!(r#"{{"v":1,"update_id":{n},"message":{{"text":""#);
    while text.len() < 290 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let word = WORDS[(seed % WORDS.len() as u64) as usize];
        text.push_str(word);
        text.push(' ');
    }
    text.push_str(r#""}}"#);
    let key = format!("-100{}", n % 97);
    NewRecord {
        unique: vec![
            UniqueKey::new("update", &[&n.to_string()]),
            UniqueKey::new("message", &[&key, &n.to_string(), "0"]),
        ],
        key: Bytes::from(key),
        value: Bytes::from(text),
    }
}

const WORDS: [&str; 12] = [
    "сьогодні",
    "release",
    "доставка",
    "вчера",
    "deploy",
    "ринок",
    "новости",
    "kernel",
    "зустріч",
    "скидка",
    "patch",
    "питання",
];

async fn durable_appends(log: &Arc<EmbeddedLog>, n_writers: u64) {
    let started = Instant::now();
    let until = started + Duration::from_secs(8);
    let mut writers = Vec::new();
    for writer in 0..n_writers {
        let log = log.clone();
        writers.push(tokio::spawn(async move {
            let mut times = Vec::new();
            let mut n = (n_writers << 48) + (writer << 32);
            while Instant::now() < until {
                let append = (at("small", n), record(n));
                n += 1;
                let before = Instant::now();
                log.commit(Transaction::appends(vec![append]))
                    .await
                    .unwrap();
                times.push(before.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for writer in writers {
        times.extend(writer.await.unwrap());
    }
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut times);
    let asked = match n_writers {
        64 => "≥ 5,000/s, p99 < 20 ms",
        _ => "",
    };
    row_asked(
        &format!("durable appends of one record, {n_writers} writers"),
        &format!("{rate:.0}/s, p50 {p50}, p99 {p99}"),
        asked,
    );
}

async fn import(log: &Arc<EmbeddedLog>, n_records: u64) {
    const BATCH: u64 = 1_000;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut times = Vec::new();
    for first in (0..n_records).step_by(BATCH as usize) {
        let numbers = first..(first + BATCH).min(n_records);
        let appends = numbers.map(|n| (at("import", n), record(n))).collect();
        let before = Instant::now();
        log.commit(Transaction::appends(appends)).await.unwrap();
        times.push(before.elapsed());
    }
    let rate = n_records as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut times);
    row(
        &format!("import of {n_records} records in batches of {BATCH}, two identities each"),
        &format!(
            "{rate:.0} records/s, a batch p50 {p50}, p99 {p99} ({:.1} s of CPU)",
            cpu_seconds() - cpu
        ),
    );
}

async fn read(log: &EmbeddedLog, when: &str) {
    let started = Instant::now();
    let (mut n_records, mut n_bytes) = (0, 0);
    for partition in 0..u64::from(PARTITIONS) {
        let at = at("import", partition);
        let mut next = Offset::ZERO;
        loop {
            let batch = log.read(&at, next, ReadLimits::default()).await.unwrap();
            assert!(batch.gaps.is_empty());
            n_records += batch.records.len();
            n_bytes += batch.records.iter().map(|r| r.value.len()).sum::<usize>();
            next = batch.next;
            if next == batch.end {
                break;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    row(
        &format!("reading everything, {when}, 1 reader"),
        &format!(
            "{:.0} records/s, {:.0} MB/s",
            n_records as f64 / seconds,
            n_bytes as f64 / seconds / 1e6
        ),
    );
}

async fn look_up_by_time(log: &EmbeddedLog) {
    let at = at("import", 0);
    let batch = log
        .read(&at, Offset(7), ReadLimits::default())
        .await
        .unwrap();
    let mut times = Vec::new();
    for _ in 0..200 {
        let before = Instant::now();
        log.offset_at(&at, batch.records[0].appended_at)
            .await
            .unwrap();
        times.push(before.elapsed());
    }
    let (p50, p99) = percentiles(&mut times);
    row("offset by time", &format!("p50 {p50}, p99 {p99}"));
}

fn percentiles(times: &mut [Duration]) -> (String, String) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    (ms(at(0.5)), ms(at(0.99)))
}

/// CPU time of this process so far: what a busy machine does not change much.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15, in ticks of 10 ms on Linux; the name was field 2.
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    line.map_or_else(|| "unknown".to_owned(), |l| l[6..].trim().to_owned())
}

fn disk_usage(path: &Path) -> String {
    fn size(path: &Path) -> u64 {
        let entries = std::fs::read_dir(path).unwrap().map(|e| e.unwrap());
        let sizes = entries.map(|e| match e.file_type().unwrap().is_dir() {
            true => size(&e.path()),
            false => e.metadata().unwrap().len(),
        });
        sizes.sum()
    }
    format!("{} MB", size(&path.join("log")) / 1_000_000)
}
