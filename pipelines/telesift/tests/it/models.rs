//! `telesift models`: from a hub, from a folder, and what happens when it is not what it should be.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, telesift};

/// The model with random weights that the crate of models tests its arithmetic with.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/tiny")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A hub with one model in `folder`; every first request of a file fails.
async fn hub(folder: PathBuf) -> String {
    type Seen = std::sync::Arc<std::sync::Mutex<std::collections::HashSet<String>>>;
    async fn file(
        State((folder, seen)): State<(PathBuf, Seen)>,
        uri: axum::http::Uri,
    ) -> axum::response::Response {
        let path = uri.path().to_owned();
        if seen.lock().unwrap().insert(path.clone()) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let name = path.strip_prefix("/some/tiny/resolve/main/");
        match name.and_then(|n| std::fs::read(folder.join(n)).ok()) {
            Some(bytes) => bytes.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .fallback(file)
        .with_state((folder, Seen::default()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn pull(home: &Home, name: &str) -> Output {
    let url = hub(tiny()).await;
    let mut command = home.command(&["models", "pull", name, "--hub", &url]);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    run.await.unwrap()
}

fn run(home: &Home, args: &[&str]) -> Output {
    home.command(args).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_comes_from_the_hub_and_is_listed() {
    let home = Home::new();
    let pulled = pull(&home, "some/tiny").await;
    assert!(pulled.status.success(), "{}", text(&pulled.stderr));
    let said = text(&pulled.stdout);
    assert!(
        said.contains("tiny: 16 floats") && said.contains("kind = \"local\""),
        "{said}"
    );
    let listed = text(&run(&home, &["models", "list"]).stdout);
    assert_eq!(listed.trim(), "tiny  1 MB");
    let again = run(&home, &["models", "pull", "some/tiny"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_the_hub_does_not_have_leaves_nothing() {
    let home = Home::new();
    let pulled = pull(&home, "some/other").await;
    assert_eq!(pulled.status.code(), Some(1));
    assert!(text(&pulled.stderr).contains("`some/other` at `main` has no config.json"));
    assert_eq!(
        std::fs::read_dir(home.path().join("models"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_folder_is_taken_if_its_weights_are_the_ones_asked_for() {
    let home = Home::new();
    let folder = tiny();
    let from = folder.to_str().unwrap();
    let wrong = run(&home, &["models", "pull", "--from", from, "--sha256", "00"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("nothing was kept"));
    assert_eq!(
        std::fs::read_dir(home.path().join("models"))
            .unwrap()
            .count(),
        0
    );
    let taken = run(&home, &["models", "pull", "--from", from, "--json"]);
    assert!(taken.status.success(), "{}", text(&taken.stderr));
    let said: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(said["dimensions"], 16);
    assert_eq!(said["sha256"].as_str().unwrap().len(), 64);
}

/// An export of one chat whose messages say `texts`.
fn export(texts: &[&str]) -> Vec<u8> {
    let messages: Vec<Value> = (1..)
        .zip(texts)
        .map(|(id, text)| {
            json!({
                "id": id, "type": "message", "date": "2026-01-05T10:00:00",
                "date_unixtime": (1_767_600_000 + id).to_string(), "from": "Olena", "from_id": "user7",
                "text": text, "text_entities": [],
            })
        })
        .collect();
    let chat = json!({"name": "Ops", "type": "private_supergroup", "id": 5, "messages": messages});
    serde_json::to_vec(&chat).unwrap()
}

fn serve(home: &Home, kind: &str) -> Server {
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TELESIFT__EMBED__KIND", kind)
        .env("TELESIFT__EMBED__MODEL", "tiny");
    Server::start(home, &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_a_local_model_follow_behind_and_are_searched() {
    let home = Home::new();
    let from = tiny();
    let taken = run(&home, &["models", "pull", "--from", from.to_str().unwrap()]);
    assert!(taken.status.success(), "{}", text(&taken.stderr));
    let server = serve(&home, "local");
    let texts = [
        "Critical: the server is down again, users are logged out",
        "The ferry leaves at noon, tickets are sold out until Friday",
        "Критична помилка: сервер впав знову, дивимось логи",
    ];
    server.import("ops", export(&texts)).await;
    for wanted in texts {
        // A text is nearest to itself; found as soon as its vector is there.
        let found = server
            .until(|| async {
                let body =
                    json!({"query": wanted, "mode": "vector", "filter": {"include_noise": true}});
                let request = server.request(Method::POST, "/v1/search").json(&body);
                let answer: Value = request.send().await.unwrap().json().await.unwrap();
                let best = answer["hits"].as_array().unwrap().first()?.clone();
                (best["vector_score"].as_f64()? > 0.999).then_some(best)
            })
            .await;
        assert_eq!(found["message"]["text"], wanted);
    }
    server.terminate();
    // Vectors of two models never share a table.
    let refused = telesift()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(home.path())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("tiny@") && said.contains("hash@1"), "{said}");
}
