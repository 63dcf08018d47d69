//! The live tail over real sockets: latency, idle sockets' memory, and full fan-out beside a bare one.
//!
//! `cargo bench -p telesift-api --bench tail`. Server and clients share this machine; the clients of the memory figure are
//! a process of their own.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

mod tail {
    pub(crate) mod bare;
    #[path = "../../tests/api/desk/bots.rs"]
    pub(crate) mod bots;
    pub(crate) mod clients;
    #[path = "../../tests/api/fake_imports.rs"]
    #[expect(
        dead_code,
        reason = "tests look at what was taken; a tail takes nothing"
    )]
    pub(crate) mod fake_imports;
    #[path = "../../tests/api/fake_replays.rs"]
    pub(crate) mod fake_replays;
    #[path = "../../tests/api/desk/rules.rs"]
    pub(crate) mod rules;
    pub(crate) mod served;
}

use tail::{bare, clients, served::Served};
use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::memory::MemoryLog;

/// Messages per second of the latency figure, and for how long.
const RATE: u64 = 2_000;
const SECONDS: u64 = 20;
/// Clients of the latency figure, each filtered to one of so many chats.
const N_FILTERED: usize = 200;
const N_CHATS: u64 = 100;
/// Idle sockets of the memory figure.
const N_IDLE: usize = 5_000;
/// Clients and messages of the fan-out.
const N_FAN: usize = 100;
const N_FAN_MESSAGES: u64 = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, address, key] = &arguments[..]
        && word == "idle-clients"
    {
        return clients::idle(address.parse().unwrap(), key, N_IDLE);
    }
    println!("| live tail | | |\n|---|---|---|");
    latency();
    idle();
    fan_out();
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

/// Append to receipt, through the synced log.
fn latency() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(EmbeddedLogConfig::new(dir.path().join("log"))).unwrap();
    let runtime = runtime(2);
    let mut took = runtime.block_on(async {
        let served = Served::start(Arc::new(log)).await;
        let receiving: Vec<_> = (0..N_FILTERED)
            .map(|n| {
                let chat = n as u64 % N_CHATS;
                let (address, key) = (served.address, served.key.clone());
                let n_expected = RATE * SECONDS / N_CHATS;
                async move {
                    let client = clients::open(address, &key, &served_filter(chat)).await;
                    tokio::spawn(clients::latencies(client, n_expected))
                }
            })
            .collect();
        let receiving = futures::future::join_all(receiving).await;
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        for batch in 0..SECONDS * 200 {
            tick.tick().await;
            let first = batch * RATE / 200;
            served.append(first..first + RATE / 200, N_CHATS).await;
        }
        let mut took = Vec::new();
        for client in receiving {
            took.extend(client.await.unwrap());
        }
        served.stop().await;
        took
    });
    took.sort_unstable();
    assert_eq!(
        took.len() as u64,
        2 * RATE * SECONDS,
        "every message, to both clients of its chat"
    );
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!(
        "| append to client, {RATE} messages/s, {N_FILTERED} clients filtered to a hundredth each | p50 {:.1} ms | p99 {:.1} ms |",
        at(0.5),
        at(0.99)
    );
}

fn served_filter(chat: u64) -> String {
    format!(
        "messages/tail?include_noise=true&chat={}",
        Served::chat(chat)
    )
}

/// What sockets cost that hear heartbeats only.
fn idle() {
    let runtime = runtime(2);
    runtime.block_on(async {
        let served = Served::start(Arc::new(MemoryLog::new())).await;
        let before = resident_mib();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["idle-clients", &served.address.to_string(), &served.key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let heard = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            line
        });
        assert_eq!(
            heard.await.unwrap().trim(),
            "all have had a second heartbeat"
        );
        let cost = resident_mib() - before;
        println!(
            "| {N_IDLE} idle sockets | {cost:.0} MiB more resident | {:.1} KiB each |",
            cost * 1_024.0 / N_IDLE as f64
        );
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        child.wait().unwrap();
        served.stop().await;
    });
}

/// Every client gets everything, as fast as it goes.
fn fan_out() {
    let runtime = runtime(2);
    let (own, frame_bytes) = runtime.block_on(async {
        let served = Served::start(Arc::new(MemoryLog::new())).await;
        let path = "messages/tail?include_noise=true".to_owned();
        let opening = (0..N_FAN).map(|_| clients::open(served.address, &served.key, &path));
        let receiving: Vec<_> = futures::future::join_all(opening)
            .await
            .into_iter()
            .map(|client| tokio::spawn(clients::count(client, N_FAN_MESSAGES)))
            .collect();
        let started = Instant::now();
        for first in (0..N_FAN_MESSAGES).step_by(100) {
            served.append(first..first + 100, N_CHATS).await;
        }
        let mut n_bytes = 0;
        for client in receiving {
            n_bytes += client.await.unwrap();
        }
        let took = started.elapsed();
        served.stop().await;
        (took, n_bytes / (N_FAN as u64 * N_FAN_MESSAGES))
    });
    let bare = runtime.block_on(bare::fan_out(N_FAN, N_FAN_MESSAGES, frame_bytes as usize));
    let rate = |took: Duration| (N_FAN as u64 * N_FAN_MESSAGES) as f64 / took.as_secs_f64();
    println!(
        "| full fan-out, {N_FAN} clients × {N_FAN_MESSAGES} messages of {frame_bytes} bytes, none closed | {:.0} frames/s | {:.2} of a bare WebSocket fan-out ({:.0} frames/s) |",
        rate(own),
        rate(own) / rate(bare),
        rate(bare)
    );
}

/// Of this process, from the system's own account.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}
