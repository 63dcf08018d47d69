//! `kill -9` at random moments loses nothing and repeats nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{
    server::{Home, Server, export, sample, texts},
    shared,
};

/// What must not depend on how often a server was killed.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages_topic: Vec<(u64, u64, Value)>,
    store: BTreeMap<String, Value>,
    n_listed: usize,
    ledger: Vec<Value>,
    imports: Vec<Value>,
    n_dead_letters: u64,
}

async fn outcome(server: &Server, imports: &[String]) -> Outcome {
    let mut statuses = Vec::new();
    for id in imports {
        let mut status = server.imported(id).await;
        for field in ["id", "created_at"] {
            status.as_object_mut().unwrap().remove(field);
        }
        statuses.push(status);
    }
    let mut ledger = server.settled().await;
    assert_conserved(&ledger);
    let mut messages = server.messages().await;
    // Which copy of a text came first over all partitions is a matter of the moment, and so are stories: those that were
    // recorded stay (see `stories`), but another run may tell others.
    ledger.retain(|item| item["stage"] != "stories" && item["stage"] != "story-catalog");
    for message in &mut messages {
        message["story"] = Value::Null;
    }
    Outcome {
        messages_topic: server.records("messages").await,
        n_listed: messages.len(),
        store: messages
            .into_iter()
            .map(|m| (m["id"].as_str().unwrap().to_owned(), m))
            .collect(),
        ledger,
        imports: statuses,
        n_dead_letters: server.n_records("dead-letters").await,
    }
}

/// received = emitted + skipped + dead-lettered + pending, per stage and partition.
pub(crate) fn assert_conserved(ledger: &[Value]) {
    for item in ledger {
        let n = |name: &str| item[name].as_u64().unwrap();
        let skipped: u64 = item["skipped"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum();
        assert_eq!(
            n("received"),
            n("emitted") + skipped + n("dead_lettered") + n("pending"),
            "{item}"
        );
        // What the extractor is still to read waits in the catalog, and counts as taken.
        if item["stage"] != "extract" {
            assert_eq!(n("pending"), 0, "{item}");
        }
    }
}

/// The sample, where they are there the posts of one big channel, and as many texts of our own as there are kills to come.
fn exports(n_kills: u32) -> Vec<Vec<u8>> {
    let mut exports = vec![sample()];
    let posts = shared::post_files();
    exports.extend(
        posts
            .iter()
            .take(3)
            .map(|file| shared::posts_as_export(file)),
    );
    for i in 0..i64::from(n_kills) {
        let (chat, n) = (1_900_000_000 + i % 3, 250);
        exports.push(export(chat, 1 + i * n, &texts(i as u64, n as usize)));
    }
    exports
}

/// How far everything is: inputs taken by stage, ends by topic, each per partition.
async fn progress(server: &Server) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for item in server.get("/v1/stats/pipeline").await["items"]
        .as_array()
        .unwrap()
    {
        assert_conserved(std::slice::from_ref(item));
        let name = format!("{} {} {}", item["stage"], item["topic"], item["partition"]);
        all.insert(name, item["received"].as_u64().unwrap());
    }
    for topic in server.get("/v1/topics").await["items"].as_array().unwrap() {
        for partition in topic["partitions"].as_array().unwrap() {
            let name = format!("end {} {}", topic["topic"], partition["partition"]);
            all.insert(name, partition["end"].as_u64().unwrap());
        }
    }
    all
}

pub(crate) fn total(progress: &BTreeMap<String, u64>, prefix: &str) -> u64 {
    let of = progress.iter().filter(|(name, _)| name.starts_with(prefix));
    of.map(|(_, n)| n).sum()
}

