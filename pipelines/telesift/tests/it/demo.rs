//! The demo, as someone meets it who has never seen telesift.

use std::process::Command;

use serde_json::Value;

use crate::server::{Home, Server, telesift};

/// A question an analyst would type, and the message a person would expect first (see `sample/README.md`).
const SEARCHES: [(&str, &str); 9] = [
    ("причина простою оплати", "-1002100000001:93"),
    ("дедлайн по аудиту", "-1002100000001:308"),
    ("коли переїжджаємо на Postgres 16", "-1002100000001:133"),
    (
        "сколько будет стоить парковка в центре весной",
        "-1002100000002:8866",
    ),
    (
        "когда достроят трамвайную линию до аэропорта",
        "-1002100000002:8970",
    ),
    ("карантин по гриппу", "-1002100000002:8947"),
    (
        "dashboard remote code execution, which version fixes it",
        "-1002100000003:15415",
    ),
    ("keep order of jobs per customer", "-1002100000003:15274"),
    ("when is the feature freeze for 1.0", "-1002100000003:15459"),
];

fn demo(home: &Home) -> Server {
    Server::start(home, telesift().args(["demo", "--listen", "127.0.0.1:0"]))
}

#[tokio::test]
async fn the_demo_shows_results_and_its_curl_lines_work_as_printed() {
    let home = Home::new();
    let server = demo(&home);
    let text = server.printed.join("\n");
    for expected in [
        "messages of three chats",
        "are noise",
        "Five top signals",
        "Search “",
        "What most of it is about",
        "What is claimed, each with the words it stands on",
        &server.key,
        &server.url,
    ] {
        assert!(text.contains(expected), "`{expected}` not in:\n{text}");
    }
    let curls: Vec<&String> = server
        .printed
        .iter()
        .filter(|l| l.trim_start().starts_with("curl "))
        .collect();
    assert_eq!(curls.len(), 2, "{text}");
    for curl in curls {
        let output = Command::new("sh").args(["-c", curl]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).expect(curl);
        let items = answer
            .get("items")
            .or(answer.get("hits"))
            .and_then(Value::as_array)
            .expect(curl);
        assert!(!items.is_empty(), "{curl}: {answer}");
    }
}

#[tokio::test]
async fn searches_in_each_language_find_what_a_person_would_expect_first() {
    let home = Home::new();
    let server = demo(&home);
    let mut missed = Vec::new();
    for (query, expected) in SEARCHES {
        let answer = server.search(query).await;
        let found = answer["hits"][0]["message"]["id"]
            .as_str()
            .unwrap_or("nothing")
            .to_owned();
        if found != expected {
            missed.push(format!("`{query}`: expected {expected}, found {found}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test]
async fn a_second_demo_on_the_same_directory_imports_nothing_anew() {
    let home = Home::new();
    drop(demo(&home));
    let server = demo(&home);
    assert!(
        server.printed.iter().any(|l| l.contains("(0 new)")),
        "{:?}",
        server.printed
    );
}
