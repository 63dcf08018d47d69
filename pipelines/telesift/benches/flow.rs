//! The whole flow in release mode, through HTTP: export file to found by search, search latency, cold start, memory.
//!
//! `cargo bench -p telesift`; `TELESIFT_BENCH_N` messages (100,000; the target speaks of 1,000,000). The texts are the
//! shared posts where they are there, cut to 300 characters, else the bundled sample's, with new ids each round.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop")]

use std::{
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Searches measured, after as many to warm up.
const N_SEARCHES: usize = 200;
/// Chats the messages are spread over.
const N_CHATS: u64 = 20;
/// Longest text, in characters.
const MAX_CHARS: usize = 300;

const QUERIES: [&str; 8] = [
    "московский зоопарк",
    "курс доллара сегодня",
    "ремонт дороги перекрытие",
    "обновление приложения безопасность",
    "погода снег гололедица",
    "выборы президента",
    "новый смартфон цена",
    "причина пожара",
];

fn main() {
    let n: u64 = std::env::var("TELESIFT_BENCH_N")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench(n));
}

async fn bench(n: u64) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("export.json");
    write_export(&file, n, &texts());
    let bytes = std::fs::metadata(&file).unwrap().len();
    let data = home.path().join("data");

    let server = Server::start(&data);
    let started = Instant::now();
    server.upload(&file).await;
    let imported = server
        .until(started, async |s| s.count("telegram-raw").await == n)
        .await;
    let screened = server
        .until(started, async |s| s.count("messages").await == n)
        .await;
    let indexed = server
        .until(started, async |s| s.indexed().await == n)
        .await;
    let peak = server.memory_mib("VmHWM");
    println!(
        "| {n} messages, {} MB | seconds | messages/s |",
        bytes / 1_000_000
    );
    println!("|---|---|---|");
    for (what, took) in [
        ("appended, durable", imported),
        ("screened", screened),
        ("found by search", indexed),
    ] {
        println!(
            "| {what} | {:.1} | {:.0} |",
            took.as_secs_f64(),
            n as f64 / took.as_secs_f64()
        );
    }
    println!("| peak memory, MiB | {peak} | |");
    for mode in ["text", "vector", "hybrid"] {
        let (p50, p95) = server.latency(mode).await;
        println!("| {mode} search p50, p95, ms | {p50:.1} | {p95:.1} |");
    }
    drop(server);
    let started = Instant::now();
    let server = Server::start(&data);
    println!(
        "| cold start to ready | {:.2} | |",
        started.elapsed().as_secs_f64()
    );
    println!(
        "| memory after the start, MiB | {} | |",
        server.memory_mib("VmRSS")
    );
}

/// Texts to fill the export with.
fn texts() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    if let Ok(folder) = std::fs::read_dir(root.join("../../../shared/data/posts")) {
        let mut files: Vec<PathBuf> = folder.map(|f| f.unwrap().path()).collect();
        files.sort();
        for file in files
            .iter()
            .filter(|f| f.to_string_lossy().ends_with("_messages.json"))
        {
            let posts: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            texts.extend(posts.iter().filter_map(|p| p["text"].as_str().map(cut)));
        }
    }
    if texts.is_empty() {
        eprintln!("no shared posts: the texts are the bundled sample's");
        let sample: Value =
            serde_json::from_slice(&std::fs::read(root.join("sample/export.json")).unwrap())
                .unwrap();
        for chat in sample["chats"]["list"].as_array().unwrap() {
            let entries = chat["messages"].as_array().unwrap();
            texts.extend(entries.iter().filter_map(|m| m["text"].as_str().map(cut)));
        }
    }
    texts
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

fn write_export(path: &Path, n: u64, texts: &[String]) {
    let mut out = BufWriter::new(std::fs::File::create(path).unwrap());
    write!(out, "{{\"chats\":{{\"list\":[").unwrap();
    for chat in 0..N_CHATS {
        let comma = if chat == 0 { "" } else { "," };
        let id = 2_200_000_000 + chat;
        write!(out, "{comma}{{\"name\":\"Chat {chat}\",\"type\":\"public_channel\",\"id\":{id},\"messages\":[").unwrap();
        for (i, number) in (chat..n).step_by(N_CHATS as usize).enumerate() {
            let text = &texts[number as usize % texts.len()];
            let entry = json!({
                "id": i + 1, "type": "message", "date": "2026-01-05T10:00:00",
                "date_unixtime": (1_767_600_000 + number).to_string(), "from": format!("Chat {chat}"),
                "from_id": format!("channel{id}"), "text": format!("{text} №{number}"), "text_entities": [],
            });
            write!(out, "{}{entry}", if i == 0 { "" } else { "," }).unwrap();
        }
        write!(out, "]}}").unwrap();
    }
    write!(out, "]}}}}").unwrap();
    out.flush().unwrap();
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
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let ready = lines.find_map(|l| l.strip_prefix("ready ").map(str::to_owned));
        let key = std::fs::read_to_string(data.join("admin.key"))
            .unwrap()
            .trim()
            .to_owned();
        Server {
            child,
            url: ready.expect("the server gets ready"),
            key,
            http: reqwest::Client::new(),
        }
    }

    async fn upload(&self, file: &Path) {
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(
            tokio::fs::File::open(file).await.unwrap(),
        ));
        let request = self
            .http
            .post(format!("{}/v1/imports?name=bench", self.url))
            .bearer_auth(&self.key)
            .body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
    }

    async fn get(&self, path: &str) -> Value {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn count(&self, topic: &str) -> u64 {
        let topics = self.get("/v1/topics").await;
        let topic = topics["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|t| t["topic"] == topic)
            .unwrap();
        topic["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["end"].as_u64().unwrap())
            .sum()
    }

    async fn indexed(&self) -> u64 {
        let stats = self.get("/v1/stats/pipeline").await;
        let items = stats["items"].as_array().unwrap().iter();
        items
            .filter(|i| i["stage"] == "index")
            .map(|i| i["emitted"].as_u64().unwrap())
            .sum()
    }

    async fn until(&self, started: Instant, is_done: impl AsyncFn(&Server) -> bool) -> Duration {
        while !is_done(self).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        started.elapsed()
    }

    /// Median and 95th percentile of a search, warm, in milliseconds.
    async fn latency(&self, mode: &str) -> (f64, f64) {
        let mut took = Vec::with_capacity(N_SEARCHES);
        for i in 0..2 * N_SEARCHES {
            let body = json!({"query": QUERIES[i % QUERIES.len()], "mode": mode, "limit": 20});
            let started = Instant::now();
            let request = self
                .http
                .post(format!("{}/v1/search", self.url))
                .bearer_auth(&self.key)
                .json(&body);
            let response = request.send().await.unwrap();
            assert!(response.status().is_success());
            response.bytes().await.unwrap();
            if i >= N_SEARCHES {
                took.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        took.sort_by(f64::total_cmp);
        (took[N_SEARCHES / 2], took[N_SEARCHES * 95 / 100])
    }

    /// A line of /proc/PID/status, in MiB; 0 where there is none.
    fn memory_mib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with(field));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok())
            .unwrap_or(0)
            / 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
