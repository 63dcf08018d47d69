//! Replays that fill a generation, on the real binary: the same rules, other rules, switches under load and kill -9.

use std::{
    collections::BTreeMap,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::server::{Home, Server, first, sample};

const RULES: &str =
    "name = \"stricter\"\nversion = 2\n\n[thresholds]\nweak_signal = 0.5\nsignal = 0.8\n";

fn run(home: &Home, args: &[&str]) -> Output {
    home.command(args).output().unwrap()
}

/// What a command printed, having succeeded.
fn said(home: &Home, args: &[&str]) -> String {
    let output = run(home, args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn rules_file(home: &Home) -> String {
    let file = home.path().join("new.toml");
    std::fs::write(&file, RULES).unwrap();
    file.to_str().unwrap().to_owned()
}

impl Server {
    /// Fast replays, for tests that are not about their pace.
    fn eager(home: &Home) -> Server {
        let mut command = crate::server::telesift();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("TELESIFT__REPLAY__CPU_SHARE", "1.0");
        Server::start(home, &mut command)
    }

    /// Waits until every generation has taken everything.
    async fn all_settled(&self) {
        self.until(|| async {
            let all = self.get("/v1/generations").await;
            let stages = all["items"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|g| g["stages"].as_array().unwrap().clone());
            let lag: u64 = stages.map(|s| s["lag"].as_u64().unwrap()).sum();
            (lag == 0).then_some(())
        })
        .await;
    }

    /// Asks again while the generation is behind, as the answer says one should.
    async fn order(&self, id: &str, order: &str) -> Value {
        let path = format!("/v1/replays/{id}/{order}");
        self.until(|| async {
            let response = self.request(Method::POST, &path).send().await.unwrap();
            let status = response.status();
            let answer: Value = response.json().await.unwrap();
            let is_behind = status == 409 && answer["missing"].is_array();
            assert!(status.is_success() || is_behind, "{order}: {answer}");
            (!is_behind).then_some(answer)
        })
        .await
    }
}

#[tokio::test]
async fn the_same_rules_give_the_same_bytes_and_others_what_was_predicted() {
    let home = Home::new();
    let server = Server::eager(&home);
    server.import("sample", sample()).await;
    server.settled().await;
    let replay: Value = serde_json::from_str(&said(
        &home,
        &["replay", "--stage", "screen", "--wait", "--json"],
    ))
    .unwrap();
    assert_eq!(replay["state"], "done", "{replay}");
    assert_eq!(
        replay["generation"],
        json!({"number": 2, "state": "ready", "live": false})
    );
    let bytes = async |topic: &str| {
        let mut all = Vec::new();
        for p in 0..4 {
            let path = format!("/v1/topics/{topic}/partitions/{p}/records?limit=500");
            let text = server
                .request(Method::GET, &path)
                .send()
                .await
                .unwrap()
                .text()
                .await;
            // All but when it was appended.
            let text = text.unwrap();
            let items = text
                .split("\"appended_at\":\"")
                .map(|t| t.split_once('"').map_or(t, |t| t.1));
            let items: Vec<String> = items.map(str::to_owned).collect();
            all.push(items[..items.len() - 1].to_vec());
        }
        all
    };
    let first = bytes("messages").await;
    assert!(first.iter().map(Vec::len).sum::<usize>() > 300);
    assert_eq!(bytes("messages-g2").await, first);

    let file = rules_file(&home);
    let diff: Value =
        serde_json::from_str(&said(&home, &["rules", "diff", "--rules", &file, "--json"])).unwrap();
    let replay: Value = serde_json::from_str(&said(
        &home,
        &["replay", "--rules", &file, "--wait", "--json"],
    ))
    .unwrap();
    let id = replay["id"].as_str().unwrap();
    assert_eq!(replay["generation"]["number"], 3);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let (old, new) = (
        server.records("messages").await,
        server.records("messages-g3").await,
    );
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        let class = |r: &(u64, u64, Value)| r.2["screen"]["class"].as_str().unwrap().to_owned();
        if class(old) != class(new) {
            *found
                .entry(format!("{}->{}", class(old), class(new)))
                .or_default() += 1;
        }
    }
    assert_eq!(json!(found), diff["diff"]);
    assert!(found.values().sum::<u64>() > 20);

    // Search, lists and explanations go over with it, and back.
    let counts = async || {
        let mut counts = BTreeMap::new();
        for message in server.messages().await {
            let class = message["screen"]["class"].as_str().unwrap().to_owned();
            *counts.entry(class).or_insert(0) += 1;
        }
        counts
    };
    let before = counts().await;
    let page = said(&home, &["replay", "switch", id]);
    assert!(page.contains("generation 3, live"), "{page}");
    let after = counts().await;
    assert_ne!(before, after);
    let signals = new.iter().filter(|r| r.2["screen"]["class"] == "signal");
    assert_eq!(after["signal"], signals.count());
    let message = new[0].2["id"].as_str().unwrap();
    let explained = server.get(&format!("/v1/messages/{message}/explain")).await;
    assert!(
        explained["rules"]
            .as_str()
            .unwrap()
            .starts_with("stricter@2+"),
        "{explained}"
    );
    assert_eq!(
        (&explained["same_rules"], &explained["rules_known"]),
        (&json!(true), &json!(true))
    );
    let topics = said(&home, &["topics"]);
    assert!(
        topics.contains("live: generation 3") && topics.contains("messages-g1"),
        "{topics}"
    );
    said(&home, &["replay", "switch-back", id]);
    assert_eq!(counts().await, before);
    let refused = run(&home, &["replay", "retire", "1"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("live"));
    assert!(said(&home, &["replay", "retire", "2"]).contains("retired"));
    let listed = said(&home, &["replay", "generations"]);
    assert!(
        listed.contains("g1    live") && listed.contains("g2    retired"),
        "{listed}"
    );
    let refused = run(&home, &["replay", "--stage", "embed"]);
    assert!(!refused.status.success());
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        reason.contains("no other model is configured") && reason.contains("embed.next"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_client_through_switches_under_load_and_kills_loses_and_repeats_nothing() {
    let home = Home::new();
    let server = Server::eager(&home);
    server.import("sample", sample()).await;
    let file = rules_file(&home);
    let (address, watched) = watch::channel((server.url.clone(), server.key.clone()));
    let ended = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(follow(watched, ended.clone()));

    let (_, queued) = server.upload("load", chatter(1, 3_000)).await;
    let loading = queued["id"].as_str().unwrap().to_owned();
    let id = said(&home, &["replay", "--rules", &file]).trim().to_owned();
    // Killed in the middle of the replay: it goes on by itself.
    server
        .until(|| async {
            let replay = server.get(&format!("/v1/replays/{id}")).await;
            (replay["state"] != "queued" && !replay["generation"].is_null()).then_some(())
        })
        .await;
    server.kill();
    let server = Server::eager(&home);
    address.send_replace((server.url.clone(), server.key.clone()));
    server
        .until(|| async {
            let replay = server.get(&format!("/v1/replays/{id}")).await;
            assert!(replay["state"] != "failed", "{replay}");
            (replay["state"] == "done").then_some(())
        })
        .await;
    for n in 1..=3 {
        let (status, queued) = server.upload("more", chatter(1 + n * 10_000, 400)).await;
        assert_eq!(status, 202, "{queued}");
        server.order(&id, "switch").await;
        let live = server.get("/v1/generations").await["items"][1]["live"].clone();
        assert_eq!(live, true);
        server.order(&id, "switch-back").await;
    }
    server.order(&id, "switch").await;
    server.kill();
    let server = Server::eager(&home);
    address.send_replace((server.url.clone(), server.key.clone()));
    server.imported(&loading).await;
    assert_eq!(
        server.get("/v1/generations").await["items"][1]["live"],
        true
    );
    server
        .until(|| async {
            let imports = server.get("/v1/imports").await;
            let all = imports["items"].as_array().unwrap();
            all.iter().all(|i| i["state"] == "done").then_some(())
        })
        .await;
    server.all_settled().await;
    ended.store(true, Ordering::SeqCst);
    let (received, n_switched) = client.await.unwrap();

    let mut expected: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (partition, _, record) in server.records("messages").await {
        let origin = record["origin"]["offset"].as_u64().unwrap();
        expected.entry(partition).or_default().push(origin);
    }
    let n: usize = expected.values().map(Vec::len).sum();
    assert!(n > 4_000, "{n}");
    assert_eq!(received, expected);
    assert!(n_switched > 0);
    // Both generations hold the same raw records, and their ledgers are balanced.
    assert_eq!(server.n_records("messages-g1").await, n as u64);
    let stats = server.get("/v1/stats/pipeline").await;
    for stage in first(stats["items"].as_array().unwrap().clone()) {
        let of = |field: &str| stage[field].as_u64().unwrap();
        let skipped: u64 = stage["skipped"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(
            of("received"),
            of("emitted") + skipped + of("dead_lettered"),
            "{stage}"
        );
    }
}

/// Follows `messages` from the beginning with the cursor of the last frame, wherever the server is, until it has caught up
/// after `ended`. Origins received per partition, and how many gap frames of a switch came.
async fn follow(
    server: watch::Receiver<(String, String)>,
    ended: Arc<AtomicBool>,
) -> (BTreeMap<u64, Vec<u64>>, usize) {
    let (mut received, mut n_switched) = (BTreeMap::<u64, Vec<u64>>::new(), 0);
    let mut cursor = "earliest".to_owned();
    loop {
        let (url, key) = server.borrow().clone();
        let url = format!(
            "{}/v1/topics/messages/tail?include_noise=true&from={cursor}",
            url.replace("http", "ws")
        );
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let Ok((mut socket, _)) = connect_async(request).await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let was_ended = ended.load(Ordering::SeqCst);
            let frame: Value = serde_json::from_str(&text).unwrap();
            cursor = frame["cursor"].as_str().unwrap().to_owned();
            match frame["type"].as_str().unwrap() {
                "record" => {
                    let partition = frame["partition"].as_u64().unwrap();
                    let origin = frame["data"]["origin"]["offset"].as_u64().unwrap();
                    received.entry(partition).or_default().push(origin);
                }
                "gap" => {
                    assert_eq!(frame["reason"], "switched", "{frame}");
                    n_switched += 1;
                }
                _ if was_ended && frame["cursor"] == frame["head"] => {
                    return (received, n_switched);
                }
                _ => {}
            }
        }
    }
}

/// An export of three chats in turn with `n` short messages, from id `first` on.
fn chatter(first: u64, n: u64) -> Vec<u8> {
    let chats = (0..3u64).map(|chat| {
        let messages: Vec<Value> = (first..first + n)
            .filter(|id| id % 3 == chat)
            .map(|id| {
                json!({
                    "id": id, "type": "message", "date": "2026-02-01T10:00:00",
                    "date_unixtime": (1_769_940_000 + id).to_string(), "from": "Олена", "from_id": "user777",
                    "text": format!("повідомлення {id} про реліз, сервер {} і сніданок", id % 7), "text_entities": [],
                })
            })
            .collect();
        json!({"name": format!("Балачки {chat}"), "type": "private_supergroup", "id": 2_100_000_020 + chat, "messages": messages})
    });
    let list: Vec<Value> = chats.collect();
    serde_json::to_vec(&json!({"chats": {"list": list}})).unwrap()
}
