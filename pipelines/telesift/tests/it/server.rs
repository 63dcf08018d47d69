//! A telesift server of a test's own: on a temporary directory and a free port, ended with the test.

use std::{
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A data directory, with or without a server running on it.
pub(crate) struct Home {
    dir: PathBuf,
    _temporary: Option<TempDir>,
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// Open as long as the server runs: one that restarts itself says again that it is ready.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    /// What it printed before it was ready.
    pub(crate) printed: Vec<String>,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    /// The admin key; empty where no users are served.
    pub(crate) key: String,
    http: reqwest::Client,
}

pub(crate) fn telesift() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telesift"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TELESIFT")) {
        command.env_remove(name);
    }
    command
}

impl Home {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Home {
            dir: temporary.path().to_owned(),
            _temporary: Some(temporary),
        }
    }

    /// A data directory in a directory of somebody else's.
    pub(crate) fn at(directory: &Path) -> Self {
        Home {
            dir: directory.join("data"),
            _temporary: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start(self, telesift().args(["serve", "--listen", "127.0.0.1:0"]))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = telesift();
        command.args(args).arg("--data-dir").arg(self.path());
        command
    }
}

impl Server {
    pub(crate) fn start(home: &Home, command: &mut Command) -> Self {
        let mut child = command
            .arg("--data-dir")
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = Vec::new();
        let url = loop {
            let Some(line) = lines.next() else {
                panic!("the server ended before it was ready: {:?}", child.wait());
            };
            let line = line.unwrap();
            if let Some(url) = line.strip_prefix("ready ") {
                break url.to_owned();
            }
            printed.push(line);
        };
        // A worker that serves no users makes none.
        let key = std::fs::read_to_string(home.path().join("admin.key"))
            .unwrap_or_default()
            .trim()
            .to_owned();
        Server {
            child,
            stdout: Some(lines),
            printed,
            url,
            key,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How often the server, which is to be killed now, said that it was ready after the first time.
    pub(crate) fn n_restarts(mut self) -> usize {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let lines = self
            .stdout
            .take()
            .into_iter()
            .flatten()
            .map_while(Result::ok);
        lines.filter(|line| line.starts_with("ready ")).count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until the process has ended; how it did.
    pub(crate) async fn until_ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The answer to a GET, if there is one: the server may be down or starting.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Value> {
        let response = self.request(Method::GET, path).send().await.ok()?;
        response.error_for_status().ok()?.json().await.ok()
    }

    /// SIGTERM; how it ended and how long it took.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        (self.child.wait().unwrap(), started.elapsed())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn search(&self, query: &str) -> Value {
        let body =
            serde_json::json!({"query": query, "limit": 10, "filter": {"include_noise": true}});
        let response = self
            .request(Method::POST, "/v1/search")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(
            response.status().is_success(),
            "search {query}: {}",
            response.status()
        );
        response.json().await.unwrap()
    }

    /// Uploads; the answer with its status.
    pub(crate) async fn upload(&self, name: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self
            .request(Method::POST, "/v1/imports")
            .query(&[("name", name)])
            .body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Uploads and waits until the import is done.
    pub(crate) async fn import(&self, name: &str, body: Vec<u8>) -> Value {
        let (status, queued) = self.upload(name, body).await;
        assert_eq!(status, 202, "{name}: {queued}");
        self.imported(queued["id"].as_str().unwrap()).await
    }

    pub(crate) async fn imported(&self, id: &str) -> Value {
        self.until(|| async {
            let status = self.get(&format!("/v1/imports/{id}")).await;
            assert_ne!(status["state"], "failed", "{status}");
            (status["state"] == "done").then_some(status)
        })
        .await
    }

    /// Waits until screen and index have worked through everything; the ledger then.
    pub(crate) async fn settled(&self) -> Vec<Value> {
        self.until(|| async {
            let stats = self.get("/v1/stats/pipeline").await;
            let items = stats["items"].as_array().unwrap().clone();
            let sum = |stage: &str, field: &str| -> u64 {
                items
                    .iter()
                    .filter(|i| i["stage"] == stage)
                    .map(|i| i[field].as_u64().unwrap())
                    .sum()
            };
            let raw = self.n_records("telegram-raw").await;
            let done = sum("screen", "received") == raw
                && sum("index", "received") == sum("screen", "emitted")
                && sum("windows", "received") == sum("screen", "emitted")
                && sum("reactions", "received") == self.n_records("reactions").await;
            done.then(|| first(items))
        })
        .await
    }

    /// Hands an export in; its import's id. A machine that is busy may say 503, and when to come again: nothing was taken
    /// in then.
    pub(crate) async fn submit(&self, export: Vec<u8>) -> String {
        let queued = self
            .until(|| async {
                let (status, answer) = self.upload("export", export.clone()).await;
                assert!(status == 202 || status == 503, "{status} {answer}");
                (status == 202).then_some(answer)
            })
            .await;
        queued["id"].as_str().unwrap().to_owned()
    }

    /// A topic and its partitions.
    async fn topic(&self, topic: &str) -> Value {
        let topics = self.get("/v1/topics").await;
        let mut all = topics["items"].as_array().unwrap().iter();
        all.find(|t| t["topic"] == topic).unwrap().clone()
    }

    pub(crate) async fn n_records(&self, topic: &str) -> u64 {
        let topic = self.topic(topic).await;
        topic["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["end"].as_u64().unwrap())
            .sum()
    }

    /// Every record of a topic as `(partition, offset, data)`, in order.
    pub(crate) async fn records(&self, topic: &str) -> Vec<(u64, u64, Value)> {
        let found = self.topic(topic).await;
        let mut records = Vec::new();
        for partition in found["partitions"].as_array().unwrap() {
            let p = partition["partition"].as_u64().unwrap();
            let (mut next, end) = (
                partition["start"].as_u64().unwrap(),
                partition["end"].as_u64().unwrap(),
            );
            while next < end {
                let page = self
                    .get(&format!(
                        "/v1/topics/{topic}/partitions/{p}/records?from={next}&limit=500"
                    ))
                    .await;
                for item in page["items"].as_array().unwrap() {
                    records.push((p, item["offset"].as_u64().unwrap(), item["data"].clone()));
                }
                next = page["next"].as_u64().unwrap();
            }
        }
        records
    }

    /// Every message, noise too; without its subjects, which follow behind.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        let (mut messages, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(&format!(
                    "/v1/messages?include_noise=true&limit=500{cursor}"
                ))
                .await;
            let items = page["items"].as_array().unwrap().iter().cloned();
            messages.extend(items.map(|mut message| {
                message["subjects"].take();
                message
            }));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return messages,
            }
        }
    }

    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, ask: impl Fn() -> F) -> T {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command printed with `--json`: one value a line. It must have succeeded.
pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The bundled sample.
pub(crate) fn sample() -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sample/export.json")).unwrap()
}

