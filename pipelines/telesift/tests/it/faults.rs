//! What breaks under a server: a full disk, a directory that cannot be written, damage in the log, a store or a catalog
//! that is gone. Each is said clearly, costs what it must, and is over once it is mended.

mod disk;
mod failed_write;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, export, json_lines, sample, telesift, texts};
use disk::SmallDisk;

const CHAT: i64 = 1_900_000_001;

fn by_id(messages: Vec<Value>) -> BTreeMap<String, Value> {
    let id = |m: &Value| m["id"].as_str().unwrap().to_owned();
    messages.into_iter().map(|m| (id(&m), m)).collect()
}

/// The ledger without the stages whose work depends on the moment.
fn steady(mut ledger: Vec<Value>) -> Vec<Value> {
    ledger.retain(|item| item["stage"] != "stories" && item["stage"] != "story-catalog");
    ledger
}

#[tokio::test]
async fn a_full_disk_makes_appends_wait_and_goes_on_by_itself() {
    let Some(disk) = SmallDisk::new(700) else {
        return;
    };
    let home = Home::at(disk.path());
    let mut command = telesift();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(&home, &mut command);
    server.import("first", export(CHAT, 1, &texts(1, 50))).await;
    server.settled().await;

    // Below `log.min_free_mib`: nothing is appended, everything is still read.
    let ballast = disk.fill_up_to(200 << 20);
    let label = json!({"message": format!("-100{CHAT}:1"), "class": "signal"});
    let refused = server
        .until(|| async {
            let request = server.request(Method::POST, "/v1/feedback").json(&label);
            let response = request.send().await.unwrap();
            (response.status() == 503).then_some(response)
        })
        .await;
    assert!(refused.headers().contains_key("retry-after"));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "unavailable");
    let (status, readiness) = ready(&server).await;
    assert_eq!(status, 503);
    let disk_is_full = json!({"name": "disk", "ok": false});
    let checks = readiness["checks"].as_array().unwrap();
    assert!(checks.contains(&disk_is_full), "{readiness}");
    let doctor = home.command(&["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("is not ready (disk)"), "{said}");
    let (status, queued) = server
        .upload("second", export(CHAT, 100, &texts(2, 50)))
        .await;
    assert_eq!(status, 202, "the file itself has room: {queued}");
    let id = queued["id"].as_str().unwrap();
    assert_eq!(server.messages().await.len(), 50);
    assert_eq!(
        server.search("сервер").await["hits"]
            .as_array()
            .map(Vec::is_empty),
        Some(false)
    );
    let waiting = server.get(&format!("/v1/imports/{id}")).await;
    assert!(
        ["queued", "running"].contains(&waiting["state"].as_str().unwrap()),
        "{waiting}"
    );
    assert_eq!(waiting["messages_new"], 0);

    fs::remove_file(ballast).unwrap();
    assert_eq!(ready(&server).await.0, 200);
    let done = server.imported(id).await;
    assert_eq!(done["messages_new"], 50);
    server.settled().await;
    assert_eq!(server.messages().await.len(), 100);
    assert_eq!(server.n_records("dead-letters").await, 0);
}

/// The answer of `/readyz`.
async fn ready(server: &Server) -> (u16, Value) {
    let request = server.request(Method::GET, "/readyz");
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named_and_used_once_it_can() {
    let Some(disk) = SmallDisk::new(700) else {
        return;
    };
    let home = Home::at(disk.path());
    let server = home.serve();
    server.import("first", export(CHAT, 1, &texts(1, 20))).await;
    server.settled().await;
    assert!(server.terminate().0.success());

    disk.remount("ro");
    let last = refuses_to_serve(&home);
    assert!(last.starts_with("telesift: "), "{last}");
    assert!(
        last.contains(disk.path().to_str().unwrap()) && last.contains("ead-only"),
        "{last}"
    );

    disk.remount("rw");
    let server = home.serve();
    assert_eq!(server.messages().await.len(), 20);
}

/// Starts a server that ends again at once; the last thing it says.
fn refuses_to_serve(home: &Home) -> String {
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said.lines().last().unwrap().to_owned()
}

/// Every table file of the log, by size.
fn tables(data_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![data_dir.join("log")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.parent().is_some_and(|p| p.ends_with("tables")) {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|file| std::cmp::Reverse(fs::metadata(file).unwrap().len()));
    found
}

/// Offsets of a topic's partition that its records route leaves out.
async fn missing(server: &Server, topic: &str, partition: u64) -> BTreeSet<u64> {
    let records = server.records(topic).await;
    let served: BTreeSet<u64> = records
        .iter()
        .filter(|r| r.0 == partition)
        .map(|r| r.1)
        .collect();
    let topics = server.get("/v1/topics").await;
    let found = topics["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["topic"] == topic)
        .unwrap();
    let end = found["partitions"][partition as usize]["end"]
        .as_u64()
        .unwrap();
    (0..end).filter(|offset| !served.contains(offset)).collect()
}

#[tokio::test]
async fn damage_in_the_log_is_a_named_gap_and_the_rest_is_served() {
    let home = Home::new();
    let serve = || {
        let mut command = telesift();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("TELESIFT__LOG__WRITE_BUFFER_MIB", "1");
        Server::start(&home, &mut command)
    };
    let server = serve();
    let import = server
        .import("many", export(CHAT, 1, &texts(3, 12_000)))
        .await;
    assert_eq!(import["messages_new"], 12_000);
    server.settled().await;
    assert!(server.terminate().0.success());

    let table = tables(home.path()).remove(0);
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&table, &bytes).unwrap();

    let server = serve();
    let mut damaged = Vec::new();
    for topic in ["telegram-raw", "messages"] {
        for partition in 0..4 {
            let lost = missing(&server, topic, partition).await;
            if let (Some(from), Some(last)) = (lost.first(), lost.last()) {
                assert_eq!(last - from + 1, lost.len() as u64, "one stretch");
                damaged.push((topic, partition, *from, last + 1));
            }
        }
    }
    let [(topic, partition, from, to)] = damaged[..] else {
        panic!("one block is damaged: {damaged:?}")
    };
    assert!(
        to - from < 1_200,
        "a block is lost, not a table: {damaged:?}"
    );
    let frames = frames(&home, topic, partition);
    let gaps: Vec<&Value> = frames.iter().filter(|f| f["type"] == "gap").collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let gap = (
        &gaps[0]["partition"],
        &gaps[0]["from"],
        &gaps[0]["to"],
        &gaps[0]["reason"],
    );
    assert_eq!(
        gap,
        (
            &json!(partition),
            &json!(from),
            &json!(to),
            &json!("corrupt")
        )
    );
    let offsets: BTreeSet<u64> = frames
        .iter()
        .filter(|f| f["type"] == "record")
        .map(|f| f["offset"].as_u64().unwrap())
        .collect();
    assert!(
        offsets.contains(&(from - 1)) && offsets.contains(&to),
        "both sides are served"
    );

    // Everything goes on.
    server
        .import("after", export(CHAT, 20_000, &texts(4, 10)))
        .await;
    server.settled().await;
    assert_eq!(
        server.messages().await.len(),
        12_010,
        "the store had it all before"
    );
    assert_eq!(server.n_records("dead-letters").await, 0);
}

/// What a tail from the earliest record on shows until it is caught up.
fn frames(home: &Home, topic: &str, partition: u64) -> Vec<Value> {
    let partition = partition.to_string();
    let mut args = vec![
        "tail",
        topic,
        "--from",
        "earliest",
        "--no-follow",
        "--json",
        "--partition",
        &partition,
    ];
    if topic == "messages" {
        args.push("--include-noise");
    }
    let output = home.command(&args).output().unwrap();
    json_lines(&output)
}

#[tokio::test]
async fn a_message_store_that_is_gone_is_filled_again() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    let ledger = steady(server.settled().await);
    let messages = by_id(server.messages().await);
    assert!(server.terminate().0.success());

    fs::remove_dir_all(home.path().join("lance")).unwrap();
    let server = home.serve();
    server
        .until(|| async { (server.messages().await.len() == messages.len()).then_some(()) })
        .await;
    let again = by_id(server.messages().await);
    for (id, message) in &again {
        assert_eq!(message["text"], messages[id]["text"]);
        assert_eq!(message["origin"], messages[id]["origin"]);
        assert_eq!(message["screen"], messages[id]["screen"]);
    }
    assert_eq!(steady(server.settled().await), ledger, "counted once");
}

#[tokio::test]
async fn a_message_store_that_is_damaged_says_what_to_do() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let n = server.messages().await.len();
    assert!(server.terminate().0.success());

    let lance = home.path().join("lance");
    for file in files_below(&lance) {
        if file.extension().is_some_and(|e| e == "manifest") {
            fs::write(&file, b"no manifest").unwrap();
        }
    }
    let last = refuses_to_serve(&home);
    assert!(
        last.contains("message store") && last.contains("move its folder away"),
        "{last}"
    );

    // Doing so helps.
    fs::rename(&lance, home.path().join("lance.broken")).unwrap();
    let server = home.serve();
    server
        .until(|| async { (server.messages().await.len() == n).then_some(()) })
        .await;
}

/// Nobody is to give up a store because the network is down.
#[tokio::test]
async fn an_object_store_that_cannot_be_reached_is_to_be_reached_first() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    // Nobody listens there.
    let refused = command
        .env("TELESIFT__STORE__URI", "s3://bucket/store")
        .env("TELESIFT__STORE__ENDPOINT", "http://127.0.0.1:9")
        .env("TELESIFT__STORE__REGION", "us-east-1")
        .env("TELESIFT__STORE__ACCESS_KEY_ID", "key")
        .env("TELESIFT__STORE__SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    let last = said.lines().last().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{last}");
    assert!(last.contains("s3://bucket/store"), "{last}");
    assert!(last.contains("see that it can be reached"), "{last}");
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

#[tokio::test]
async fn a_catalog_that_is_gone_costs_its_keys_only() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    let ledger = steady(server.settled().await);
    let messages = by_id(server.messages().await);
    let noisy = messages.keys().next().unwrap();
    let label = json!({"message": noisy, "class": "signal"});
    let labelled = server
        .request(Method::POST, "/v1/feedback")
        .json(&label)
        .send()
        .await
        .unwrap();
    assert!(labelled.status().is_success());
    let old_key = server.key.clone();
    assert!(server.terminate().0.success());

    for file in fs::read_dir(home.path()).unwrap() {
        let file = file.unwrap().path();
        if file
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("catalog.db")
        {
            fs::remove_file(file).unwrap();
        }
    }
    let server = home.serve();
    assert_ne!(
        server.key, old_key,
        "a new admin key lies in the data directory"
    );
    let again = steady(server.settled().await);
    let emitted = |ledger: &[Value], stage: &str| -> u64 {
        let items = ledger.iter().filter(|i| i["stage"] == stage);
        items.map(|i| i["emitted"].as_u64().unwrap()).sum()
    };
    for stage in ["screen", "index"] {
        assert_eq!(emitted(&again, stage), emitted(&ledger, stage), "{stage}");
    }
    assert_eq!(by_id(server.messages().await).len(), messages.len());
    let found = server
        .until(|| async {
            let message = server.get(&format!("/v1/messages/{noisy}")).await;
            message["label"]["class"].as_str().map(str::to_owned)
        })
        .await;
    assert_eq!(found, "signal", "labels are read again from `decisions`");
    let imports = server.get("/v1/imports").await;
    assert_eq!(
        imports["items"],
        json!([]),
        "the list of imports is lost; what they brought is not"
    );
}
