//! Labels as an analyst meets them: what is called a signal is in lists and searches at once, and stays there whatever is
//! restarted, thrown away and rebuilt.

use serde_json::{Value, json};

use crate::server::{Home, Server, sample};

/// Runs a command that must succeed; its output.
fn run(home: &Home, args: &[&str]) -> String {
    let output = home.command(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn run_json(home: &Home, args: &[&str]) -> Value {
    serde_json::from_str(&run(home, &[args, &["--json"]].concat())).unwrap()
}

fn has(items: &Value, id: &str) -> bool {
    let items = items.as_array().unwrap();
    items.iter().any(|item| item["id"] == id)
}

impl Server {
    /// Whether the default list and the default search show the message.
    async fn shows(&self, message: &Value) -> (bool, bool) {
        let id = message["id"].as_str().unwrap();
        let chat = message["chat"]["id"].as_str().unwrap();
        let listed = self
            .get(&format!("/v1/messages?chat={chat}&limit=500"))
            .await;
        let body = json!({
            "query": message["text"], "mode": "text", "limit": 50, "filter": {"chats": [chat]},
        });
        let request = self.request(reqwest::Method::POST, "/v1/search");
        let found: Value = request
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let hits = found["hits"].as_array().unwrap().iter();
        let hits: Vec<&Value> = hits.map(|h| &h["message"]).collect();
        (has(&listed["items"], id), has(&json!(hits), id))
    }

    /// Waits until what was thrown away is rebuilt as far as this message is shown with a label.
    async fn rebuilt(&self, message: &Value) {
        let id = message["id"].as_str().unwrap();
        self.until(|| async {
            let page = self.get("/v1/messages?class=signal&limit=500").await;
            has(&page["items"], id).then_some(())
        })
        .await;
        self.settled().await;
    }
}

async fn quiet_message(server: &Server) -> Value {
    let page = server
        .get("/v1/messages?class=noise&kind=text&limit=500")
        .await;
    let items = page["items"].as_array().unwrap();
    let wordy = items.iter().find(|m| {
        m["text"]
            .as_str()
            .unwrap()
            .chars()
            .filter(|c| c.is_alphabetic())
            .count()
            > 8
    });
    wordy.expect("the sample has noise with words").clone()
}

#[tokio::test]
async fn a_label_counts_at_once_and_outlives_restart_and_rebuild() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let message = quiet_message(&server).await;
    let id = message["id"].as_str().unwrap();
    assert_eq!(server.shows(&message).await, (false, false));

    let answer = run_json(
        &home,
        &["feedback", id, "--class", "signal", "--spam", "no"],
    );
    let label = answer["label"].clone();
    assert_eq!(
        (&label["class"], &label["spam"]),
        (&json!("signal"), &json!(false))
    );
    assert_eq!(server.shows(&message).await, (true, true), "at once");
    let shown = server.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(shown["label"], label);
    assert_eq!(shown["screen"]["class"], "noise");

    run(
        &home,
        &["feedback", id, "--class", "none", "--spam", "none"],
    );
    assert_eq!(server.shows(&message).await, (false, false), "taken back");
    let listed = run_json(&home, &["feedback", "list"]);
    assert_eq!(listed["items"], json!([]));
    let label = run_json(&home, &["feedback", id, "--class", "signal"])["label"].clone();
    let listed = run_json(
        &home,
        &["feedback", "list", "--message", id, "--class", "signal"],
    );
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let line: Value = serde_json::from_str(run(&home, &["feedback", "export"]).trim()).unwrap();
    let wanted = json!({
        "text": message["text"], "lang": message["lang"], "class": "signal",
        "chat": message["chat"]["id"], "message": id,
    });
    assert_eq!(line, wanted);
    assert_eq!(server.n_records("decisions").await, 3);

    assert!(server.terminate().0.success());
    let server = home.serve();
    assert_eq!(
        server.shows(&message).await,
        (true, true),
        "after a restart"
    );

    assert!(server.terminate().0.success());
    std::fs::remove_dir_all(home.path().join("lance")).unwrap();
    let server = home.serve();
    server.rebuilt(&message).await;
    assert_eq!(server.shows(&message).await, (true, true), "another store");

    // The catalog goes with its keys; the new admin key has the old one's name, so it has the same owner.
    assert!(server.terminate().0.success());
    std::fs::remove_dir_all(home.path().join("lance")).unwrap();
    for file in [
        "catalog.db",
        "catalog.db-wal",
        "catalog.db-shm",
        "admin.key",
    ] {
        match std::fs::remove_file(home.path().join(file)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("{file}: {e}"),
            _ => {}
        }
    }
    let server = home.serve();
    server.rebuilt(&message).await;
    assert_eq!(
        server.shows(&message).await,
        (true, true),
        "another catalog"
    );
    let shown = server.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(shown["label"], label);
    run(&home, &["feedback", id, "--class", "none"]);
    assert_eq!(server.shows(&message).await, (false, false), "taken back");
}
