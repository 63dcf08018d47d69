//! The whole flow in release mode, through HTTP: export file to found by search, search latency, cold start, memory.
//!
//! `make bench N=100000`, or `TELESIFT_BENCH_N=… cargo bench -p telesift`: how many messages (1,000,000). The texts are
//! the shared posts, cut to 300 characters, where they are there, else the bundled sample's; each gets a number of its
//! own. Beside the clock stands the server's own CPU time, which a busy machine does not change much.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[path = "flow/export.rs"]
mod export;
#[path = "flow/server.rs"]
mod server;

use server::Server;

/// Messages of a run whose figures are asked for.
const N_ASKED: u64 = 1_000_000;
/// Set for the child process that only reads an export.
const READ_ONLY: &str = "TELESIFT_BENCH_READ";

fn main() {
    // `cargo test` runs benches too, with this flag missing; measuring takes minutes.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    if let Some(file) = std::env::var_os(READ_ONLY) {
        let n_read = export::read_all(Path::new(&file));
        println!("{n_read} {}", server::memory_mib("self", "VmHWM"));
        return;
    }
    let n = std::env::var("TELESIFT_BENCH_N").ok();
    let n = n.and_then(|n| n.parse().ok()).unwrap_or(N_ASKED);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench(n));
}

async fn bench(n: u64) {
    let home = tempfile::tempdir_in(target_dir()).unwrap();
    let file = home.path().join("export.json");
    let corpus = export::write(&file, n);
    let megabytes = std::fs::metadata(&file).unwrap().len() / 1_000_000;
    println!("{n} messages, {megabytes} MB, texts of {corpus}; figures are asked for {N_ASKED}\n");
    println!("| what | measured | seconds of server CPU | asked |");
    println!("|---|---|---|---|");
    reading_side(&file, n);

    let data = home.path().join("data");
    let server = Server::start(&data);
    intake(&server, &file, n).await;
    row(
        "memory of the server, highest",
        &server.memory("VmHWM"),
        "",
        "< 1,500 MiB",
    );
    server.settle().await;
    for (mode, asked) in [
        ("text", ""),
        ("vector", ""),
        ("hybrid", "p50 < 25, p95 < 60 ms"),
    ] {
        let (p50, p95) = server.latency(mode).await;
        let measured = format!("p50 {p50:.1}, p95 {p95:.1} ms");
        row(
            &format!("{mode} search through HTTP, warm"),
            &measured,
            "",
            asked,
        );
    }
    server.stop();

    let started = Instant::now();
    let server = Server::start(&data);
    let took = format!("{:.2} s", started.elapsed().as_secs_f64());
    row("start to ready", &took, "", "< 3 s");
    row("memory after the start", &server.memory("VmRSS"), "", "");
    server.stop();
    let megabytes = size_of(&data) / 1_000_000;
    row(
        "on disk: log, catalog, store",
        &format!("{megabytes} MB"),
        "",
        "",
    );
}

/// From the file to the last message found, and on until the indexes cover everything.
async fn intake(server: &Server, file: &Path, n: u64) {
    let (started, cpu) = (Instant::now(), server.cpu());
    let stage = |what: &str, asked: &str| {
        let (took, cpu) = (started.elapsed(), server.cpu() - cpu);
        row(what, &rate(n, took), &format!("{cpu:.1}"), asked);
    };
    server.upload(file).await;
    server
        .until(async |s| s.count("telegram-raw").await == n)
        .await;
    stage("export file → appended, durable", "");
    server.until(async |s| s.count("messages").await == n).await;
    stage("→ screened", "");
    server
        .until(async |s| s.indexed().await == n && s.finds(n - 1).await)
        .await;
    stage("→ found by search", "≥ 10,000/s");
    server.until(async |s| s.covers("text", n).await).await;
    stage("→ text index covers all but a tail of 2,000", "≥ 5,000/s");
    server.until(async |s| s.covers("vector", n).await).await;
    stage("→ vector index covers all but a tail of 2,000", "");
    let seconds = server.metric(r#"telesift_store_maintenance_seconds_sum{step="learn_vectors"}"#);
    let seconds = seconds.await.unwrap_or_default();
    row(
        "building the vector index alone",
        &format!("{seconds:.1} s"),
        "",
        "its time",
    );
}

/// Reading an export by itself: how much memory, in a process of its own.
fn reading_side(file: &Path, n: u64) {
    let started = Instant::now();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--bench")
        .env(READ_ONLY, file)
        .output()
        .unwrap();
    let told = String::from_utf8(child.stdout).unwrap();
    let (n_read, memory) = told.trim().split_once(' ').unwrap();
    assert_eq!(n_read, n.to_string());
    let measured = format!("{memory} MiB, {}", rate(n, started.elapsed()));
    row(
        "reading the export alone, memory at its highest",
        &measured,
        "",
        "< 100 MiB",
    );
}

fn row(what: &str, measured: &str, cpu: &str, asked: &str) {
    println!("| {what} | {measured} | {cpu} | {asked} |");
}

fn rate(n: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    format!("{:.0}/s in {seconds:.1} s", n as f64 / seconds)
}

/// Beside the build's own files: a disk, where the temporary directory may be memory.
fn target_dir() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    bench.parent().unwrap().to_owned()
}

fn size_of(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|e| match e.file_type().unwrap().is_dir() {
            true => size_of(&e.path()),
            false => e.metadata().unwrap().len(),
        })
        .sum()
}
