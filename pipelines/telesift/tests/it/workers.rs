//! Several workers on one Fluvio cluster, one Postgres and one message store: they share the work, and one that is frozen
//! and wakes leaves no trace.

#[path = "../../../catalog/tests/catalog/server.rs"]
#[expect(dead_code, reason = "not every test wants everything of a server")]
pub(crate) mod postgres;

mod outages;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use telesift_log_fluvio::testing::TestCluster;

use crate::{
    crash_cluster::{read::until_read, sum},
    knowledge,
    server::{Home, Server, export, telesift, texts},
};

/// Seals what the catalog keeps secret: all workers must have the same.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BOT_SECRET: &str = "a-Secret_0f-ours";
/// The default: shorter ones a busy machine loses again and again.
const LEASE_MS: u64 = 6_000;
/// Conversations end all the time, so that they are read while workers freeze.
const SETTLE_MS: u64 = 300;

/// What the workers share.
struct Site {
    _cluster: TestCluster,
    postgres: postgres::Server,
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
             [catalog]\nurl = \"{}\"\n[store]\nuri = \"{}\"\n[workers]\nlease_ms = {LEASE_MS}\n\
             [units]\nsettle_ms = {SETTLE_MS}\n",
            cluster.endpoint(),
            postgres.url("postgres"),
            folder.path().join("store").display(),
        );
        fs::write(&config, text).unwrap();
        Some(Site {
            _cluster: cluster,
            postgres,
            folder,
            config,
        })
    }

    /// A worker of all roles, called `name`.
    fn serve(&self, name: &str) -> (Home, Server) {
        let home = Home::at(&self.folder.path().join(name));
        let mut command = self.command(name);
        let server = Server::start(&home, command.env("TELESIFT_SECRET_KEY", SECRET));
        (home, server)
    }

    /// The same, to be started, without the key of the catalog.
    fn command(&self, name: &str) -> Command {
        let mut command = telesift();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&self.config)
            .env("TELESIFT__WORKERS__NAME", name);
        command
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
#[derive(Debug, PartialEq)]
struct Seen {
    records: Vec<(u64, u64, Value)>,
    messages: BTreeMap<String, Value>,
    ledger: Vec<Value>,
    /// What is known of conversations, as it stands and as the log tells it, version by version.
    atoms: BTreeMap<String, Value>,
    told: BTreeMap<(String, u64), Value>,
    n_dead_letters: u64,
}

