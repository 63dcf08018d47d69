//! Knowledge of the sample, without any model: from the export to atoms whose quotes stand there, reviewed, and the same again
//! after the catalog is lost.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, PATIENCE, Server, sample};

/// Every item of a list.
async fn all(server: &Server, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{path}limit=500{cursor}")).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// Waits until every conversation of so many messages is read, and nothing is open any more.
pub(crate) async fn read(server: &Server, n_messages: u64) {
    let started = std::time::Instant::now();
    let mut n_quiet = 0;
    while n_quiet < 30 {
        assert!(started.elapsed() < PATIENCE, "not read in time: {n_quiet}");
        let stats = server.get("/v1/stats/pipeline").await;
        let sum = |stage: &str, field: &str| -> u64 {
            let items = stats["items"].as_array().unwrap().iter();
            let of = items.filter(|i| i["stage"] == stage);
            of.map(|i| i[field].as_u64().unwrap()).sum()
        };
        let is_read = sum("units", "received") == n_messages
            && sum("extract", "received") > 0
            && sum("extract", "pending") == 0
            && ["unit-catalog", "knowledge", "atom-index"]
                .iter()
                .all(|stage| sum(stage, "lag") == 0);
        n_quiet = if is_read { n_quiet + 1 } else { 0 };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn send(server: &Server, method: Method, path: &str, body: Value) -> Value {
    let answer = server.request(method, path).json(&body).send().await;
    let answer = answer.unwrap().error_for_status().unwrap();
    answer.json().await.unwrap()
}

/// Every atom there is, by id.
async fn atoms(server: &Server) -> BTreeMap<String, Value> {
    let states = "status=needs_review&status=approved&status=rejected&status=retracted&";
    let found = all(server, &format!("/v1/atoms?{states}")).await;
    let by_id = found
        .into_iter()
        .map(|a| (a["id"].as_str().unwrap().to_owned(), a));
    by_id.collect()
}

#[tokio::test]
async fn the_sample_becomes_atoms_whose_quotes_stand_in_their_messages_and_a_lost_catalog_the_same()
{
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let n_messages = server.n_records("messages").await;
    read(&server, n_messages).await;

    let known = atoms(&server).await;
    assert!(known.len() >= 20, "{} atoms", known.len());
    for atom in known.values() {
        let evidence = atom["evidence"].as_array().unwrap();
        assert!(!evidence.is_empty(), "{atom}");
        for quoted in evidence {
            let id = quoted["message"].as_str().unwrap();
            let message = server.get(&format!("/v1/messages/{id}")).await;
            let text = message["text"].as_str().unwrap().chars();
            let offset = |name: &str| usize::try_from(quoted[name].as_u64().unwrap()).unwrap();
            let (start, end) = (offset("start"), offset("end"));
            let stands: String = text.skip(start).take(end - start).collect();
            assert_eq!(stands, quoted["quote"], "{atom}");
            assert_eq!(message["origin"], quoted["origin"]);
        }
    }
    let subjects = all(&server, "/v1/subjects?").await;
    assert!(!subjects.is_empty());

    // A subject leads to its messages, and a message to its atoms.
    let on = known.values().find(|a| a["subject"].is_object()).unwrap();
    let subject = on["subject"]["id"].as_str().unwrap();
    let listed = server
        .get(&format!(
            "/v1/messages?subject={subject}&include_noise=true"
        ))
        .await;
    let message = on["evidence"][0]["message"].as_str().unwrap();
    let items = listed["items"].as_array().unwrap();
    assert!(
        items.iter().any(|m| m["id"] == message),
        "{message} not in {listed}"
    );
    let why = server.get(&format!("/v1/messages/{message}/explain")).await;
    assert_eq!(why["extract"]["state"], "done");
    assert!(
        why["extract"]["atoms"]
            .as_array()
            .unwrap()
            .contains(&on["id"])
    );

    // Search, on the command line.
    let title = on["title"].as_str().unwrap();
    let output = home.command(&["atoms", title, "--json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found["items"].as_array().unwrap();
    assert!(
        found.iter().any(|a| a["id"] == on["id"]),
        "`{title}` finds itself"
    );

    // A hundred reviews at once, and one edit; then the catalog is lost.
    let ids: Vec<&String> = known.keys().take(100).collect();
    let many = json!({"ids": ids, "verdict": "approve"});
    let answer = send(&server, Method::POST, "/v1/atoms/review", many).await;
    let items = answer["items"].as_array().unwrap();
    assert!(items.iter().all(|a| a["status"] == "approved"), "{answer}");
    let path = format!("/v1/atoms/{}/review", on["id"].as_str().unwrap());
    let edit = json!({"verdict": "edit", "title": "as a reader says it"});
    let edited = send(&server, Method::POST, &path, edit).await;
    assert_eq!(edited["title"], "as a reader says it");
    let (known, subjects) = (atoms(&server).await, all(&server, "/v1/subjects?").await);
    let n_extractions = server.n_records("extractions").await;
    let n_versions = server.n_records("atoms").await;
    server.kill();
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(file));
    }
    let server = home.serve();
    read(&server, n_messages).await;
    assert_eq!(atoms(&server).await, known);
    assert_eq!(all(&server, "/v1/subjects?").await, subjects);
    assert_eq!(
        server.n_records("extractions").await,
        n_extractions,
        "nobody was asked"
    );
    assert_eq!(server.n_records("atoms").await, n_versions);
}
