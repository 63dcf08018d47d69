//! Dry runs on the sample: what they say is exactly so, and nothing else changes by them.

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, first, first_topics, sample};

const RULES: &str =
    "name = \"stricter\"\nversion = 2\n\n[thresholds]\nweak_signal = 0.5\nsignal = 0.8\n";

fn run(home: &Home, args: &[&str]) -> Output {
    home.command(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The rules as a file.
fn rules_file(home: &Home, rules: &str) -> String {
    let file = home.path().join("new.toml");
    std::fs::write(&file, rules).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What a user could see change.
async fn all_there_is(server: &Server) -> Value {
    json!({
        "topics": first_topics(&server.get("/v1/topics").await),
        "pipeline": first(ledger(server).await),
        "screen": server.get("/v1/stats/screen").await,
        "messages": server.messages().await,
        "dead_letters": server.get("/v1/dead-letters").await,
    })
}

async fn ledger(server: &Server) -> Vec<Value> {
    let stats = server.get("/v1/stats/pipeline").await;
    stats["items"].as_array().unwrap().clone()
}

/// Class changes by hand: the stored score, cut by the new thresholds.
async fn expected(server: &Server) -> BTreeMap<String, u64> {
    let mut diff = BTreeMap::new();
    for (_, _, record) in server.records("messages").await {
        let was = record["screen"]["class"].as_str().unwrap();
        let is = match record["screen"]["score"].as_f64().unwrap() {
            score if score >= 0.8 => "signal",
            score if score >= 0.5 => "weak_signal",
            _ => "noise",
        };
        if was != is {
            *diff.entry(format!("{was}->{is}")).or_default() += 1;
        }
    }
    diff
}

#[tokio::test]
async fn a_diff_of_rules_is_exact_and_changes_nothing() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let before = all_there_is(&server).await;

    let file = rules_file(&home, RULES);
    let output = run(&home, &["rules", "diff", "--rules", &file, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let replay: Value = serde_json::from_slice(&output.stdout).unwrap();
    let diff: BTreeMap<String, u64> = serde_json::from_value(replay["diff"].clone()).unwrap();
    assert_eq!(diff, expected(&server).await);
    assert!(diff.values().sum::<u64>() > 20, "{diff:?}");
    assert_eq!(
        (&replay["processed"], &replay["total"]),
        (&json!(644), &json!(644))
    );
    let n_emitted = server.n_records("messages").await;
    assert_eq!(replay["ledger"]["judged"], json!(n_emitted));
    let n_changed: u64 = diff.values().sum();
    assert_eq!(replay["identical"], json!(n_emitted - n_changed));
    for (pair, n) in &diff {
        let samples = replay["samples"][pair].as_array().unwrap();
        assert_eq!(samples.len() as u64, (*n).min(20), "{pair}");
        for sample in samples {
            let origin = &sample["origin"];
            let id = sample["message"].as_str().unwrap();
            let message = server.get(&format!("/v1/messages/{id}")).await;
            assert_eq!(&message["origin"], origin);
            assert_eq!(sample["base"]["score"], message["screen"]["score"]);
        }
    }
    let passing = |class: &Value| class != "noise";
    let records = server.records("messages").await;
    let n_passing = records
        .iter()
        .filter(|r| passing(&r.2["screen"]["class"]))
        .count();
    assert_eq!(replay["cost"]["base"]["messages"], json!(n_passing));
    assert!(replay["labels"].is_null());
    assert_eq!(all_there_is(&server).await, before);

    let output = run(
        &home,
        &["rules", "diff", "--rules", &file, "--samples", "2"],
    );
    let page = text(&output.stdout);
    for expected in [
        "stricter@2+",
        "noise",
        "because:",
        "would go on to enrichment",
        "no labels",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
}

#[tokio::test]
async fn the_same_rules_twice_are_no_difference_and_a_restart_none_either() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let output = run(&home, &["rules", "diff", "--rules", "default", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let replay: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(replay["diff"], json!({}));
    assert_eq!(replay["identical"], replay["ledger"]["judged"]);
    assert_eq!(replay["cost"]["base"], replay["cost"]["new"]);

    let file = rules_file(&home, RULES);
    let whole = run(&home, &["rules", "diff", "--rules", &file, "--json"]);
    let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
    let started = run(&home, &["replay", "start", "--dry-run", "--rules", &file]);
    let id = text(&started.stdout).trim().to_owned();
    server.kill();
    let server = home.serve();
    let again = server.replayed(&id).await;
    for field in ["diff", "samples", "ledger", "cost", "identical"] {
        assert_eq!(again[field], whole[field], "{field}");
    }
}

#[tokio::test]
async fn a_range_by_time_of_append_leaves_out_what_came_before() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    let until = jiff::Timestamp::now().to_string();
    server.import("more", chatter(50)).await;
    for (from, to, total) in [
        ("earliest", until.as_str(), 644),
        (until.as_str(), "latest", 50),
    ] {
        let output = run(
            &home,
            &[
                "rules", "diff", "--rules", "default", "--from", from, "--to", to, "--json",
            ],
        );
        let replay: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(replay["processed"], json!(total), "{from} .. {to}");
    }
}

#[tokio::test]
async fn rules_that_cannot_be_used_are_refused_with_line_and_reason() {
    let home = Home::new();
    let _server = home.serve();
    let file = rules_file(&home, &RULES.replace("0.8", "8.0"));
    let cases = [
        (file.as_str(), "line 6", 1),
        ("nobody", "no rules version `nobody`", 2),
        ("absent.toml", "cannot read", 2),
    ];
    for (rules, expected, code) in cases {
        let output = run(&home, &["rules", "diff", "--rules", rules]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert!(
            text(&output.stderr).contains(expected),
            "{}",
            text(&output.stderr)
        );
    }
    assert!(text(&run(&home, &["replay", "list"]).stdout).contains("no replays"));
}

#[tokio::test]
async fn ctrl_c_cancels_the_replay() {
    let home = Home::new();
    let server = home.serve();
    server.import("long", chatter(20_000)).await;
    let file = rules_file(&home, RULES);
    let mut diff = home
        .command(&["rules", "diff", "--rules", &file])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let id = server
        .until(|| async {
            let replays = server.get("/v1/replays").await;
            let started = &replays["items"][0];
            (started["state"] == "running").then(|| started["id"].as_str().unwrap().to_owned())
        })
        .await;
    let killed = Command::new("kill")
        .args(["-INT", &diff.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(diff.wait().unwrap().code(), Some(1));
    let replay = server.get(&format!("/v1/replays/{id}")).await;
    assert_eq!(replay["state"], "cancelled", "{replay}");
    assert!(replay["processed"].as_u64() < replay["total"].as_u64());

    let output = run(&home, &["replay", "list"]);
    assert!(
        text(&output.stdout).contains("cancelled"),
        "{}",
        text(&output.stdout)
    );
    let output = run(&home, &["replay", "resume", &id]);
    assert!(
        text(&output.stderr).contains("replay_state"),
        "{}",
        text(&output.stderr)
    );
}

impl Server {
    async fn replayed(&self, id: &str) -> Value {
        self.until(|| async {
            let request = self.request(Method::GET, &format!("/v1/replays/{id}"));
            let replay: Value = request.send().await.unwrap().json().await.unwrap();
            assert_ne!(replay["state"], "failed", "{replay}");
            (replay["state"] == "done").then_some(replay)
        })
        .await
    }
}

/// An export of one chat with `n` short messages.
fn chatter(n: u64) -> Vec<u8> {
    let messages: Vec<Value> = (1..=n)
        .map(|id| {
            json!({
                "id": id, "type": "message", "date": "2026-02-01T10:00:00", "date_unixtime": (1_769_940_000 + id).to_string(),
                "from": "Олена", "from_id": "user777", "text": format!("повідомлення {id} про реліз"), "text_entities": [],
            })
        })
        .collect();
    serde_json::to_vec(&json!({"name": "Балачки", "type": "private_supergroup", "id": 2100000009u64, "messages": messages})).unwrap()
}
