//! Real exports import with exact counts; broken ones are refused and leave nothing.

use serde_json::Value;

use crate::{
    server::{Home, sample},
    shared,
};

/// Path, entries, service entries.
const EXPORTS: [(&str, u64, u64); 16] = [
    ("innerdvations_telegram-chat-parser/bot.json", 2, 0),
    ("innerdvations_telegram-chat-parser/personal.json", 0, 0),
    (
        "innerdvations_telegram-chat-parser/public_supergroup.json",
        4,
        3,
    ),
    ("innerdvations_telegram-chat-parser/saved.json", 21, 1),
    (
        "frozenspider_chat-history-manager-rust/telegram_2020-01/result.json",
        50,
        8,
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2021-06_supergroup/result.json",
        4,
        1,
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2023-01/result.json",
        6,
        5,
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2023-10_audio-video/result.json",
        4,
        0,
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2024-01/result.json",
        2,
        1,
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2024-02_create-channel_saved-from/result.json",
        2,
        1,
    ),
    ("teknologi-umum_tgif/coorporate-speak/exported.json", 155, 0),
    (
        "teknologi-umum_tgif/database-isolation-level/exported.json",
        98,
        0,
    ),
    (
        "teknologi-umum_tgif/dependency-injection-in-a-nutshell/exported.json",
        29,
        0,
    ),
    (
        "teknologi-umum_tgif/membuat-linq-efisien/exported.json",
        53,
        0,
    ),
    (
        "teknologi-umum_tgif/praktik-load-balancer/exported.json",
        43,
        0,
    ),
    (
        "teknologi-umum_tgif/tdd-and-clean-architecture/exported.json",
        191,
        0,
    ),
];

#[tokio::test]
async fn real_exports_import_with_exact_counts_and_twice_adds_nothing() {
    let Some(folder) = shared::folder("exports") else {
        return;
    };
    for (path, n_entries, n_services) in EXPORTS {
        // A server each: two of these files number their chats and messages alike.
        let home = Home::new();
        let server = home.serve();
        let bytes = std::fs::read(folder.join(path)).unwrap();
        let status = server.import(path, bytes.clone()).await;
        assert_eq!(status["messages_read"], n_entries, "{path}: {status}");
        assert_eq!(status["messages_new"], n_entries, "{path}: {status}");
        assert_eq!(status["messages_duplicate"], 0, "{path}: {status}");
        assert_eq!(status["skipped"], serde_json::json!({}), "{path}: {status}");
        assert_eq!(
            status["bytes_read"], status["bytes_total"],
            "{path}: {status}"
        );

        let again = server.import(path, bytes).await;
        assert_eq!(again["messages_new"], 0, "{path}: {again}");
        assert_eq!(again["messages_duplicate"], n_entries, "{path}: {again}");

        let ledger = server.settled().await;
        assert_eq!(server.n_records("telegram-raw").await, n_entries, "{path}");
        assert_eq!(server.n_records("dead-letters").await, 0, "{path}");
        assert_eq!(
            sum(&ledger, "screen", "emitted"),
            n_entries,
            "{path}: {ledger:?}"
        );
        assert_eq!(
            sum(&ledger, "index", "emitted"),
            n_entries,
            "{path}: {ledger:?}"
        );
        let messages = server.messages().await;
        assert_eq!(messages.len() as u64, n_entries, "{path}");
        let found = messages.iter().filter(|m| m["kind"] == "service").count() as u64;
        assert_eq!(found, n_services, "{path}");
    }
}

#[tokio::test]
async fn all_posts_import_and_are_found() {
    let files = shared::post_files();
    if files.is_empty() {
        return;
    }
    let (home, mut n_posts) = (Home::new(), 0);
    let server = home.serve();
    for file in &files {
        let export = shared::posts_as_export(file);
        let status = server.import("posts", export).await;
        assert_eq!(status["messages_duplicate"], 0, "{status}");
        n_posts += status["messages_new"].as_u64().unwrap();
    }
    assert_eq!(n_posts, 9_135);
    let ledger = server.settled().await;
    assert_eq!(sum(&ledger, "index", "emitted"), n_posts);
    assert_eq!(server.n_records("dead-letters").await, 0);
    let hits = server.search("московский зоопарк").await;
    assert_eq!(hits["hits"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn broken_exports_are_refused_and_leave_nothing() {
    let home = Home::new();
    let server = home.serve();
    let whole = sample();
    let mut cases: Vec<(&str, Vec<u8>, Option<u64>)> = vec![
        ("empty", Vec::new(), Some(0)),
        ("html", b"<!DOCTYPE html><html></html>".to_vec(), Some(0)),
        ("truncated", whole[..whole.len() / 2].to_vec(), None),
        ("no chats", br#"{"about": "nothing here"}"#.to_vec(), None),
        ("a list", b"[1, 2]".to_vec(), None),
        (
            "an entry that is no object",
            br#"{"name":"x","type":"personal_chat","id":1,"messages":[{"id":1},7]}"#.to_vec(),
            None,
        ),
    ];
    if let Some(folder) = shared::folder("exports") {
        let bytes =
            std::fs::read(folder.join("innerdvations_telegram-chat-parser/error.json")).unwrap();
        cases.push(("error.json", bytes, Some(67)));
    }
    for (name, bytes, at) in cases {
        let (status, problem) = server.upload(name, bytes).await;
        assert_eq!(status, 400, "{name}: {problem}");
        assert!(problem["byte_offset"].is_u64(), "{name}: {problem}");
        assert!(
            !problem["detail"].as_str().unwrap().is_empty(),
            "{name}: {problem}"
        );
        if let Some(at) = at {
            assert_eq!(problem["byte_offset"], at, "{name}: {problem}");
        }
    }
    assert_eq!(server.n_records("telegram-raw").await, 0);
    assert_eq!(
        server.get("/v1/imports").await["items"],
        serde_json::json!([])
    );
    assert_eq!(
        std::fs::read_dir(home.path().join("spool"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn only_chosen_chats_are_imported() {
    let home = Home::new();
    let server = home.serve();
    let request = server
        .request(reqwest::Method::POST, "/v1/imports")
        .query(&[("name", "sample"), ("chats", "-1002100000002")])
        .body(sample());
    let queued: Value = request.send().await.unwrap().json().await.unwrap();
    let status = server.imported(queued["id"].as_str().unwrap()).await;
    server.settled().await;
    let messages = server.messages().await;
    assert!(!messages.is_empty());
    assert!(messages.iter().all(|m| m["chat"]["id"] == "-1002100000002"));
    let n_skipped = status["skipped"]["chat_not_selected"].as_u64().unwrap();
    assert_eq!(
        n_skipped + messages.len() as u64,
        status["messages_read"].as_u64().unwrap()
    );
}

fn sum(ledger: &[Value], stage: &str, field: &str) -> u64 {
    ledger
        .iter()
        .filter(|i| i["stage"] == stage)
        .map(|i| i[field].as_u64().unwrap())
        .sum()
}
