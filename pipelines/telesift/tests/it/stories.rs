//! Stories of the sample: from the export to API and command line, and over a crash.

use serde_json::Value;

use crate::server::{Home, Server, sample};

/// A forward, and the post it was forwarded from (see `sample/README.md`).
const COPY: &str = "-1002100000003:15432";
const ORIGINAL: &str = "-1002100000002:8980";

/// Waits until every assignment is in the catalog; gives the records of `stories`.
async fn told(server: &Server, n_messages: u64) -> Vec<Value> {
    for _ in 0..600 {
        let stats = server.get("/v1/stats/pipeline").await;
        let received = |stage: &str| -> u64 {
            let items = stats["items"].as_array().unwrap().iter();
            items
                .filter(|i| i["stage"] == stage)
                .map(|i| i["received"].as_u64().unwrap())
                .sum()
        };
        let n_told = server.n_records("stories").await;
        if received("stories") == n_messages && received("story-catalog") == n_told {
            let records = server.records("stories").await;
            return records.into_iter().map(|(_, _, data)| data).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the stories are not told in time");
}

#[tokio::test]
async fn copies_of_the_sample_are_stories_and_a_crash_changes_none() {
    let home = Home::new();
    let server = home.serve();
    server.import("sample", sample()).await;
    server.settled().await;
    let n_messages = server.n_records("messages").await;
    let stories = told(&server, n_messages).await;

    let message = server.get(&format!("/v1/messages/{COPY}")).await;
    assert_eq!(message["story"]["first"], ORIGINAL);
    assert_eq!(message["story"]["size"], 2);
    let id = message["story"]["id"].as_str().unwrap();
    let output = home.command(&["story", id]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let places = [ORIGINAL, COPY].map(|key| text.find(key));
    assert!(places[0].is_some() && places[0] < places[1], "{text}");
    let output = home.command(&["story", id, "--json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);

    // The channel posted the bridge closure twice, hours apart; the forward between belongs to one of them.
    let twice = ["-1002100000002:8897", "-1002100000002:8905"];
    let of = |key: &str| stories.iter().find(|s| s["message"] == key);
    let ids = twice.map(|key| of(key).map(|s| s["story"].clone()));
    assert!(ids[0].is_none() || ids[0] != ids[1], "{ids:?}");

    server.kill();
    let server = home.serve();
    assert_eq!(told(&server, n_messages).await, stories);
}