/// An export of one chat with these texts, as messages from `first_id` on, a minute apart.
pub(crate) fn export(chat: i64, first_id: i64, texts: &[String]) -> Vec<u8> {
    let messages: Vec<Value> = texts
        .iter()
        .zip(first_id..)
        .map(|(text, id)| {
            let at = 1_767_607_200 + 60 * id;
            serde_json::json!({
                "id": id, "type": "message", "date_unixtime": at.to_string(), "date": "2026-01-05T10:00:00",
                "from": "Оля", "from_id": format!("user{}", 500 + id % 7), "text": text, "text_entities": [],
            })
        })
        .collect();
    let export = serde_json::json!({"name": "Кризовий чат", "type": "private_supergroup", "id": chat, "messages": messages});
    serde_json::to_vec(&export).unwrap()
}

/// `n` different texts of a few words, the same for the same `seed`.
pub(crate) fn texts(seed: u64, n: usize) -> Vec<String> {
    use rand::{Rng as _, SeedableRng as _};
    const WORDS: [&str; 12] = [
        "сервер",
        "впав",
        "deploy",
        "готовий",
        "база",
        "релиз",
        "перевірте",
        "logs",
        "сьогодні",
        "срочно",
        "meeting",
        "дякую",
    ];
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut word = || WORDS[random.random_range(0..WORDS.len())];
    (0..n)
        .map(|i| format!("{} {} {} {} № {seed}-{i}", word(), word(), word(), word()))
        .collect()
}

/// The ledger without the stages that follow behind at a pace of their own: what is read of conversations, and what is known
/// by it.
pub(crate) fn first(mut ledger: Vec<Value>) -> Vec<Value> {
    const BEHIND: [&str; 7] = [
        "chat-settings",
        "units",
        "labelled-units",
        "unit-catalog",
        "extract",
        "knowledge",
        "atom-index",
    ];
    ledger.retain(|item| BEHIND.iter().all(|stage| item["stage"] != *stage));
    ledger
}

/// The topics without those such stages write.
pub(crate) fn first_topics(topics: &Value) -> Vec<Value> {
    const BEHIND: [&str; 3] = ["units", "extractions", "atoms"];
    let mut topics = topics["items"].as_array().unwrap().clone();
    topics.retain(|item| BEHIND.iter().all(|topic| item["topic"] != *topic));
    topics
}
