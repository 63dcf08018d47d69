//! Several workers on one Fluvio cluster, one Postgres and one message store: they share the work, and one that is frozen
//! and wakes leaves no trace.

#[path = "../../../catalog/tests/catalog/server.rs"]
#[expect(dead_code, reason = "not every test wants everything of a server")]
mod postgres;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};

use serde_json::Value;
use telesift_log_fluvio::testing::TestCluster;

use crate::server::{Home, Server, export, telesift, texts};

/// Seals what the catalog keeps secret: all workers must have the same.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Short, so that the test is.
const LEASE_MS: u64 = 2_000;

/// What the workers share.
struct Site {
    _cluster: TestCluster,
    _postgres: postgres::Server,
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Site {
    /// `None`, said aloud, where Fluvio or Postgres cannot be had.
    async fn open() -> Option<Self> {
        let cluster = TestCluster::start(1).await?;
        let postgres = postgres::Server::start()?;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("workers.toml");
        let text = format!(
            "[log]\nkind = \"fluvio\"\n[log.fluvio]\nendpoint = \"{}\"\n\
             [catalog]\nurl = \"{}\"\n[store]\nuri = \"{}\"\n[workers]\nlease_ms = {LEASE_MS}\n",
            cluster.endpoint(),
            postgres.url("postgres"),
            folder.path().join("store").display(),
        );
        fs::write(&config, text).unwrap();
        Some(Site {
            _cluster: cluster,
            _postgres: postgres,
            folder,
            config,
        })
    }

    /// A worker of all roles, called `name`.
    fn serve(&self, name: &str) -> (Home, Server) {
        let home = Home::at(&self.folder.path().join(name));
        let mut command = telesift();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&self.config)
            .env("TELESIFT__WORKERS__NAME", name)
            .env("TELESIFT_SECRET_KEY", SECRET);
        let server = Server::start(&home, &mut command);
        (home, server)
    }
}

/// How many screens each worker holds, by its name, and who writes the store.
async fn shares(server: &Server) -> (BTreeMap<String, usize>, Option<String>) {
    let stats = server.get("/v1/stats/pipeline").await;
    let (mut screens, mut writer) = (BTreeMap::new(), None);
    for item in stats["items"].as_array().unwrap() {
        let Some(worker) = item["held_by"].as_str() else {
            continue;
        };
        let name = worker.split('/').next().unwrap().to_owned();
        match item["stage"].as_str() {
            Some("screen") => *screens.entry(name).or_default() += 1,
            Some("index") => writer = Some(name),
            _ => {}
        }
    }
    (screens, writer)
}

async fn until_shared(server: &Server, screens: &[(&str, usize)], writer: &str) {
    let wanted: BTreeMap<String, usize> =
        screens.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect();
    server
        .until(|| async {
            let (screens, held) = shares(server).await;
            (screens == wanted && held.as_deref() == Some(writer)).then_some(())
        })
        .await;
}

/// Everything a user could see, and the ledger without who holds what.
async fn seen(
    server: &Server,
) -> (
    Vec<(u64, u64, Value)>,
    BTreeMap<String, Value>,
    Vec<Value>,
    u64,
) {
    let mut ledger = server.settled().await;
    for item in &mut ledger {
        let item = item.as_object_mut().unwrap();
        item.remove("held_by");
        item.remove("held_since");
    }
    ledger.retain(|item| item["stage"] == "screen" || item["stage"] == "index");
    let messages = server.messages().await;
    let n_listed = messages.len();
    let messages: BTreeMap<String, Value> = messages
        .into_iter()
        .map(|mut m| {
            m["story"] = Value::Null;
            (m["id"].as_str().unwrap().to_owned(), m)
        })
        .collect();
    assert_eq!(messages.len(), n_listed, "no message stands twice");
    let records = server.records("messages").await;
    (
        records,
        messages,
        ledger,
        server.n_records("dead-letters").await,
    )
}

fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &server.pid().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Chats for every partition.
async fn import_all(server: &Server, seed: u64) {
    for chat in 1..=6 {
        let body = export(
            1_000_000 + chat,
            seed as i64 * 1_000,
            &texts(seed + chat as u64, 60),
        );
        server.import("chats", body).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_wakes_and_leaves_no_trace() {
    let Some(site) = Site::open().await else {
        return;
    };
    let (_first_home, first) = site.serve("first");
    import_all(&first, 1).await;
    first.settled().await;
    until_shared(&first, &[("first", 4)], "first").await;
    let (_second_home, second) = site.serve("second");
    until_shared(&second, &[("first", 2), ("second", 2)], "first").await;

    // Frozen in the middle of whatever it is doing: it screens half of this, and stores all of it.
    let mut imports = Vec::new();
    for chat in 1..=6 {
        let body = export(1_000_000 + chat, 50_000, &texts(40 + chat as u64, 400));
        let (status, queued) = second.upload("more", body).await;
        assert_eq!(status, 202, "{queued}");
        imports.push(queued["id"].as_str().unwrap().to_owned());
    }
    second
        .until(|| async { (second.n_records("telegram-raw").await > 400).then_some(()) })
        .await;
    signal(&first, "-STOP");
    until_shared(&second, &[("second", 4)], "second").await;
    for id in &imports {
        second.imported(id).await;
    }
    let before = seen(&second).await;
    assert_eq!(before.3, 0, "no dead letters");
    tokio::time::sleep(Duration::from_millis(frozen_ms())).await;

    signal(&first, "-CONT");
    // It notices, and is given its share again.
    until_shared(&second, &[("first", 2), ("second", 2)], "first").await;
    assert_eq!(seen(&second).await, before);
    assert_eq!(seen(&first).await, before);

    // And a death is noticed.
    first.kill();
    until_shared(&second, &[("second", 4)], "second").await;
    import_all(&second, 20).await;
    second.settled().await;
}

/// How much longer the worker stays frozen once another has its work: `make crash` takes its time.
fn frozen_ms() -> u64 {
    let named = std::env::var("TELESIFT_TEST_FROZEN_MS").ok();
    named.and_then(|ms| ms.parse().ok()).unwrap_or(0)
}
