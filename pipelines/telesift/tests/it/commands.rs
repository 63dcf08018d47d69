//! The commands and their exit codes.

use std::{process::Output, time::Duration};

use serde_json::Value;

use crate::server::{Home, sample, telesift};

fn run(home: &Home, args: &[&str]) -> Output {
    home.command(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn import_search_topics_and_tail_work_from_the_command_line() {
    let home = Home::new();
    let server = home.serve();
    let file = home.path().join("export.json");
    std::fs::write(&file, sample()).unwrap();
    let output = run(&home, &["import", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("done"),
        "{}",
        text(&output.stdout)
    );
    server.settled().await;

    let output = run(
        &home,
        &["search", "парковка", "--chat", "-1002100000002", "--json"],
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hits = answer["hits"].as_array().unwrap();
    assert!(
        !hits.is_empty()
            && hits
                .iter()
                .all(|h| h["message"]["chat"]["id"] == "-1002100000002"),
        "{answer}"
    );

    let output = run(&home, &["topics"]);
    assert!(text(&output.stdout).contains("telegram-raw"));

    let output = run(
        &home,
        &[
            "tail",
            "--from",
            "earliest",
            "--no-follow",
            "--class",
            "signal",
            "--json",
        ],
    );
    let frames: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let records: Vec<&Value> = frames.iter().filter(|f| f["type"] == "record").collect();
    assert!(
        !records.is_empty()
            && records
                .iter()
                .all(|f| f["data"]["screen"]["class"] == "signal")
    );

    let output = run(&home, &["tail", "--class", "bogus"]);
    assert_eq!(output.status.code(), Some(2), "wrong usage, as of search");
    assert!(text(&output.stderr).contains("(invalid_parameter)"));
    let output = run(&home, &["replay", "--json", "list"]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let output = run(&home, &["doctor"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let output = run(&home, &["dead-letters"]);
    assert!(text(&output.stdout).contains("no dead letters"));
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let home = Home::new();
    let server = home.serve();
    let output = run(
        &home,
        &[
            "keys",
            "create",
            "analyst",
            "--scope",
            "read",
            "--chat",
            "-1002100000002",
            "--json",
        ],
    );
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let ask = async |key: &str| {
        let request = reqwest::Client::new()
            .get(format!("{}/v1/messages", server.url))
            .bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(key).await, 200);
    assert!(text(&run(&home, &["keys", "list"]).stdout).contains("analyst"));
    assert!(run(&home, &["keys", "revoke", id]).status.success());
    assert_eq!(ask(key).await, 401);

    let audit = text(&run(&home, &["audit"]).stdout);
    let lines: Vec<&str> = audit.lines().collect();
    assert_eq!(lines.len(), 3, "{audit}");
    assert!(lines[0].contains("keys.revoke") && lines[0].contains(id) && lines[0].contains("done"));
    assert!(lines[1].contains("keys.create") && lines[1].contains("from 127.0.0.1"));
    // The key the server made for itself at its first start.
    assert!(lines[2].contains("keys.create") && lines[2].contains("by the server"));
    let audit = run(&home, &["audit", "--action", "keys.revoke", "--json"]);
    let audit: serde_json::Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    assert!(!audit.to_string().contains(key));
}

#[test]
fn sigterm_drains_and_exits_0() {
    let home = Home::new();
    let (status, took) = home.serve().terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!home.path().join("server.json").exists());
}

#[test]
fn a_second_server_on_one_data_directory_is_refused() {
    let home = Home::new();
    let _server = home.serve();
    let output = run(&home, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("in use by another process"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn wrong_usage_and_configuration_exit_2_and_say_why() {
    let home = Home::new();
    let config = home.path().join("bad.toml");
    std::fs::write(&config, "[server]\nlisten_on = \"x\"\n").unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["serve", "--roles", "screen"], "Fluvio"),
        (
            &["serve", "--config", config.to_str().unwrap()],
            "server.listen",
        ),
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["search", "x", "--url", "ftp://nowhere"], "no http URL"),
    ];
    for (args, expected) in cases {
        let output = run(&home, args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(expected),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

#[tokio::test]
async fn a_record_is_printed_byte_for_byte() {
    let home = Home::new();
    let server = home.serve();
    let entry = r#"{ "id":1, "type":"message","date":"2026-01-05T10:00:00","date_unixtime":"1767607200","from":"A","from_id":"user1","text":"\u0041","n":12345678901234567890123,"n":1.0e5}"#;
    let export = format!(r#"{{"name":"x","type":"private_group","id":5,"messages":[{entry}]}}"#);
    server.import("odd", export.into_bytes()).await;
    let page = server.get("/v1/topics").await;
    let of_raw = |topic: &Value| topic["topic"] == "telegram-raw";
    let topic = page["items"].as_array().unwrap().iter().find(|t| of_raw(t));
    let partitions = topic.unwrap()["partitions"].as_array().unwrap();
    let filled = partitions.iter().find(|p| p["end"] == 1).unwrap();
    let partition = filled["partition"].to_string();
    for more in [&[][..], &["--json"]] {
        let args = [&["topics", "telegram-raw", "--partition", &partition], more].concat();
        let output = run(&home, &args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.contains(entry), "{said}");
    }
}

#[test]
fn another_number_of_partitions_than_there_is_a_matter_of_the_configuration() {
    let home = Home::new();
    drop(home.serve());
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    let output = command.env("TELESIFT__LOG__PARTITIONS", "8").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("has 4 partitions, not 8"), "{said}");
}

#[test]
fn commands_without_a_server_say_what_to_do() {
    let home = Home::new();
    let output = run(&home, &["search", "x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("telesift serve"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn files_of_the_data_directory_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let _server = home.serve();
    let mode = std::fs::metadata(home.path().join("admin.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn help_names_every_command() {
    let output = telesift().arg("--help").output().unwrap();
    for command in [
        "demo",
        "serve",
        "import",
        "search",
        "tail",
        "topics",
        "replay",
        "rules",
        "dead-letters",
        "feedback",
        "keys",
        "audit",
        "providers",
        "chats",
        "cost",
        "rules",
        "doctor",
    ] {
        assert!(text(&output.stdout).contains(command), "{command}");
    }
}
