//! Updates that nobody here wrote, each through the whole flow with an outcome of its own.

#[path = "../../../../../smartmodules/normalize/tests/real_data/updates.rs"]
mod outcomes_by_name;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::{add_unregistered, post_text, serve, stub::BotApiStub};
use crate::{
    server::{Home, Server},
    shared,
};
use outcomes_by_name::UPDATES;

/// File name and content of every update, by name.
fn files() -> BTreeMap<String, Value> {
    let Some(folder) = shared::folder("updates") else {
        return BTreeMap::new();
    };
    let mut files = BTreeMap::new();
    for source in std::fs::read_dir(folder).unwrap() {
        let source = source.unwrap().path();
        for file in std::fs::read_dir(source).into_iter().flatten() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let content = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            files.insert(name, content);
        }
    }
    files
}

/// The same update with ids that no other file has: many of them share theirs, and would be taken for one.
fn told_apart(mut update: Value, n: i64) -> Value {
    let fields = update.as_object_mut().unwrap();
    if fields.contains_key("update_id") {
        fields.insert("update_id".to_owned(), n.into());
        for held in fields.values_mut() {
            if held["message_id"].is_i64() {
                held["message_id"] = (10_000 + n).into();
            }
        }
    }
    update
}

/// What became of each raw record, by (partition, offset).
async fn outcomes(server: &Server) -> HashMap<(u64, u64), String> {
    let mut outcomes = HashMap::new();
    for (topic, by) in [
        ("messages", "kind"),
        ("reactions", "reactions"),
        ("dead-letters", "dead"),
    ] {
        for (_, _, record) in server.records(topic).await {
            let origin = &record["origin"];
            let at = (
                origin["partition"].as_u64().unwrap(),
                origin["offset"].as_u64().unwrap(),
            );
            let outcome = record[by].as_str().unwrap_or(by).to_owned();
            assert!(outcomes.insert(at, outcome).is_none());
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_update_goes_through_with_its_outcome() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    add_unregistered(&server, json!([])).await;
    let mut sent = HashMap::new();
    for (n, (name, update)) in files.into_iter().enumerate() {
        let text = told_apart(update, 1 + n as i64).to_string();
        assert_eq!(post_text(&server, text.clone()).await, 200, "{name}");
        sent.insert(text, name);
    }
    let ledger = server.settled().await;

    let outcomes = outcomes(&server).await;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (partition, offset, record) in server.records("telegram-raw").await {
        let name = &sent[&record["payload"].to_string()];
        let outcome = outcomes.get(&(partition, offset));
        let outcome = outcome.map_or("skipped", String::as_str).to_owned();
        let first = found.insert(name.clone(), outcome.clone());
        assert!(first.is_none_or(|first| first == outcome), "{name}");
    }
    let is_skip = |outcome: &str| ["no_message", "unknown_update"].contains(&outcome);
    let expected: BTreeMap<String, String> = UPDATES
        .iter()
        .map(|&(name, what)| {
            let what = if is_skip(what) { "skipped" } else { what };
            (name.to_owned(), what.to_owned())
        })
        .collect();
    assert_eq!(found, expected);
    for reason in ["no_message", "unknown_update"] {
        let n = UPDATES.iter().filter(|(_, what)| *what == reason).count() as u64;
        let skipped = ledger.iter().filter(|s| s["stage"] == "screen");
        let skipped: u64 = skipped.filter_map(|s| s["skipped"][reason].as_u64()).sum();
        assert_eq!(skipped, n, "{reason}");
    }
    assert_eq!(server.n_records("dead-letters").await, 0);
    // No link to a file, which would hold the token, is made up anywhere.
    for (_, _, message) in server.records("messages").await {
        assert!(!message.to_string().contains("/file/bot"), "{message}");
    }
}
