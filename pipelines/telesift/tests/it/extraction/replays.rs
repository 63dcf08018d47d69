//! Conversations that the rules read, read anew by a model into a generation: told beforehand, through a killed server, switched to
//! and back, and never paid for twice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

fn said(home: &Home, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = home.command(&args).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {why}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The atoms that stand.
async fn standing(server: &Server) -> BTreeMap<String, Value> {
    let mut all = atoms(server).await;
    all.retain(|_, atom| atom["status"] != "retracted");
    all
}

/// Who claims what, by atom.
async fn claimed(server: &Server) -> BTreeMap<String, (String, Value)> {
    let all = standing(server).await.into_iter();
    let by = |atom: Value| {
        let name = atom["extractor"]["name"].as_str().unwrap().to_owned();
        (name, atom["evidence"].clone())
    };
    all.map(|(id, atom)| (id, by(atom))).collect()
}

/// What was paid so far, in millionths of a US dollar.
async fn spent(server: &Server) -> u64 {
    let cost = server.get("/v1/stats/cost").await;
    cost["total"]["micro_usd"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_reads_the_past_anew_and_is_paid_once() {
    let (stub, url) = Stub::start(&[]).await;
    let home = Home::new();
    let server = serve(&home, &url);
    server.import("ops", export()).await;
    server.settled().await;
    read(&server, TEXTS.len() as u64).await;
    let before = claimed(&server).await;
    assert!(!before.is_empty() && before.values().all(|(by, _)| by == "rules"));
    let consent = json!({"enrich": "remote", "consent": true});
    let path = format!("/v1/chats/{CHAT}");
    let set = server.request(Method::PATCH, &path).json(&consent);
    set.send().await.unwrap().error_for_status().unwrap();

    let n = TEXTS.len() as u64;
    let dry = ["replay", "--stage", "extract", "--dry-run", "--wait"];
    // A setting is in force moments after it was made.
    let estimate = server.until(|| async {
        let estimate = said(&home, &dry)["estimate"].clone();
        (estimate["units"] == n).then_some(estimate)
    });
    let estimate = estimate.await;
    assert_eq!(
        (&estimate["calls"], &estimate["kept"]),
        (&json!(n), &json!(0))
    );
    let most = estimate["usd"].as_f64().unwrap();
    assert!(most > 0.0 && estimate["tokens_in"].as_u64().unwrap() > 1_000);
    assert_eq!(stub.n_seen(), 0, "a dry run asks nobody");

    let replay = said(&home, &["replay", "--stage", "extract"]);
    let id = replay["id"].as_str().unwrap().to_owned();
    server
        .until(|| async { (stub.n_seen() >= 3).then_some(()) })
        .await;
    server.kill();
    let server = serve(&home, &url);
    let path = format!("/v1/replays/{id}");
    let done = server.until(|| async {
        let replay = server.get(&path).await;
        (replay["state"] == "done").then_some(replay)
    });
    let done = done.await;
    assert_eq!(done["estimate"]["units"], n, "{done}");
    assert_eq!(done["generation"]["number"], 2);
    // What was under way when it died may have been asked twice.
    assert!((TEXTS.len()..=2 * TEXTS.len()).contains(&stub.n_seen()));
    assert_eq!(claimed(&server).await, before, "nothing of it counts yet");

    said(&home, &["replay", "switch", &id]);
    let after = claimed(&server).await;
    assert_eq!(after.len(), TEXTS.len());
    assert!(after.values().all(|(by, _)| by == "far"), "{after:?}");
    quotes_stand(&server, &standing(&server).await).await;
    said(&home, &["replay", "switch-back", &id]);
    assert_eq!(claimed(&server).await, before);

    // Again, from where it began: all of it is answered, and costs nothing.
    let (n_seen, paid) = (stub.n_seen(), spent(&server).await);
    let estimate = said(&home, &dry)["estimate"].clone();
    let expected =
        json!({"units": n, "calls": 0, "kept": n, "tokens_in": 0, "tokens_out": 0, "usd": 0.0});
    assert_eq!(estimate, expected);
    let again = said(&home, &["replay", "--stage", "extract", "--wait"]);
    assert_eq!(again["estimate"], expected);
    said(&home, &["replay", "switch", again["id"].as_str().unwrap()]);
    assert_eq!(claimed(&server).await, after);
    assert_eq!(stub.n_seen(), n_seen);
    assert_eq!(spent(&server).await, paid);
    assert!(paid > 0 && paid as f64 <= 2e6 * most, "{paid}");
}
