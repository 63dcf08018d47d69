//! Replays of single stages on the real binary: another embedding model, the rows of windows, conversations.

use std::{path::Path, process::Output};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, sample, telesift};

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

fn said_json(home: &Home, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&said(home, &args)).unwrap()
}

/// Why a command was refused.
fn refused(home: &Home, args: &[&str]) -> String {
    let output = run(home, args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A server whose replays are fast, with these settings.
fn serve(home: &Home, settings: &[(&str, &str)]) -> Server {
    let mut command = telesift();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.env("TELESIFT__REPLAY__CPU_SHARE", "1.0");
    for (key, value) in settings {
        command.env(format!("TELESIFT__EMBED__{key}"), value);
    }
    Server::start(home, &mut command)
}

/// The best hit by meaning alone.
async fn nearest(server: &Server, query: &str) -> Option<Value> {
    let body = json!({"query": query, "mode": "vector", "filter": {"include_noise": true}});
    let request = server.request(Method::POST, "/v1/search").json(&body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["hits"].as_array()?.first().cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_is_filled_beside_switched_to_and_back() {
    let home = Home::new();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/tiny");
    said(&home, &["models", "pull", "--from", tiny.to_str().unwrap()]);
    let server = serve(&home, &[("NEXT__KIND", "local"), ("NEXT__MODEL", "tiny")]);
    server.import("sample", sample()).await;
    server.settled().await;
    let messages = server.messages().await;
    let is_signal = |m: &&Value| m["screen"]["class"] == "signal" && m["text"] != "";
    let text = messages.iter().find(is_signal).unwrap()["text"]
        .as_str()
        .unwrap();

    let replay = said_json(&home, &["replay", "--stage", "embed", "--wait"]);
    let id = replay["id"].as_str().unwrap();
    assert_eq!(replay["state"], "done", "{replay}");
    assert_eq!(replay["processed"], replay["total"], "done is all of it");
    assert_eq!(replay["generation"]["number"], 2);
    let model = replay["model"].as_str().unwrap();
    assert!(
        model.starts_with("tiny@") && model.ends_with("/16"),
        "{model}"
    );
    let listed = said(&home, &["replay", "generations"]);
    assert!(
        listed.contains("store g1 (hash@1/") && listed.contains(&format!("store g2 ({model})")),
        "{listed}"
    );
    assert!(said(&home, &["replay", "switch", id]).contains("generation 2, live"));
    // A text is nearest to itself, by the new model too: whatever it shares with others.
    let best = nearest(&server, text).await.unwrap();
    assert!(best["vector_score"].as_f64().unwrap() > 0.999, "{best}");
    let after = server.messages().await;
    assert_eq!(after.len(), messages.len());
    said(&home, &["replay", "switch-back", id]);
    assert!(nearest(&server, text).await.is_some());
    said(&home, &["replay", "switch", id]);
    server.terminate();

    // The old model leaves the configuration: search goes on by the new one, and nothing goes back.
    let server = serve(&home, &[("KIND", "local"), ("MODEL", "tiny")]);
    let best = nearest(&server, text).await.unwrap();
    assert!(best["vector_score"].as_f64().unwrap() > 0.999, "{best}");
    let why = refused(&home, &["replay", "switch-back", id]);
    assert!(
        why.contains("hash@1") && why.contains("generation 1"),
        "{why}"
    );
    let again = refused(&home, &["replay", "--stage", "embed"]);
    assert!(again.contains("no other model is configured"), "{again}");
    said(&home, &["replay", "retire", "1"]);
    server.terminate();
    // And without it the server does not start, and says how to go on.
    let ended = telesift()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(home.path())
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        !ended.status.success() && why.contains("[embed.next]"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_made_anew_are_the_same_and_so_are_conversations() {
    let home = Home::new();
    let server = serve(&home, &[]);
    server.import("sample", sample()).await;
    server.settled().await;
    let answers = async || {
        let stats = server.get("/v1/stats/screen?bucket=1d").await;
        let until = "until=2027-01-01T00:00:00Z&since=2026-12-01T00:00:00Z";
        [stats, server.get(&format!("/v1/bursts?{until}")).await]
    };
    let before = answers().await;
    let replay = said_json(&home, &["replay", "--stage", "windows", "--wait"]);
    let id = replay["id"].as_str().unwrap();
    assert_eq!(
        (&replay["state"], &replay["generation"]["number"]),
        (&json!("done"), &json!(2))
    );
    said(&home, &["replay", "switch", id]);
    let live = server.get("/v1/generations").await["items"][1].clone();
    assert_eq!(
        (&live["live"], &live["parts"]["windows"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(answers().await, before);

    // The rules read every conversation, and would read it the same: nobody is asked, nothing changes.
    crate::knowledge::read(&server, server.n_records("messages").await).await;
    let atoms = server.get("/v1/atoms?limit=500").await;
    assert!(atoms["items"].as_array().unwrap().len() > 10);
    let estimate = said(
        &home,
        &["replay", "--stage", "extract", "--dry-run", "--wait"],
    );
    assert!(
        estimate.contains("0 would be read anew") && estimate.contains("known"),
        "{estimate}"
    );
    assert!(
        estimate.contains("calls: 0, at most 0 tokens sent"),
        "{estimate}"
    );
    // A generation of them is the same, and so is what is known after a switch to it and back.
    let done = said_json(&home, &["replay", "--stage", "extract", "--wait"]);
    assert_eq!(done["estimate"]["units"], 0, "{done}");
    let id = done["id"].as_str().unwrap();
    assert_eq!(done["generation"]["number"], 3);
    for order in ["switch", "switch-back", "switch"] {
        said(&home, &["replay", order, id]);
        assert_eq!(server.get("/v1/atoms?limit=500").await, atoms);
    }
    let live = server.get("/v1/generations").await["items"][2].clone();
    assert_eq!(
        (&live["live"], &live["parts"]["knowledge"]),
        (&json!(true), &json!(3))
    );
    for stage in ["index", "stories", "embed", "windows", "alert"] {
        let counted = said(&home, &["replay", "--stage", stage, "--dry-run", "--wait"]);
        assert!(counted.contains(" would work on "), "{counted}");
    }
    let why = refused(&home, &["replay", "--stage", "alert"]);
    assert!(why.contains("always a dry run"), "{why}");
}
