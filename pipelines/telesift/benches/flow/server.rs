//! A server of this build, started for the run, asked over HTTP and watched through /proc.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Searches measured, after as many to warm up.
const N_SEARCHES: usize = 200;

/// Fresh rows that maintenance leaves to a scan, by default.
const MAX_TAIL: f64 = 2_000.0;

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

pub(crate) struct Server {
    child: Child,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Self {
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
        let key = std::fs::read_to_string(data.join("admin.key")).unwrap();
        Server {
            child,
            url: ready.expect("the server gets ready"),
            key: key.trim().to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// Stops it the way an operator does.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            self.child.kill().unwrap();
        }
        self.child.wait().unwrap();
    }

    pub(crate) async fn upload(&self, file: &Path) {
        let file = tokio::fs::File::open(file).await.unwrap();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
        let request = self
            .http
            .post(format!("{}/v1/imports?name=bench", self.url));
        let response = request.bearer_auth(&self.key).body(body).send();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
    }

    async fn text(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.url));
        let response = request.bearer_auth(&self.key).send().await.unwrap();
        response.text().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    /// Records in a topic.
    pub(crate) async fn count(&self, topic: &str) -> u64 {
        let topics = self.get("/v1/topics").await;
        let mut topics = topics["items"].as_array().unwrap().iter();
        let topic = topics.find(|t| t["topic"] == topic).unwrap();
        let partitions = topic["partitions"].as_array().unwrap().iter();
        partitions.map(|p| p["end"].as_u64().unwrap()).sum()
    }

    /// Messages the index stage has stored.
    pub(crate) async fn indexed(&self) -> u64 {
        let stats = self.get("/v1/stats/pipeline").await;
        let items = stats["items"].as_array().unwrap().iter();
        let of_index = items.filter(|i| i["stage"] == "index");
        of_index.map(|i| i["emitted"].as_u64().unwrap()).sum()
    }

    /// Whether a search finds the message of this number first.
    pub(crate) async fn finds(&self, number: u64) -> bool {
        let query = json!({"query": number.to_string(), "mode": "text", "limit": 1,
            "filter": {"include_noise": true}});
        let found = self.search(&query).await;
        let text = found["hits"][0]["message"]["text"].as_str();
        text.is_some_and(|text| text.ends_with(&format!("№{number}")))
    }

    async fn search(&self, query: &Value) -> Value {
        let request = self.http.post(format!("{}/v1/search", self.url));
        let response = request.bearer_auth(&self.key).json(query).send();
        let response = response.await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap()
    }

    /// Whether maintenance has seen all `n` messages and left no more than the tail that is found by a scan out of the
    /// index.
    pub(crate) async fn covers(&self, index: &str, n: u64) -> bool {
        let unindexed = format!(r#"telesift_store_unindexed_rows{{index="{index}"}}"#);
        let (rows, left) = (
            self.metric("telesift_store_rows ").await,
            self.metric(&unindexed).await,
        );
        rows == Some(n as f64) && left.is_some_and(|left| left <= MAX_TAIL)
    }

    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.text("/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
    }

    pub(crate) async fn until(&self, is_done: impl AsyncFn(&Server) -> bool) {
        while !is_done(self).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until it has nothing left to do but to answer, or for a minute: reading the conversations of a million messages
    /// takes hours, in the background.
    pub(crate) async fn settle(&self) {
        for _ in 0..30 {
            let before = self.cpu();
            tokio::time::sleep(Duration::from_secs(2)).await;
            if self.cpu() - before < 0.2 {
                return;
            }
        }
    }

    /// Median and 95th percentile of a search, warm, in milliseconds.
    pub(crate) async fn latency(&self, mode: &str) -> (f64, f64) {
        let mut took = Vec::with_capacity(N_SEARCHES);
        for i in 0..2 * N_SEARCHES {
            let query = json!({"query": QUERIES[i % QUERIES.len()], "mode": mode, "limit": 20});
            let started = Instant::now();
            self.search(&query).await;
            if i >= N_SEARCHES {
                took.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        took.sort_by(f64::total_cmp);
        (took[N_SEARCHES / 2], took[N_SEARCHES * 95 / 100])
    }

    /// Seconds of CPU it has used; 0 where the system does not tell.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // Fields 14 and 15, in ticks of 10 ms on Linux; the name, in brackets, was field 2.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after_name.split_whitespace().skip(11).take(2);
        ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    /// A line of /proc/PID/status, as MiB.
    pub(crate) fn memory(&self, field: &str) -> String {
        format!("{} MiB", memory_mib(&self.child.id().to_string(), field))
    }
}

/// A line of /proc/PID/status, in MiB; 0 where there is none.
pub(crate) fn memory_mib(pid: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(field));
    let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
