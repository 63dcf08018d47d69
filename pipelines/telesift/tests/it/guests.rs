//! SmartModules that hang or panic in the real binary: the rest goes on, and what they broke is retried.

use std::process::Output;

use serde_json::Value;

use crate::server::{Home, Server, export, telesift, texts};

const CHAT: i64 = 1_900_000_000;

impl Home {
    /// A server with the guest `misbehave` in front of its chain; the watchdog waits three seconds for one that hangs.
    fn serve_with_guest(&self, mode: &str) -> Server {
        let mut command = telesift();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("TELESIFT_TEST_GUEST", mode);
        if mode == "hang" {
            command.env("TELESIFT__SCREEN__WATCHDOG_S", "3");
        }
        Server::start(self, &mut command)
    }

    fn dead_letters(&self, args: &[&str]) -> Output {
        self.command(&[&["dead-letters"], args].concat())
            .output()
            .unwrap()
    }
}

/// Thirty texts, one of which makes the guest misbehave.
fn marked() -> Vec<u8> {
    let mut texts = texts(1, 30);
    texts[12] = "please misbehave, платформа впала і потребує відновлення".to_owned();
    export(CHAT, 1, &texts)
}

async fn letters(server: &Server) -> Option<Vec<Value>> {
    let page = server.try_get("/v1/dead-letters").await?;
    let letters = page["items"].as_array()?.clone();
    (!letters.is_empty()).then_some(letters)
}

/// What of the ledger the tests ask for: (received, emitted, dead-lettered, retried_ok) of the screen.
fn screened(ledger: &[Value]) -> (u64, u64, u64, u64) {
    let sum = |field: &str| -> u64 {
        let of_screen = ledger.iter().filter(|i| i["stage"] == "screen");
        of_screen.map(|i| i[field].as_u64().unwrap()).sum()
    };
    (
        sum("received"),
        sum("emitted"),
        sum("dead_lettered"),
        sum("retried_ok"),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_guest_that_never_returns_costs_its_record_only_and_a_retry_brings_it_back() {
    let home = Home::new();
    let server = home.serve_with_guest("hang");
    let (status, queued) = server.upload("marked", marked()).await;
    assert_eq!(status, 202, "{queued}");
    let letters = server.until(|| letters(&server)).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!(
        (&letter["code"], &letter["attempts"]),
        (&"guest_timeout".into(), &2.into())
    );
    assert!(
        letter["payload"]["text"]
            .as_str()
            .unwrap()
            .contains("misbehave")
    );
    assert_eq!(screened(&server.settled().await), (30, 29, 1, 0));
    assert_eq!(server.messages().await.len(), 29);
    assert!(
        server.n_restarts() >= 3,
        "once with its range, twice alone; a busy machine may be late more often"
    );

    // Another build, which has no such guest.
    let server = home.serve();
    let id = letter["id"].as_str().unwrap();
    let output = home.dead_letters(&["retry", id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("solved"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(screened(&server.settled().await), (30, 30, 0, 1));
    assert_eq!(server.messages().await.len(), 30);
    let hits = server.search("платформа").await;
    assert_eq!(hits["hits"][0]["message"]["message_id"], 13, "{hits}");
    assert_eq!(hits["hits"][0]["message"]["origin"], letter["origin"]);
    let output = home.dead_letters(&[]);
    assert!(text(&output.stdout).contains("no dead letters"));
    let output = home.dead_letters(&["list", "--state", "solved", "--json"]);
    let solved: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(solved["items"][0]["attempts"], 3);
}

#[tokio::test]
async fn a_retry_of_what_still_fails_says_why() {
    let home = Home::new();
    let server = home.serve_with_guest("panic");
    let import = server.import("marked", marked()).await;
    assert_eq!(import["messages_new"], 30);
    server.settled().await;
    let output = home.dead_letters(&["retry", "--all", "--stage", "screen"]);
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        out.contains("guest_trap") && out.contains("tried 2 times"),
        "{out}"
    );
    assert!(
        out.contains("memory_limit_mib"),
        "it says what to do: {out}"
    );
    assert!(err.contains("1 of 1 dead letters are not solved"), "{err}");
    assert_eq!(screened(&server.settled().await), (30, 29, 1, 0));

    drop(server);
    let server = home.serve();
    let output = home.dead_letters(&["retry", "--all"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(screened(&server.settled().await), (30, 30, 0, 1));
    let output = home.dead_letters(&["retry", "--all", "--json"]);
    assert_eq!(text(&output.stdout).trim(), r#"{"items":[]}"#);
    let output = home.dead_letters(&["retry", "screen:telegram-raw:0:999999"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("not found"),
        "{}",
        text(&output.stderr)
    );
}
