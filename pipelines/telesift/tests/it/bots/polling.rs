//! Polling: nothing is confirmed before it is durable, and what Telegram does wrong is shown and outlived.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    add, message, serve, state_of,
    stub::{BotApiStub, Failure, TOKEN},
    text,
};
use crate::server::{Home, Server};

async fn polled(home: &Home, stub: &BotApiStub) -> Server {
    let server = serve(home, stub);
    let output = add(home, &["ops", "--poll"], &format!("{TOKEN}\n"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    server
}

async fn until_state(server: &Server, state: &str) -> Value {
    server
        .until(|| async {
            let bot = state_of(server).await;
            (bot["state"] == state).then_some(bot)
        })
        .await
}

async fn until_raw(server: &Server, n: u64) {
    server
        .until(|| async { (server.n_records("telegram-raw").await == n).then_some(()) })
        .await;
}

/// Updates are confirmed by asking for what follows them; whatever Telegram has forgotten must be in the log, even if the
/// process is killed at any time.
#[tokio::test(flavor = "multi_thread")]
async fn updates_are_confirmed_only_once_they_are_durable() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    stub.set_webhook("https://old.example/hook");
    let mut server = polled(&home, &stub).await;
    assert_eq!(
        stub.webhook().0,
        "",
        "the webhook was cleared, or polling would get nothing"
    );
    let mut n_sent = 0;
    for _ in 0..4 {
        // More than one answer holds.
        stub.send((n_sent + 1..=n_sent + 250).map(|id| message(id, id, "слово")));
        n_sent += 250;
        let enough = n_sent as u64 - 150;
        server
            .until(|| async { (server.n_records("telegram-raw").await >= enough).then_some(()) })
            .await;
        server.kill();
        let n_confirmed = n_sent as usize - stub.n_unconfirmed();
        server = serve(&home, &stub);
        let n_stored = server.n_records("telegram-raw").await as usize;
        assert!(
            n_stored >= n_confirmed,
            "{n_stored} stored, {n_confirmed} confirmed"
        );
    }
    until_raw(&server, n_sent as u64).await;
    let ledger = server.settled().await;
    assert_eq!(server.messages().await.len(), n_sent as usize);
    let door = ledger.iter().find(|s| s["stage"] == "ingest").unwrap();
    assert_eq!(door["emitted"], n_sent);
    server
        .until(|| async { (stub.n_unconfirmed() == 0).then_some(()) })
        .await;
    let calls = stub.calls("getUpdates");
    assert!(
        calls
            .iter()
            .all(|c| c["allowed_updates"].as_array().unwrap().len() == 10)
    );

    // A bot that is gone is not asked for any more.
    let gone = server.request(Method::DELETE, "/v1/bots/ops").send().await;
    assert_eq!(gone.unwrap().status(), 204);
    stub.send([message(5_000, 5_000, "слово")]);
    assert_eq!(stub.n_unconfirmed(), 1);
    server.terminate();
    assert_eq!(stub.n_unconfirmed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_shown_waited_out_and_costs_nothing() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = polled(&home, &stub).await;
    until_state(&server, "polling").await;
    stub.fail(&[Failure::TooMany(2); 100]);
    let bot = until_state(&server, "waiting").await;
    assert!(bot["waiting_until"].is_string(), "{bot}");
    assert!(
        bot["detail"].as_str().unwrap().contains("wait 2 s"),
        "{bot}"
    );
    let line = home.command(&["bots", "list"]).output().unwrap();
    assert!(
        text(&line.stdout).contains("waiting until"),
        "{}",
        text(&line.stdout)
    );

    stub.recover();
    stub.fail(&[Failure::Conflict; 100]);
    let bot = until_state(&server, "conflict").await;
    assert!(
        bot["detail"]
            .as_str()
            .unwrap()
            .contains("stop the other program"),
        "{bot}"
    );
    let status = home.command(&["bots", "status", "ops"]).output().unwrap();
    assert!(
        text(&status.stdout).contains("! another poller runs"),
        "{}",
        text(&status.stdout)
    );

    stub.recover();
    stub.fail(&[Failure::BadGateway, Failure::BadGateway]);
    stub.send([message(1, 1, "слово")]);
    until_raw(&server, 1).await;
    assert_eq!(stub.n_pending_failures(), 0);
    let bot = until_state(&server, "polling").await;
    assert_eq!(
        (&bot["detail"], &bot["waiting_until"]),
        (&json!(null), &json!(null))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stops_polling_and_says_so() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = polled(&home, &stub).await;
    until_state(&server, "polling").await;
    stub.fail(&[Failure::Unauthorized]);
    let bot = until_state(&server, "revoked").await;
    let words = bot["detail"].as_str().unwrap();
    assert!(
        words.contains("BotFather") && words.contains("has stopped"),
        "{words}"
    );
    let n_calls = stub.calls("getUpdates").len();
    // Adding it anew starts it again.
    for args in [vec!["bots", "remove", "ops"], vec!["bots", "list"]] {
        assert!(home.command(&args).output().unwrap().status.success());
    }
    assert_eq!(stub.calls("getUpdates").len(), n_calls);
    let output = add(&home, &["ops", "--poll"], &format!("{TOKEN}\n"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    until_state(&server, "polling").await;
}
