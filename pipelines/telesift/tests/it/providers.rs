//! `telesift providers`, `chats` and `cost`: a configured provider answers, what is private stays out, what it costs is told.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};

use crate::server::{Home, Server, telesift};

const KEY: &str = "sk-of-the-environment";

type Seen = Arc<Mutex<Vec<(Option<String>, Value)>>>;

/// An OpenAI-compatible provider that claims nothing.
async fn provider() -> (String, Seen) {
    async fn answer(
        State(seen): State<Seen>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> Json<Value> {
        let key = headers
            .get("authorization")
            .map(|v| v.to_str().unwrap().to_owned());
        seen.lock().unwrap().push((key, body));
        Json(json!({
            "choices": [{"message": {"content": "{\"claims\": []}"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 500, "completion_tokens": 10},
        }))
    }
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/chat/completions", post(answer))
        .with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, seen)
}

fn serve(home: &Home, url: &str) -> Server {
    let config = home.path().join("telesift.toml");
    let text = format!(
        "[[enrich.providers]]\nname = \"far.one\"\nkind = \"openai\"\nurl = \"{url}\"\nmodel = \"small\"\nusd_per_million_in = 2.0\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .env("TELESIFT_PROVIDER_KEY_FAR_ONE", KEY);
    Server::start(home, &mut command)
}

/// Exit code, standard output and standard error.
async fn run(home: &Home, args: &[&str], key: Option<&str>) -> (i32, String, String) {
    let mut command = home.command(args);
    if let Some(key) = key {
        command.env("TELESIFT_PROVIDER_KEY", key);
    }
    command.stdin(std::process::Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = run.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

async fn json_of(home: &Home, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let (code, out, err) = run(home, &args, None).await;
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_tried_from_the_command_line_and_its_cost_is_told() {
    let (url, seen) = provider().await;
    let home = Home::new();
    let _server = serve(&home, &url);
    let listed = json_of(&home, &["providers", "list"]).await;
    let one = &listed["items"][0];
    assert_eq!(
        (&one["name"], &one["source"]),
        (&json!("far.one"), &json!("config"))
    );
    assert_eq!(
        (&one["has_key"], &one["local"]),
        (&json!(true), &json!(false))
    );

    let tried = json_of(&home, &["providers", "test", "far.one"]).await;
    assert_eq!(
        (&tried["ok"], &tried["micro_usd"]),
        (&json!(true), &json!(1_000))
    );
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].0.as_deref(), Some("Bearer sk-of-the-environment"));
        assert!(
            seen[0].1["messages"][1]["content"]
                .as_str()
                .unwrap()
                .contains("db-2")
        );
    }
    let (_, out, _) = run(&home, &["providers", "test", "far.one"], None).await;
    assert!(out.contains("$0.0010"), "{out}");
    let cost = json_of(&home, &["cost", "--by", "provider"]).await;
    let item = &cost["items"][0];
    assert_eq!(
        (&item["key"], &item["calls"], &item["micro_usd"]),
        (&json!("far.one"), &json!(2), &json!(2_000))
    );
    let daily = &cost["budgets"]["daily"]["micro_usd"];
    assert_eq!(*daily, json!({"limit": 1_000_000, "spent": 2_000}));
    let (_, out, _) = run(&home, &["cost"], None).await;
    assert!(
        out.contains("budget, today") && out.contains("$0.0020 of $1.0000"),
        "{out}"
    );
    let estimate = json_of(&home, &["cost", "--estimate"]).await;
    assert_eq!(estimate["messages"], 0);

    let removed = run(&home, &["providers", "remove", "far.one"], None).await;
    assert_eq!(removed.0, 1);
    assert!(removed.2.contains("configuration file"), "{}", removed.2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_through_the_api_must_be_public_and_what_leaves_needs_consent() {
    let (url, seen) = provider().await;
    let home = Home::new();
    let _server = serve(&home, &url);
    let add = |base_url| {
        [
            "providers",
            "add",
            "x",
            "--kind",
            "openai",
            "--model",
            "m",
            "--base-url",
            base_url,
        ]
    };
    for private in [
        url.as_str(),
        "https://127.0.0.1/v1",
        "https://169.254.169.254/v1",
    ] {
        let (code, _, err) = run(&home, &add(private), Some("topsecret")).await;
        assert_eq!(code, 2, "{err}");
        assert!(
            err.contains("configuration file") && !err.contains("topsecret"),
            "{err}"
        );
    }
    let args = add("https://8.8.8.8/v1");
    let (code, _, err) = run(&home, &args, None).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("TELESIFT_PROVIDER_KEY"), "{err}");
    let (code, out, err) = run(&home, &args, Some("topsecret")).await;
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("with key") && !format!("{out}{err}").contains("topsecret"),
        "{out}"
    );
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(9).any(|w| w == b"topsecret"),
                "{}",
                path.display()
            );
        }
    }
    assert_eq!(run(&home, &["providers", "remove", "x"], None).await.0, 0);

    let chat = "-1001234567890";
    let (code, _, err) = run(&home, &["chats", "set", chat, "--enrich", "remote"], None).await;
    assert_eq!(code, 2);
    assert!(err.contains("consent"), "{err}");
    let set = json_of(
        &home,
        &["chats", "set", chat, "--enrich", "remote", "--consent"],
    )
    .await;
    assert_eq!(
        (&set["id"], &set["enrich"]),
        (&json!(chat), &json!("remote"))
    );
    let (code, out, _) = run(&home, &["chats", "set", chat, "--enrich", "local"], None).await;
    assert_eq!((code, out.trim()), (0, "-1001234567890 local"));
    assert_eq!(run(&home, &["chats", "list"], None).await.0, 0);
    assert!(seen.lock().unwrap().is_empty(), "nobody was asked");
}
