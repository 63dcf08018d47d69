//! The webhook under load: so many requests a second for so long, how soon each is answered, and whether all are in the log.
//!
//! `cargo bench -p telesift --bench webhook`; `TELESIFT_BENCH_RATE` requests a second (1,000) for `TELESIFT_BENCH_S` seconds
//! (60), over `TELESIFT_BENCH_CONNECTIONS` connections (64). Each request is due at its own time, whether or not the ones
//! before were answered, and its latency counts from there: a server that falls behind is not let off.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

const SECRET: &str = "bench-secret";

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench(
        number("TELESIFT_BENCH_RATE", 1_000),
        number("TELESIFT_BENCH_S", 60),
        number("TELESIFT_BENCH_CONNECTIONS", 64),
    ));
}

async fn bench(rate: u64, seconds: u64, connections: u64) {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    server.add_bot().await;
    let n = rate * seconds;
    let http = reqwest::Client::builder()
        .pool_max_idle_per_host(connections as usize)
        .build()
        .unwrap();
    let (permits, url) = (
        Arc::new(Semaphore::new(connections as usize)),
        format!("{}/v1/telegram/webhook/bench", server.url),
    );
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..n {
        let due = begun + Duration::from_secs_f64(id as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        let (http, url, permits) = (http.clone(), url.clone(), permits.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            let request = http
                .post(url)
                .header("x-telegram-bot-api-secret-token", SECRET)
                .body(update(id as i64).to_string());
            let status = request.send().await.map(|a| a.status().as_u16());
            (status.unwrap_or(0), due.elapsed())
        });
    }
    let answers = tasks.join_all().await;
    let took = begun.elapsed();
    let n_taken = answers.iter().filter(|(status, _)| *status == 200).count() as u64;
    let mut waits: Vec<Duration> = answers.into_iter().map(|(_, wait)| wait).collect();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let stored = server.count("telegram-raw").await;

    println!("| webhook, {rate} requests/s for {seconds} s | |");
    println!("|---|---|");
    println!("| answered with 200 | {n_taken} of {n} |");
    println!("| in the log | {stored} |");
    println!("| requests/s | {:.0} |", n as f64 / took.as_secs_f64());
    for (what, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("worst", 1.0)] {
        println!("| {what}, ms | {:.1} |", at(share));
    }
    assert_eq!(stored, n_taken, "accepted = stored");
}

fn update(id: i64) -> Value {
    json!({"update_id": id, "message": {
        "message_id": id, "date": 1_767_607_200 + id, "chat": {"id": -1_002_100_000_000 - id % 200, "title": "Bench", "type": "supergroup"},
        "from": {"id": 777, "is_bot": false, "first_name": "Olena"},
        "text": format!("Повідомлення номер {id}: збірка зелена, реліз переноситься на четвер, деталі за посиланням https://example.org/{id}"),
    }})
}

struct Server {
    child: Child,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_telesift"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map(|line| line.unwrap())
            .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
            .unwrap();
        let key = std::fs::read_to_string(data.join("admin.key")).unwrap();
        Server {
            child,
            url,
            key: key.trim().to_owned(),
            http: reqwest::Client::new(),
        }
    }

    async fn add_bot(&self) {
        let bot = json!({"name": "bench", "token": "1:bench", "secret": SECRET, "register": false});
        let request = self.http.post(format!("{}/v1/bots", self.url));
        let answer = request.bearer_auth(&self.key).json(&bot).send().await;
        assert_eq!(answer.unwrap().status(), 201);
    }

    async fn count(&self, topic: &str) -> u64 {
        let request = self.http.get(format!("{}/v1/topics", self.url));
        let answer = request.bearer_auth(&self.key).send().await.unwrap();
        let topics: Value = answer.json().await.unwrap();
        let topics = topics["items"].as_array().unwrap().iter();
        let found = topics.filter(|t| t["topic"] == topic);
        found
            .flat_map(|t| t["partitions"].as_array().unwrap())
            .map(|p| p["end"].as_u64().unwrap())
            .sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
