//! `kill -9` at random moments loses nothing and repeats nothing.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{
    server::{Home, Server, sample},
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

/// The sample, and where they are there the posts of one big channel.
fn exports() -> Vec<Vec<u8>> {
    let mut exports = vec![sample()];
    exports.extend(
        shared::post_files()
            .iter()
            .take(3)
            .map(|file| shared::posts_as_export(file)),
    );
    exports
}

async fn submit(server: &Server) -> Vec<String> {
    let mut ids = Vec::new();
    for export in exports() {
        let (status, queued) = server.upload("export", export).await;
        assert_eq!(status, 202, "{queued}");
        ids.push(queued["id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn kill_9_at_twenty_random_moments_changes_nothing() {
    let calm = Home::new();
    let server = calm.serve();
    let ids = submit(&server).await;
    let expected = outcome(&server, &ids).await;
    drop(server);
    assert_eq!(expected.n_dead_letters, 0);
    assert_eq!(expected.n_listed, expected.store.len());

    let n_kills: u32 = std::env::var("TELESIFT_TEST_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let stormy = Home::new();
    let server = stormy.serve();
    let ids = submit(&server).await;
    let mut random = StdRng::seed_from_u64(20);
    let mut server = Some(server);
    for kill in 0..n_kills {
        // Early kills hit the import, later ones the screen and the index: the moments grow with the work left.
        let delay = Duration::from_millis(random.random_range(0..250));
        tokio::time::sleep(delay).await;
        server.take().unwrap().kill();
        server = Some(stormy.serve());
        eprintln!("kill {kill} after {delay:?}");
    }
    let server = server.unwrap();
    let found = outcome(&server, &ids).await;
    assert_eq!(found.n_dead_letters, 0);
    assert_eq!(found.imports, expected.imports);
    assert_eq!(found.ledger, expected.ledger);
    assert_eq!(found.messages_topic.len(), expected.messages_topic.len());
    for (found, expected) in found.messages_topic.iter().zip(&expected.messages_topic) {
        assert_eq!(found, expected);
    }
    assert_eq!(
        found.n_listed, expected.n_listed,
        "no duplicates in the store"
    );
    assert_eq!(found.store, expected.store);
}
