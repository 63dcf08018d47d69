//! `telesift pipelines` against Arroyo's API: a plan first, everything once, and errors one can act upon.

mod golden;
mod stub;

use std::process::Output;

use serde_json::Value;
use stub::ArroyoStub;

use crate::server::{Home, json_lines};

fn run(arroyo: &str, args: &[&str]) -> Output {
    let home = Home::new();
    let mut command = home.command(args);
    if args[1] != "list" && args[1] != "render" {
        command.args(["--arroyo", arroyo]);
    }
    command.arg("--json").output().unwrap()
}

fn actions(output: &Output) -> Vec<(String, bool)> {
    let action = |line: &Value| {
        let action = line["action"].as_str().unwrap().to_owned();
        (action, line["done"].as_bool().unwrap())
    };
    json_lines(output).iter().map(action).collect()
}

#[track_caller]
fn fails_with(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "{said}");
}

const APPLY: [&str; 3] = ["pipelines", "apply", "--no-topics"];

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_missing_is_planned_made_once_and_taken_away() {
    let arroyo = ArroyoStub::start().await;
    let plan = run(&arroyo.url, &APPLY);
    assert_eq!(actions(&plan), vec![("create".to_owned(), false); 9]);
    assert!(arroyo.inner().calls.is_empty(), "a plan changes nothing");

    // A moment of weakness of a call that changes nothing is waited out.
    arroyo.inner().n_unwell = 2;
    let yes = [&APPLY[..], &["--yes"]].concat();
    assert_eq!(
        actions(&run(&arroyo.url, &yes)),
        vec![("create".to_owned(), true); 9]
    );
    let calls = arroyo.inner().calls.clone();
    assert!(
        calls[..3].iter().all(|c| c.starts_with("udf ")),
        "{calls:?}"
    );
    assert_eq!(arroyo.inner().pipelines.len(), 6);

    let odd = run(&arroyo.url, &[&APPLY[..], &["--prefix", "a/b"]].concat());
    assert_eq!(odd.status.code(), Some(2), "not a word");

    let again = run(&arroyo.url, &yes);
    assert_eq!(actions(&again), vec![("keep".to_owned(), false); 9]);
    assert_eq!(arroyo.inner().calls, calls);
    let status = json_lines(&run(&arroyo.url, &["pipelines", "status"]));
    assert!(status.len() == 6 && status.iter().all(|s| s["state"] == "Running"));

    // Another place to begin at: every pipeline is stopped, and started anew.
    let moved = [&yes[..], &["--from", "earliest"]].concat();
    let moved = actions(&run(&arroyo.url, &moved));
    assert_eq!(moved.iter().filter(|(a, _)| a == "replace").count(), 6);
    {
        let inner = arroyo.inner();
        assert_eq!(inner.pipelines.len(), 6);
        assert!(
            inner
                .pipelines
                .iter()
                .all(|p| p.query.contains("'source.offset' = 'earliest'"))
        );
    }

    let removed = run(&arroyo.url, &["pipelines", "remove"]);
    assert_eq!(actions(&removed), vec![("remove".to_owned(), false); 9]);
    assert_eq!(arroyo.inner().pipelines.len(), 6);
    run(&arroyo.url, &["pipelines", "remove", "--yes"]);
    assert!(arroyo.inner().pipelines.is_empty() && arroyo.inner().udfs.is_empty());
    let nothing = json_lines(&run(&arroyo.url, &["pipelines", "remove", "--yes"]));
    assert!(nothing.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn errors_are_in_arroyos_words_and_leave_what_runs() {
    let arroyo = ArroyoStub::start().await;
    let yes = [&APPLY[..], &["--yes"]].concat();
    arroyo.inner().compile_error =
        Some(r"error[E0425]: cannot find function `fold`\n --> src/lib.rs:3:27");
    fails_with(
        &run(&arroyo.url, &yes),
        "the UDF `text_terms` does not compile: error[E0425]: cannot find function `fold`\n --> src/lib.rs:3:27",
    );
    assert!(arroyo.inner().pipelines.is_empty());
    arroyo.inner().compile_error = None;
    json_lines(&run(&arroyo.url, &yes));

    arroyo.inner().plan_error = Some("Schema error: No field named scren. Did you mean 'screen'?");
    let moved = [&yes[..], &["--from", "earliest"]].concat();
    fails_with(
        &run(&arroyo.url, &moved),
        "Arroyo cannot run screen-stats.sql: Schema error: No field named scren",
    );
    assert_eq!(arroyo.inner().pipelines.len(), 6, "what runs goes on");

    arroyo.inner().pipelines[1].state = "Failed";
    let status = run(&arroyo.url, &["pipelines", "status"]);
    fails_with(&status, "1 pipelines failed");
    assert!(String::from_utf8_lossy(&status.stdout).contains("topic not found"));

    let url = arroyo.url.clone();
    drop(arroyo);
    fails_with(
        &run(&url, &["pipelines", "status"]),
        "no Arroyo answers at http://127.0.0.1:",
    );
}

#[test]
fn questions_are_listed_and_rendered() {
    let listed = json_lines(&run("", &["pipelines", "list"]));
    assert_eq!(listed.len(), 6);
    assert_eq!(listed[1]["udfs"][0], "text_terms");
    let args = [
        "pipelines",
        "render",
        "silent-chats",
        "--fluvio",
        "sc:9003",
        "--topic",
        "bursts=b2",
    ];
    let sql = json_lines(&run("", &args))[0]["sql"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(sql.contains("endpoint = 'sc:9003'") && sql.contains("topic = 'b2'"));
    for wrong in [
        &["pipelines", "render", "silence"][..],
        &["pipelines", "render", "--topic", "messages"][..],
        &["pipelines", "apply", "--parallelism", "0"],
    ] {
        assert_eq!(run("http://127.0.0.1:1", wrong).status.code(), Some(2));
    }
}