async fn seen(server: &Server) -> Seen {
    server.settled().await;
    let records = server.records("messages").await;
    let mut ledger = until_read(server, records.len() as u64).await;
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
    let mut told = BTreeMap::new();
    for (_, _, atom) in server.records("atoms").await {
        let id = atom["id"].as_str().unwrap().to_owned();
        let version = atom["version"].as_u64().unwrap();
        // A late one is the same, and changes nothing.
        let before = told.insert((id, version), atom.clone());
        assert!(before.is_none_or(|before| before == atom), "{atom}");
    }
    Seen {
        records,
        messages,
        ledger,
        atoms: knowledge::atoms(server).await,
        told,
        n_dead_letters: server.n_records("dead-letters").await,
    }
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
    let n_read = second.n_records("extractions").await;
    second
        .until(|| async {
            let stats = second.get("/v1/stats/pipeline").await;
            let ledger = stats["items"].as_array().unwrap();
            let is_reading = sum(ledger, "extract", "pending") > 0;
            (is_reading && second.n_records("extractions").await > n_read).then_some(())
        })
        .await;
    signal(&first, "-STOP");
    until_shared(&second, &[("second", 4)], "second").await;
    for id in &imports {
        second.imported(id).await;
    }
    let before = seen(&second).await;
    assert_eq!(before.n_dead_letters, 0);
    assert!(!before.atoms.is_empty(), "something is claimed");
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

/// Telegram calls `server`; how it was answered.
async fn update(server: &Server, n: i64) -> u16 {
    let update = json!({"update_id": n, "message": {
        "message_id": n, "date": 1_767_607_200 + n, "text": format!("сервер {n} впав"),
        "chat": {"id": -1_002_100_000_001_i64, "title": "Ops", "type": "supergroup"},
        "from": {"id": 777, "is_bot": false, "first_name": "Olena"},
    }});
    let request = reqwest::Client::new()
        .post(format!("{}/v1/telegram/webhook/ops", server.url))
        .header("x-telegram-bot-api-secret-token", BOT_SECRET)
        .body(update.to_string());
    request.send().await.unwrap().status().as_u16()
}

async fn add_bot(server: &Server) {
    let bot = json!({"name": "ops", "token": "123456:A-token_of-a-bot", "secret": BOT_SECRET, "register": false, "chats": []});
    let added = server.request(Method::POST, "/v1/bots").json(&bot).send();
    assert_eq!(added.await.unwrap().status(), 201);
}

/// What the ledger says came in by `source`.
async fn taken_in(server: &Server, source: &str) -> (Value, Value, Value) {
    let stats = server.get("/v1/stats/pipeline").await;
    let items = stats["items"].as_array().unwrap().iter();
    let mut rows = items.filter(|i| i["stage"] == "ingest" && i["topic"] == source);
    let row = rows.next().unwrap().clone();
    assert_eq!(rows.next(), None, "one row, whoever counted");
    (
        row["received"].clone(),
        row["emitted"].clone(),
        row["skipped"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_know_what_was_done_at_another() {
    let Some(site) = Site::open().await else {
        return;
    };
    let (first_home, first) = site.serve("first");
    import_all(&first, 1).await;
    first.settled().await;
    let (_second_home, second) = site.serve("second");
    until_shared(&first, &[("first", 2), ("second", 2)], "first").await;

    // A bot that was added at one is let in at the other, at once.
    add_bot(&first).await;
    for n in 0..20 {
        let server = [&second, &first][n as usize % 2];
        assert_eq!(update(server, n).await, 200, "{n}");
    }
    assert_eq!(update(&second, 19).await, 200, "a repeat");
    let (received, emitted, skipped) = taken_in(&second, "bot:ops").await;
    let n_new = emitted.as_u64().unwrap();
    // A repeat is refused best effort, and again by the screen.
    assert!((20..=21).contains(&n_new), "{emitted}");
    assert_eq!(received, 21);
    assert_eq!(skipped["duplicate"].as_u64().unwrap_or(0), 21 - n_new);

    // Imports at both, at the same time, each run where its file lies.
    let mut imports = Vec::new();
    for (server, chat) in [(&first, 1), (&second, 2)] {
        let body = export(1_000_000 + chat, 1, &texts(chat as u64, 300));
        let (status, queued) = server.upload("both", body).await;
        assert_eq!(status, 202, "{queued}");
        imports.push(queued["id"].as_str().unwrap().to_owned());
    }
    for id in &imports {
        let done = first.imported(id).await;
        assert_eq!(done["messages_new"], 300, "{done}");
    }
    assert_eq!(taken_in(&first, "imports").await.1, 960);
    second.settled().await;
    assert_eq!(second.messages().await.len(), 980);

    // A bot that is removed at one is refused at the other within seconds.
    let removed = second.request(Method::DELETE, "/v1/bots/ops").send();
    assert_eq!(removed.await.unwrap().status(), 204);
    first
        .until(|| async { (update(&first, 50).await == 401).then_some(()) })
        .await;

    says_who_holds_what(&site, &first_home);
    refuses_another_key(&site);
}

/// `telesift doctor` names both workers, and what each holds since when.
fn says_who_holds_what(site: &Site, home: &Home) {
    let mut doctor = home.command(&["doctor", "--json"]);
    let output = doctor.arg("--config").arg(&site.config).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let checks: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let workers = checks.iter().filter(|c| c["check"] == "worker");
    let workers: Vec<&str> = workers.map(|c| c["detail"].as_str().unwrap()).collect();
    assert_eq!(workers.len(), 2, "{checks:?}");
    for (worker, name) in workers.iter().zip(["first/", "second/"]) {
        assert!(worker.starts_with(name), "{worker}");
        assert_eq!(worker.matches("screen ").count(), 2, "{worker}");
        assert!(worker.contains(" since 20"), "{worker}");
    }
    assert!(workers[0].contains("index 0 since"), "{}", workers[0]);
}

/// A worker that could not open what the others sealed does not start, and says what to do.
fn refuses_another_key(site: &Site) {
    let home = Home::at(&site.folder.path().join("third"));
    for key in [None, Some(SECRET.replace("00", "ff"))] {
        let mut command = site.command("third");
        command
            .arg("--data-dir")
            .arg(home.path())
            .envs(key.iter().map(|key| ("TELESIFT_SECRET_KEY", key.as_str())));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("give every worker the same TELESIFT_SECRET_KEY"),
            "{said}"
        );
        assert!(!said.contains(SECRET), "{said}");
    }
}

/// How much longer the worker stays frozen once another has its work: `make crash` takes its time.
fn frozen_ms() -> u64 {
    let named = std::env::var("TELESIFT_TEST_FROZEN_MS").ok();
    named.and_then(|ms| ms.parse().ok()).unwrap_or(0)
}
