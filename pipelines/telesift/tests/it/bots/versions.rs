//! Edits, deletions and reactions through the whole flow, in any order.

use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::{Value, json};

use super::{OPS, add_unregistered, edit, message, post, serve, stub::BotApiStub};
use crate::server::{Home, PATIENCE, Server};

async fn started() -> (Home, BotApiStub, Server) {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    add_unregistered(&server, json!([])).await;
    (home, stub, server)
}

async fn found(server: &Server, query: &str) -> Vec<String> {
    let answer = server.search(query).await;
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|h| h["message"]["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_replaces_what_is_found_and_keeps_what_was() {
    let (_home, _stub, server) = started().await;
    post(&server, &message(1, 1, "реліз переноситься на четвер")).await;
    post(&server, &edit(2, 1, 60, "реліз переноситься на пятницю")).await;
    server.settled().await;
    let id = format!("{OPS}:1");
    assert_eq!(found(&server, "\"на четвер\"").await, [""; 0]);
    assert_eq!(found(&server, "\"на пятницю\"").await, [id.as_str()]);
    let whole = server.get(&format!("/v1/messages/{id}?history=true")).await;
    assert_eq!(whole["text"], "реліз переноситься на пятницю");
    assert_eq!(whole["screen"]["flags"], json!(["edited"]));
    assert_eq!(whole["edits"][0]["text"], "реліз переноситься на четвер");
    assert_eq!(whole["edits"].as_array().unwrap().len(), 1);
}

/// Reads the tail of `messages` to its head.
async fn tail(server: &Server, filters: &str) -> Vec<Value> {
    let path = format!("/v1/topics/messages/stream?from=earliest{filters}");
    let request = server.request(reqwest::Method::GET, &path);
    let mut stream = request.send().await.unwrap().bytes_stream();
    let (mut text, mut records) = (String::new(), Vec::new());
    loop {
        let chunk = tokio::time::timeout(PATIENCE, stream.next()).await;
        text += std::str::from_utf8(&chunk.unwrap().unwrap().unwrap()).unwrap();
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let data = event.lines().find_map(|l| l.strip_prefix("data:"));
            let Some(data) = data else { continue };
            let frame: Value = serde_json::from_str(data).unwrap();
            match frame["type"].as_str().unwrap() {
                "record" => records.push(frame["data"].clone()),
                "heartbeat" if frame["cursor"] == frame["head"] => return records,
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_a_tombstone_and_the_versions() {
    let (_home, _stub, server) = started().await;
    let chat = json!({"id": 777, "first_name": "Olena", "type": "private"});
    let business = |update_id: i64, id: i64, text: &str| {
        json!({"update_id": update_id, "business_message": {"business_connection_id": "bc", "message_id": id,
            "date": 1_767_607_200, "chat": chat, "from": {"id": 777, "is_bot": false, "first_name": "Olena"}, "text": text}})
    };
    for id in 1..=3 {
        let text = format!("оплата рахунку номер {id} буде завтра");
        assert_eq!(post(&server, &business(id, id, &text)).await, 200);
    }
    // Two at once, one of which came before its message.
    let deletion = json!({"update_id": 50, "deleted_business_messages":
        {"business_connection_id": "bc", "chat": chat, "message_ids": [2, 9]}});
    assert_eq!(post(&server, &deletion).await, 200);
    assert_eq!(
        post(&server, &business(51, 9, "оплата рахунку номер 9")).await,
        200
    );
    server.settled().await;

    let mut left: Vec<i64> = server
        .messages()
        .await
        .iter()
        .map(|m| m["message_id"].as_i64().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, [1, 3], "lists leave deleted messages out");
    assert_eq!(found(&server, "\"номер 2\"").await, [""; 0]);
    let deleted = server.get("/v1/messages?kind=deleted").await;
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    for (id, was) in [
        (2, "оплата рахунку номер 2 буде завтра"),
        (9, "оплата рахунку номер 9"),
    ] {
        let one = server
            .get(&format!("/v1/messages/777:{id}?history=true"))
            .await;
        assert_eq!(
            (&one["kind"], &one["text"]),
            (&json!("deleted"), &json!(""))
        );
        assert!(one["deleted_at"].is_string(), "{one}");
        assert_eq!(one["edits"][0]["text"], was);
    }

    // Who follows without asking for kinds hears of it; a filter on kinds is obeyed.
    let told = tail(&server, "").await;
    let told: Vec<&Value> = told.iter().filter(|m| m["kind"] == "deleted").collect();
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|m| m["deleted_at"].is_string() && m["text"] == "")
    );
    assert_eq!(tail(&server, "&kind=deleted").await.len(), 2);
    let texts = tail(&server, "&kind=text&include_noise=true").await;
    assert!(texts.iter().all(|m| m["kind"] == "text") && texts.len() == 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_in_any_order_end_in_the_same_state() {
    let (_home, _stub, server) = started().await;
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let mut update_id = 0;
    // Interleaved: the first of every order, then the second, then the third.
    for step in 0..3 {
        for (n, order) in orders.iter().enumerate() {
            update_id += 1;
            let id = 1 + n as i64;
            let update = match order[step] {
                0 => message(update_id, id, "перша версія"),
                seconds => edit(
                    update_id,
                    id,
                    seconds,
                    &format!("версія після правки {seconds}"),
                ),
            };
            assert_eq!(post(&server, &update).await, 200);
        }
    }
    server.settled().await;
    let mut states = BTreeMap::new();
    for (n, order) in orders.iter().enumerate() {
        let id = format!("{OPS}:{}", n + 1);
        let whole = server.get(&format!("/v1/messages/{id}?history=true")).await;
        let edits = whole["edits"].as_array().unwrap().iter();
        let edits: Vec<&str> = edits.map(|e| e["text"].as_str().unwrap()).collect();
        assert_eq!(whole["text"], "версія після правки 2", "{order:?}");
        assert_eq!(
            edits,
            ["перша версія", "версія після правки 1"],
            "{order:?}"
        );
        states.insert(whole["edit"].as_i64(), ());
    }
    assert_eq!(states.len(), 1);
    assert_eq!(found(&server, "\"перша версія\"").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_count_without_making_a_version() {
    let (_home, _stub, server) = started().await;
    let chat = json!({"id": OPS, "title": "Ops", "type": "supergroup"});
    let reaction = |update_id: i64, user: i64, second: i64, emojis: &[&str]| {
        let now: Vec<Value> = emojis
            .iter()
            .map(|e| json!({"type": "emoji", "emoji": e}))
            .collect();
        json!({"update_id": update_id, "message_reaction": {"chat": chat, "message_id": 1, "date": 1_767_607_300 + second,
            "user": {"id": user, "is_bot": false, "first_name": "x"}, "old_reaction": [], "new_reaction": now}})
    };
    // One before its message, one late, one taken back.
    for update in [
        reaction(1, 5, 2, &["🔥", "👍"]),
        message(2, 1, "збірка зелена"),
        reaction(3, 5, 1, &["💩"]),
        reaction(4, 6, 1, &["👍"]),
        reaction(5, 7, 1, &["👍"]),
        reaction(6, 7, 2, &[]),
    ] {
        assert_eq!(post(&server, &update).await, 200);
    }
    server.settled().await;
    let id = format!("{OPS}:1");
    let one = server.get(&format!("/v1/messages/{id}?history=true")).await;
    assert_eq!(one["reactions"], json!({"👍": 2, "🔥": 1}));
    assert_eq!((&one["edit"], &one["edits"]), (&json!(0), &json!([])));
    assert_eq!(server.n_records("messages").await, 1);
    let counts = json!({"update_id": 9, "message_reaction_count": {"chat": chat, "message_id": 1, "date": 1_767_607_900,
        "reactions": [{"type": {"type": "emoji", "emoji": "👍"}, "total_count": 40}]}});
    assert_eq!(post(&server, &counts).await, 200);
    server.settled().await;
    let one = server.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(one["reactions"], json!({"👍": 40}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_becomes_a_supergroup_stays_linked_and_allowed() {
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    add_unregistered(&server, json!(["-55"])).await;
    let service = json!({"update_id": 1, "message": {"message_id": 9, "date": 1_767_607_200,
        "chat": {"id": -55, "title": "Ops", "type": "group"}, "migrate_to_chat_id": OPS}});
    assert_eq!(post(&server, &service).await, 200);
    server.settled().await;
    let chats = server.get("/v1/chats").await;
    assert_eq!(chats["items"][0]["migrated_to"], OPS.to_string());
    // The list of the bot is read again now and then; a restart does so at once.
    server.terminate();
    let server = serve(&home, &stub);
    assert_eq!(post(&server, &message(2, 1, "ми переїхали")).await, 200);
    server.settled().await;
    assert_eq!(server.messages().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_reported_from_the_command_line() {
    let (home, _stub, server) = started().await;
    for id in [1, 2, 5] {
        post(&server, &message(id, id, "слово")).await;
    }
    server.settled().await;
    let chat = OPS.to_string();
    for args in [vec!["gaps"], vec!["gaps", "--chat", &chat]] {
        let output = home.command(&args).output().unwrap();
        let words = super::text(&output.stdout);
        assert!(
            words.contains("3 of ids 1 .. 5 known, 2 missing"),
            "{words}"
        );
        assert!(words.contains("3 .. 4  (2)"), "{words}");
    }
}