/// Kills and restarts; at each moment everything is at least as far as it was said to be before.
async fn storm(
    home: &Home,
    mut server: Server,
    n_kills: u32,
    mut load: Vec<Vec<u8>>,
) -> (Server, Vec<String>) {
    let mut random = StdRng::seed_from_u64(20);
    let mut imports = Vec::new();
    let mut before = BTreeMap::new();
    for kill in 0..n_kills {
        // One more export per kill, two at first; the rest with the last.
        let n = if kill == 0 { 2 } else { 1 };
        for export in load.drain(..n.min(load.len())) {
            imports.push(server.submit(export).await);
        }
        // Not before somebody, who is another each time, has done something since the last kill: else nothing would be
        // in the middle of anything on a machine that is busy.
        let (work, behind) = STAGES[random.random_range(0..STAGES.len())];
        server
            .until(|| async {
                has_moved(&before, &progress(&server).await, work, behind).then_some(())
            })
            .await;
        let delay = Duration::from_millis(random.random_range(0..250));
        tokio::time::sleep(delay).await;
        let said = progress(&server).await;
        assert_not_behind(&said, &before);
        before = said;
        server.kill();
        let started = Instant::now();
        server = home.serve();
        let restart = started.elapsed();
        let now = progress(&server).await;
        assert_not_behind(&now, &before);
        row(kill, delay, restart, &now);
        before = now;
    }
    for export in load {
        imports.push(server.submit(export).await);
    }
    (server, imports)
}

/// What is waited for before a kill, and what it follows.
pub(crate) const STAGES: [(&str, &str); 4] = [
    ("end \"telegram-raw\"", "end \"telegram-raw\""),
    ("\"screen\"", "end \"telegram-raw\""),
    ("\"index\"", "end \"messages\""),
    ("\"stories\"", "end \"messages\""),
];

/// Whether `work` went on since `before`, or has nothing to do.
pub(crate) fn has_moved(
    before: &BTreeMap<String, u64>,
    now: &BTreeMap<String, u64>,
    work: &str,
    behind: &str,
) -> bool {
    total(now, work) > total(before, work) || total(now, work) >= total(now, behind)
}

/// One line of the table.
fn row(kill: u32, after: Duration, restart: Duration, now: &BTreeMap<String, u64>) {
    eprintln!(
        "kill {kill:>3} after {:>3} ms, up again in {:>4} ms: raw {:>6}, screened {:>6}, indexed {:>6}, through stories {:>6}, letters {}",
        after.as_millis(),
        restart.as_millis(),
        total(now, "end \"telegram-raw\""),
        total(now, "\"screen\""),
        total(now, "\"index\""),
        total(now, "\"stories\""),
        total(now, "end \"dead-letters\""),
    );
}

pub(crate) fn assert_not_behind(now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>) {
    for (name, n) in before {
        let then = now.get(name).copied().unwrap_or_default();
        assert!(then >= *n, "{name} went back from {n} to {then}");
    }
}

/// Eight kills; `make crash` says fifty.
fn n_kills() -> u32 {
    let said = std::env::var("TELESIFT_TEST_KILLS");
    said.ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

#[tokio::test]
async fn kill_9_at_random_moments_changes_nothing() {
    let n_kills = n_kills();
    let calm = Home::new();
    let server = calm.serve();
    let mut ids = Vec::new();
    for export in exports(n_kills) {
        ids.push(server.submit(export).await);
    }
    let expected = outcome(&server, &ids).await;
    drop(server);
    assert_eq!(expected.n_dead_letters, 0);
    assert_eq!(expected.n_listed, expected.store.len());

    let stormy = Home::new();
    let server = stormy.serve();
    let (server, ids) = storm(&stormy, server, n_kills, exports(n_kills)).await;
    let found = outcome(&server, &ids).await;
    assert_eq!(found.n_dead_letters, 0);
    assert_eq!(found.imports, expected.imports);
    assert_eq!(found.ledger, expected.ledger);
    assert_eq!(found.messages_topic.len(), expected.messages_topic.len());
    for (found, expected) in found.messages_topic.iter().zip(&expected.messages_topic) {
        assert_eq!(found, expected);
    }
    let origins = found
        .messages_topic
        .iter()
        .map(|(_, _, data)| data["origin"].to_string());
    let origins: BTreeSet<String> = origins.collect();
    assert_eq!(
        origins.len(),
        found.messages_topic.len(),
        "each raw record once"
    );
    assert_eq!(
        found.n_listed, expected.n_listed,
        "no duplicates in the store"
    );
    assert_eq!(found.store, expected.store);
    eprintln!(
        "{n_kills} kills: {} imports, {} messages, each once on the topic and in the store; no dead letters",
        found.imports.len(),
        found.n_listed
    );
}
