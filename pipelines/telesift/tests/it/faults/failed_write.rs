//! A disk that fails a write of the log: the server says so and ends; the next start has everything it acknowledged.

use std::{
    fs::{self, File},
    process::Command,
};

use reqwest::Method;
use serde_json::json;

use super::CHAT;
use crate::server::{Home, Server, export, texts};

#[tokio::test]
async fn a_failed_write_ends_the_server_and_loses_nothing() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: this machine has no `prlimit`, which makes writes fail");
        return;
    }
    let home = Home::new();
    let errors = home.path().join("errors.txt");
    // The signal that comes with a write beyond the limit is ignored; the write fails.
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"trap '' XFSZ; exec "$0" "$@""#,
            env!("CARGO_BIN_EXE_telesift"),
        ])
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stderr(File::create(&errors).unwrap());
    let mut server = Server::start(&home, &mut command);
    server.import("first", export(CHAT, 1, &texts(1, 50))).await;
    server.settled().await;

    let pid = server.pid().to_string();
    let limited = Command::new("prlimit")
        // Less than the log holds by now, more than the server has said.
        .args(["--pid", &pid, "--fsize=16384"])
        .status();
    assert!(limited.unwrap().success());
    let (status, problem) = server
        .upload("second", export(CHAT, 100, &texts(2, 500)))
        .await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(
        fs::read_dir(home.path().join("spool")).unwrap().count(),
        0,
        "nothing is left of it"
    );
    let label = json!({"message": format!("-100{CHAT}:1"), "class": "signal"});
    let request = server.request(Method::POST, "/v1/feedback").json(&label);
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), 503);
    }
    let status = server.until_ended().await;
    let said = fs::read_to_string(&errors).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("telesift: ") && last.contains("a write failed"),
        "{last}"
    );

    let server = home.serve();
    server
        .import("second", export(CHAT, 100, &texts(2, 500)))
        .await;
    server.settled().await;
    assert_eq!(server.messages().await.len(), 550);
    assert_eq!(server.n_records("dead-letters").await, 0);
}
