//! Webhooks: registered and taken back, kept across restarts, with secrets that lie nowhere in the open.

use reqwest::Method;
use serde_json::json;

use super::{
    PUBLIC_URL, SECRET, add, add_unregistered, message, post, serve, state_of,
    stub::{BotApiStub, Failure, TOKEN},
    text,
};
use crate::server::Home;

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_registered_checked_and_removed_from_the_command_line() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    let lines = format!("{TOKEN}\n{SECRET}\n");
    let output = add(&home, &["ops", "--chat", "-1002100000001"], &lines);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let url = format!("{PUBLIC_URL}/v1/telegram/webhook/ops");
    assert_eq!(stub.webhook(), (url.clone(), SECRET.to_owned()));
    let asked = &stub.calls("setWebhook")[0]["allowed_updates"];
    for kind in [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "message_reaction",
        "message_reaction_count",
    ] {
        assert!(asked.as_array().unwrap().contains(&json!(kind)), "{kind}");
    }

    let status = || {
        text(
            &home
                .command(&["bots", "status", "ops"])
                .output()
                .unwrap()
                .stdout,
        )
    };
    assert!(
        status().contains(&url) && status().contains("all is well"),
        "{}",
        status()
    );
    stub.send([message(1, 1, "waits")]);
    stub.note_error("Wrong response from the webhook: 502 Bad Gateway");
    for words in [
        "1 updates wait",
        "2026-01-05T10:00:00Z: Wrong response",
        "! ",
    ] {
        assert!(status().contains(words), "{words}: {}", status());
    }
    stub.set_webhook("https://elsewhere.example/hook");
    assert!(
        status().contains("not to https://sift.example"),
        "{}",
        status()
    );

    let list = home.command(&["bots", "list", "--json"]).output().unwrap();
    assert!(text(&list.stdout).contains("123456") && !text(&list.stdout).contains(TOKEN));
    let removed = home.command(&["bots", "remove", "ops"]).output().unwrap();
    assert!(removed.status.success());
    assert_eq!(stub.webhook().0, "");
    let again = home.command(&["bots", "remove", "ops"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "{}", text(&again.stderr));
    assert_eq!(server.get("/v1/bots").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_refuses_is_not_added() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    let unknown = add(&home, &["ops"], "99:unknown\nsecret\n");
    assert_eq!(unknown.status.code(), Some(1));
    let words = text(&unknown.stderr);
    assert!(
        words.contains("BotFather") && !words.contains("99:unknown"),
        "{words}"
    );
    // A little trouble is waited out.
    stub.fail(&[Failure::BadGateway, Failure::TooMany(1)]);
    let added = add(&home, &["ops"], &format!("{TOKEN}\n{SECRET}\n"));
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert_eq!(stub.calls("setWebhook").len(), 3);
    // A long wait is not.
    server
        .request(Method::DELETE, "/v1/bots/ops")
        .send()
        .await
        .unwrap();
    stub.fail(&[Failure::TooMany(600)]);
    let busy = add(&home, &["ops"], &format!("{TOKEN}\n"));
    assert_eq!(busy.status.code(), Some(1));
    assert!(
        text(&busy.stderr).contains("wait 600 s"),
        "{}",
        text(&busy.stderr)
    );
    assert_eq!(server.get("/v1/bots").await["items"], json!([]));
    let none = add(&home, &["ops"], "");
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_updates_outlive_a_kill_and_repeated_ones_add_nothing() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    add_unregistered(&server, json!([])).await;
    assert!(
        stub.calls("setWebhook").is_empty(),
        "Telegram was left alone"
    );
    for id in 1..=20 {
        let status = post(&server, &message(id, id, "слово")).await;
        assert_eq!(status, 200);
    }
    server.kill();

    let server = serve(&home, &stub);
    assert_eq!(server.n_records("telegram-raw").await, 20);
    for id in 1..=25 {
        let status = post(&server, &message(id, id, "слово")).await;
        assert_eq!(status, 200, "the secret was kept, sealed");
    }
    // The same message under another update.
    assert_eq!(post(&server, &message(900, 25, "слово")).await, 200);
    let ledger = server.settled().await;
    assert_eq!(server.n_records("telegram-raw").await, 25);
    assert_eq!(server.messages().await.len(), 25);
    let door = ledger.iter().find(|s| s["stage"] == "ingest").unwrap();
    assert_eq!(
        (&door["received"], &door["emitted"]),
        (&json!(46), &json!(25))
    );
    assert_eq!(door["skipped"], json!({"duplicate": 21}));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_and_secret_may_come_from_the_environment() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    let output = home
        .command(&["bots", "add", "ops", "--no-register", "--json"])
        .env("TELESIFT_BOT_TOKEN", TOKEN)
        .env("TELESIFT_BOT_SECRET", SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&added["id"], &added["registered"]),
        (&json!("123456"), &json!(false))
    );
    assert_eq!(post(&server, &message(1, 1, "слово")).await, 200);
    assert!(stub.calls("setWebhook").is_empty());
}

/// Whether any file below `folder` holds `needle`.
fn holds(folder: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|w| w == needle)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_lie_sealed_and_a_lost_key_is_named_with_what_to_do() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let key = home.path().join("secret.key");
    let server = serve(&home, &stub);
    assert!(!key.exists());
    add_unregistered(&server, json!([])).await;
    assert_eq!(std::fs::read(&key).unwrap().len(), 32);
    server.terminate();
    for secret in [TOKEN, SECRET] {
        assert!(!holds(home.path(), secret.as_bytes()));
    }

    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let server = serve(&home, &stub);
    let bot = state_of(&server).await;
    assert_eq!(bot["state"], "locked");
    let words = bot["detail"].as_str().unwrap();
    assert!(words.contains("secret.key is missing"), "{words}");
    // Telegram keeps what it cannot deliver, so nothing is lost meanwhile.
    assert_eq!(post(&server, &message(1, 1, "x")).await, 503);
    server.terminate();

    let mut command = crate::server::telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TELESIFT_SECRET_KEY", hex::encode(kept));
    let server = crate::server::Server::start(&home, &mut command);
    assert_eq!(state_of(&server).await["state"], "listening");
    assert_eq!(post(&server, &message(1, 1, "x")).await, 200);
}
