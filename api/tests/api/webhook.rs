//! The webhook: who it is first, then what it is, and 200 only for what is in the log.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use futures::stream;
use serde_json::{Value, json};
use telesift_api::ApiConfig;
use telesift_ports::{
    RecordLog,
    memory::{ManualClock, MemoryLog},
    record_log::{ReadLimits, Retention, TopicConfig},
};
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};

use crate::desk::{Answer, Desk, OPS};

const SECRET: &str = "A-secret_of_0ps";

async fn desk_with_bot(chats: Value) -> Desk {
    with_bot(Desk::new().await, chats).await
}

async fn with_bot(desk: Desk, chats: Value) -> Desk {
    let bot = json!({"name": "ops", "token": "123456:ABC", "secret": SECRET, "chats": chats, "register": false});
    assert_eq!(desk.post("/v1/bots", bot).await.status, 201);
    desk
}

fn call(bot: &str, secret: Option<&str>, body: Body) -> Request<Body> {
    let request = Request::post(format!("/v1/telegram/webhook/{bot}"));
    let request = match secret {
        Some(secret) => request.header("x-telegram-bot-api-secret-token", secret),
        None => request,
    };
    request.body(body).unwrap()
}

async fn send(desk: &Desk, body: impl Into<Body>) -> Answer {
    desk.answer(call("ops", Some(SECRET), body.into())).await
}

/// What the ledger says of the bot's updates.
async fn door(desk: &Desk) -> Value {
    let stats = desk.get("/v1/stats/pipeline").await.ok();
    let mut items = stats["items"].as_array().unwrap().iter();
    items.find(|i| i["stage"] == "ingest").unwrap().clone()
}

/// Every payload in the log.
async fn payloads(desk: &Desk) -> Vec<Value> {
    let mut payloads = Vec::new();
    for partition in [0, 1] {
        let at = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(partition));
        let batch = desk.log.read(&at, Offset::ZERO, ReadLimits::default());
        for record in batch.await.unwrap().records {
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            payloads.push(value["payload"].clone());
        }
    }
    payloads
}

fn update(id: i64, chat: &str) -> Value {
    json!({"update_id": id, "message": {"message_id": id, "date": 1, "chat": {"id": chat.parse::<i64>().unwrap()}, "text": "слово"}})
}

#[tokio::test]
async fn an_update_with_the_right_secret_is_stored_before_the_answer() {
    let desk = desk_with_bot(json!([])).await;
    for payload in [
        update(1, OPS),
        json!({"update_id": 2, "kind_of_the_future": {"deep": [1, {"x": null}]}}),
        json!({"message_id": 7, "text": "no update at all"}),
        json!({}),
    ] {
        let answer = send(&desk, payload.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{payload}");
        assert!(answer.bytes.is_empty());
        assert!(payloads(&desk).await.contains(&payload), "{payload}");
    }
    let again = send(&desk, update(1, OPS).to_string()).await;
    assert_eq!(
        again.status,
        StatusCode::OK,
        "a repeated update is answered"
    );
    assert_eq!(payloads(&desk).await.len(), 4);
    let door = door(&desk).await;
    assert_eq!(door["topic"], "bot:ops");
    assert_eq!(
        (&door["received"], &door["emitted"]),
        (&json!(5), &json!(4))
    );
    assert_eq!(
        (&door["skipped"], &door["pending"]),
        (&json!({"duplicate": 1}), &json!(0))
    );
}

#[tokio::test]
async fn a_stranger_is_refused_before_the_body_is_read() {
    let desk = desk_with_bot(json!([])).await;
    for (bot, secret) in [
        ("ops", None),
        ("ops", Some("")),
        ("ops", Some("A-secret_of_0pt")),
        ("ops", Some("A-secret_of_0ps ...")),
        ("nobody", Some(SECRET)),
        ("123456", Some(SECRET)),
    ] {
        // A body that would never come.
        let endless = Body::from_stream(stream::pending::<std::io::Result<&'static str>>());
        let answer = desk.answer(call(bot, secret, endless)).await;
        let problem = answer.problem(401, "unauthorized");
        assert!(!problem.to_string().contains("0ps"), "{problem}");
    }
    // Nor does an admin key open it.
    let path = "/v1/telegram/webhook/ops";
    let answer = desk.call(&desk.admin, "POST", path, update(1, OPS).to_string());
    answer.await.problem(401, "unauthorized");
    assert!(payloads(&desk).await.is_empty());
}

#[tokio::test]
async fn what_is_no_update_is_refused_and_leaves_nothing() {
    let desk = desk_with_bot(json!([])).await;
    for body in [
        "",
        "[]",
        "7",
        "\"x\"",
        "null",
        "{",
        "{\"a\":1}}",
        "\u{feff}{}",
    ] {
        let answer = send(&desk, body).await;
        answer.problem(400, "malformed_request");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    send(&desk, deep).await.problem(400, "malformed_request");
    let latin = Body::from(&b"{\"text\":\"\xe9\"}"[..]);
    send(&desk, latin).await.problem(400, "malformed_request");
    let broken = vec![Ok("{"), Err(std::io::Error::other("gone"))];
    let broken = Body::from_stream(stream::iter(broken));
    send(&desk, broken).await.problem(400, "malformed_request");

    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20));
    send(&desk, large).await.problem(413, "too_large");
    let chunk = "x".repeat(1 << 16);
    let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
    send(&desk, Body::from_stream(endless))
        .await
        .problem(413, "too_large");
    assert!(payloads(&desk).await.is_empty());
    let just = format!("{{\"text\":\"{}\"}}", "x".repeat((1 << 20) - 11));
    assert_eq!(just.len(), 1 << 20);
    assert_eq!(send(&desk, just).await.status, StatusCode::OK);
}

#[tokio::test]
async fn chats_outside_the_list_are_dropped_and_counted() {
    let desk = desk_with_bot(json!([OPS])).await;
    for (id, chat) in [(1, OPS), (2, "77")] {
        let answer = send(&desk, update(id, chat).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{chat}");
    }
    assert_eq!(payloads(&desk).await, [update(1, OPS)]);
    let door = door(&desk).await;
    assert_eq!(door["skipped"], json!({"chat_not_allowed": 1}));
}

#[tokio::test]
async fn a_log_that_takes_nothing_is_a_503_with_a_time_to_come_again() {
    // A log without `telegram-raw` takes nothing.
    let clock = Arc::new(ManualClock::default());
    let log = Arc::new(MemoryLog::with_clock(clock.clone()));
    let decisions = TopicConfig {
        partitions: 1,
        retention: Retention::default(),
    };
    log.create_topic(&Topic::DECISIONS, decisions)
        .await
        .unwrap();
    let desk = with_bot(Desk::on(ApiConfig::default(), clock, log).await, json!([])).await;
    let answer = send(&desk, update(1, OPS).to_string()).await;
    answer.problem(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}
