//! Rules through the binary: checked, added, activated from an offset on, rolled back, over restarts and a lost catalog.

use std::{collections::BTreeMap, process::Output};

use serde_json::{Value, json};

use crate::server::{Home, Server, sample};

/// Everything is noise to these.
const DEAF: &str =
    "# silence\nname = \"deaf\"\nversion = 1\n\n[thresholds]\nweak_signal = 1.0\nsignal = 1.0\n";

fn run(home: &Home, args: &[&str]) -> Output {
    home.command(args).output().unwrap()
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write(home: &Home, name: &str, content: &str) -> String {
    let file = home.path().join(name);
    std::fs::write(&file, content).unwrap();
    file.to_str().unwrap().to_owned()
}

/// An export of `n` messages that are signal by the shipped rules, in several chats.
fn incidents(first: u64, n: u64) -> Vec<u8> {
    let chat = |chat: u64| {
        let messages: Vec<Value> = (first..first + n)
            .map(|id| {
                json!({"id": id, "type": "message", "date": "2026-01-05T10:00:00", "date_unixtime": "1767607200",
                    "from": "Olena", "from_id": "user777",
                    "text": format!("Critical incident {id}: the payment server is down, the deadline is today, who can fix it?"),
                    "text_entities": []})
            })
            .collect();
        json!({"name": format!("Ops {chat}"), "type": "private_supergroup", "id": 2_100_000_000 + chat, "messages": messages})
    };
    let chats: Vec<Value> = (1..=6).map(chat).collect();
    serde_json::to_vec(&json!({"about": "", "chats": {"about": "", "list": chats}})).unwrap()
}

/// Checks each message of the topic: below the first offset of its partition in `starts` none of `rules`, from there on,
/// and below `ends`, all of them. Returns how many were screened by `rules`.
async fn screened_between(
    server: &Server,
    rules: &str,
    starts: &Value,
    ends: Option<&Value>,
) -> usize {
    let offsets = |from: &Value| -> BTreeMap<u64, u64> {
        let each = from.as_array().unwrap().iter();
        each.map(|at| {
            (
                at["partition"].as_u64().unwrap(),
                at["offset"].as_u64().unwrap(),
            )
        })
        .collect()
    };
    let starts = offsets(starts);
    let ends = ends.map(offsets);
    let mut n = 0;
    for (partition, _, message) in server.records("messages").await {
        let origin = message["origin"]["offset"].as_u64().unwrap();
        let is_within = origin >= starts[&partition]
            && ends.as_ref().is_none_or(|ends| origin < ends[&partition]);
        assert_eq!(
            message["screen"]["rules"] == rules,
            is_within,
            "{} at {partition}:{origin}",
            message["screen"]["rules"]
        );
        n += usize::from(is_within);
    }
    n
}

fn n_noise(messages: &[(u64, u64, Value)], rules: &str) -> (usize, usize) {
    let of = messages
        .iter()
        .filter(|(_, _, m)| m["screen"]["rules"] == rules);
    let noise = of
        .clone()
        .filter(|(_, _, m)| m["screen"]["class"] == "noise");
    (noise.count(), of.count())
}

#[tokio::test]
async fn rules_change_from_a_stated_offset_on_and_back() {
    let home = Home::new();
    let server = home.serve();
    server.import("before", incidents(1, 20)).await;

    // Added; nothing changes yet.
    let file = write(&home, "deaf.toml", DEAF);
    let added = json_of(&run(
        &home,
        &["rules", "add", &file, "--note", "a quiet day", "--json"],
    ));
    let deaf = added["version"].as_str().unwrap().to_owned();
    assert!(deaf.starts_with("deaf@1+"), "{deaf}");
    let again = run(&home, &["rules", "add", &file]);
    assert!(
        text(&again.stdout).contains("was there already"),
        "{}",
        text(&again.stdout)
    );

    // Active from the end of each partition on, whatever of it was screened by then.
    let active = json_of(&run(&home, &["rules", "activate", "deaf", "--json"]));
    assert_eq!(active["rules"], deaf);
    server.import("during", incidents(101, 20)).await;
    server.settled().await;
    let n = screened_between(&server, &deaf, &active["from"], None).await;
    assert_eq!(n, 6 * 20);
    let messages = server.records("messages").await;
    assert_eq!(n_noise(&messages, &deaf), (n, n), "to them all is noise");
    let shipped = messages[0].2["screen"]["rules"]
        .as_str()
        .unwrap()
        .to_owned();
    let (n_noise_before, n_before) = n_noise(&messages, &shipped);
    assert_eq!((n_noise_before, n_before), (0, 6 * 20));

    // A restart, by the hard way, changes nothing of that.
    server.kill();
    let server = home.serve();
    let shown = server.get("/v1/rules/active").await;
    assert_eq!(
        (&shown["rules"]["version"], &shown["rules"]["from"]),
        (&json!(deaf), &active["from"])
    );
    server.import("after", incidents(201, 20)).await;
    server.settled().await;
    let n = screened_between(&server, &deaf, &active["from"], None).await;
    assert_eq!(n, 6 * 40);

    // Back to the rules that ship; the catalog is lost on the way, the decisions are not.
    let back = json_of(&run(
        &home,
        &[
            "rules",
            "activate",
            "default",
            "--note",
            "loud again",
            "--json",
        ],
    ));
    assert_eq!(
        (&back["rules"], &back["shipped"]),
        (&json!(shipped), &json!(true))
    );
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
    for file in [
        "catalog.db",
        "catalog.db-wal",
        "catalog.db-shm",
        "admin.key",
    ] {
        let _ = std::fs::remove_file(home.path().join(file));
    }
    let server = home.serve();
    server.import("back", incidents(301, 20)).await;
    server.settled().await;
    let n = screened_between(&server, &deaf, &active["from"], Some(&back["from"])).await;
    assert_eq!(n, 6 * 40);
    let history = json_of(&run(&home, &["rules", "history", "--json"]));
    let rules: Vec<&Value> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["rules"])
        .collect();
    assert_eq!(rules, [&json!(shipped), &json!(deaf)]);
    assert_eq!(history["items"][0]["note"], "loud again");
    let listed = text(&run(&home, &["rules", "list"]).stdout);
    assert!(
        listed.contains(&format!("* {shipped}")) && listed.contains("a quiet day"),
        "{listed}"
    );

    // Each message is explained by the rules that screened it.
    for (id, rules) in [(1, &shipped), (101, &deaf), (301, &shipped)] {
        let path = format!("/v1/messages/-1002100000001:{id}/explain");
        let answer = server.get(&path).await;
        assert_eq!(
            (&answer["rules"], &answer["recomputed"]["rules"]),
            (&json!(rules), &json!(rules))
        );
        assert_eq!(
            (&answer["same_rules"], &answer["note"]),
            (&json!(true), &Value::Null)
        );
        assert_eq!(answer["recomputed"]["score"], answer["score"]);
        assert_eq!(answer["recomputed"]["class"], answer["class"]);
        let id = format!("-1002100000001:{id}");
        let shown = json_of(&run(&home, &["explain", &id, "--json"]));
        assert_eq!(shown["factors"], answer["factors"]);
        let shown = text(&run(&home, &["explain", &id]).stdout);
        assert!(
            shown.contains(rules.as_str()) && shown.contains("\nbias "),
            "{shown}"
        );
    }
    let unknown = run(&home, &["explain", "-1002100000001:999999"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test]
async fn a_position_below_what_is_screened_is_refused_with_advice() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let file = write(&home, "deaf.toml", DEAF);
    let added = run(&home, &["rules", "add", &file]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    let frame = run(
        &home,
        &[
            "tail",
            "telegram-raw",
            "--from",
            "earliest",
            "--no-follow",
            "--json",
        ],
    );
    let first: Value = serde_json::from_str(text(&frame.stdout).lines().next().unwrap()).unwrap();
    let earliest = first["cursor"].as_str().unwrap();
    let refused = run(&home, &["rules", "activate", "deaf@1", "--from", earliest]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains("already_screened") && said.contains("replay"),
        "{said}"
    );
    let history = json_of(&run(&home, &["rules", "history", "--json"]));
    assert_eq!(history["items"], json!([]));
}

#[test]
fn rules_are_checked_without_a_server() {
    let home = Home::new();
    let good = write(&home, "good.toml", DEAF);
    let output = run(&home, &["rules", "check", &good]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("valid, deaf@1+"),
        "{}",
        text(&output.stdout)
    );

    let bad = write(
        &home,
        "bad.toml",
        &DEAF.replace("\nsignal = 1.0", "\nsignal = 1.5"),
    );
    let output = run(&home, &["rules", "check", &bad]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("bad.toml:7: threshold `signal`"), "{said}");
    let output = run(&home, &["rules", "check", &bad, "--json"]);
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(checked["valid"], false);
    assert!(
        checked["line"].is_u64() && checked["reason"].is_string(),
        "{checked}"
    );
}

#[test]
fn the_example_of_the_manual_is_valid() {
    let home = Home::new();
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let example = manual.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let file = write(&home, "example.toml", example);
    let output = run(&home, &["rules", "check", &file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("ops@2+"));
}

#[tokio::test]
async fn rules_shown_are_rules_that_can_be_added() {
    let home = Home::new();
    let server = home.serve();
    let shown = run(&home, &["rules", "show"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let toml = text(&shown.stdout);
    assert!(
        toml.starts_with("# default@") && toml.contains("ships with telesift, active"),
        "{toml}"
    );
    let mine = write(
        &home,
        "mine.toml",
        &toml.replace("name = \"default\"", "name = \"pinned\""),
    );
    let added = json_of(&run(&home, &["rules", "add", &mine, "--json"]));
    let version = added["version"].as_str().unwrap();
    assert!(version.starts_with("pinned@"), "{version}");
    let shown = server.get(&format!("/v1/rules/{version}")).await;
    let default = server.get("/v1/rules/default").await;
    assert_eq!(shown["json"]["thresholds"], default["json"]["thresholds"]);
    assert_eq!(shown["json"]["lexicons"], default["json"]["lexicons"]);

    let bad = write(
        &home,
        "bad.toml",
        &DEAF.replace("[thresholds]", "[treshholds]"),
    );
    let refused = run(&home, &["rules", "add", &bad]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains("bad.toml") && said.contains("line 5"),
        "{said}"
    );
}
