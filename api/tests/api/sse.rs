//! The tail as server-sent events.

use axum::{body::Body, http::Request};
use futures::{Stream, StreamExt};
use telesift_schemas::Topic;

use crate::{desk::Desk, wire::PATIENCE};

/// An event as a browser would hand it on.
#[derive(Debug, Default, PartialEq)]
struct Event {
    kind: String,
    id: String,
    data: String,
}

/// Events of a response body, parsed as the specification says.
fn events(body: Body) -> impl Stream<Item = Event> + Unpin {
    let text = body
        .into_data_stream()
        .scan(String::new(), |buffer, chunk| {
            buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
            let mut blocks = Vec::new();
            while let Some(end) = buffer.find("\n\n") {
                blocks.push(buffer.drain(..end + 2).collect::<String>());
            }
            std::future::ready(Some(futures::stream::iter(blocks)))
        });
    let events = text.flatten().filter_map(|block| {
        let mut event = Event::default();
        let mut data = Vec::new();
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("event", kind)) => event.kind = kind.into(),
                Some(("id", id)) => event.id = id.into(),
                Some(("data", text)) => data.push(text),
                _ => {}
            }
        }
        event.data = data.join("\n");
        std::future::ready((!data.is_empty()).then_some(event))
    });
    Box::pin(events)
}

async fn open(
    desk: &Desk,
    path: &str,
    last_event_id: Option<&str>,
) -> impl Stream<Item = Event> + Unpin + use<> {
    let mut request = Request::get(format!("/v1/topics/{path}"))
        .header("authorization", format!("Bearer {}", desk.admin));
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = desk.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    events(response.into_body())
}

async fn next(events: &mut (impl Stream<Item = Event> + Unpin), kind: &str) -> Event {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next())
            .await
            .unwrap()
            .unwrap();
        if event.kind == kind {
            return event;
        }
    }
}

#[tokio::test]
async fn events_carry_type_cursor_and_frame() {
    let desk = Desk::new().await;
    desk.append(Topic::DECISIONS, 0, "k", "{\"line\":\n1}")
        .await;
    let mut stream = open(&desk, "decisions/stream?from=earliest", None).await;
    let first = tokio::time::timeout(PATIENCE, stream.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.kind, "heartbeat");
    let record = next(&mut stream, "record").await;
    let frame: serde_json::Value = serde_json::from_str(&record.data).unwrap();
    assert_eq!(frame["cursor"], record.id);
    assert_eq!(frame["data"]["line"], 1);
}

#[tokio::test]
async fn last_event_id_resumes_exactly() {
    let desk = Desk::new().await;
    let mut last: Option<String> = None;
    let mut seen = Vec::new();
    for round in 0..10u64 {
        for n in 0..5 {
            desk.append(Topic::DECISIONS, 0, "k", (round * 5 + n).to_string())
                .await;
        }
        let mut stream = open(&desk, "decisions/stream?from=earliest", last.as_deref()).await;
        for _ in 0..=round % 5 {
            let record = next(&mut stream, "record").await;
            let frame: serde_json::Value = serde_json::from_str(&record.data).unwrap();
            seen.push(frame["data"].as_u64().unwrap());
            last = Some(record.id);
        }
    }
    let expected: Vec<u64> = (0..seen.len() as u64).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_last_event_id_that_is_no_cursor_is_refused() {
    let desk = Desk::new().await;
    let request = Request::get("/v1/topics/decisions/stream")
        .header("authorization", format!("Bearer {}", desk.admin))
        .header("last-event-id", "42");
    let answer = desk.answer(request.body(Body::empty()).unwrap()).await;
    answer.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn shutting_down_ends_the_stream() {
    let desk = Desk::new().await;
    let mut stream = open(&desk, "messages/stream", None).await;
    stream.next().await.unwrap();
    desk.shutdown.cancel();
    while tokio::time::timeout(PATIENCE, stream.next())
        .await
        .unwrap()
        .is_some()
    {}
}

#[tokio::test]
async fn a_revoked_key_ends_its_stream() {
    let desk = Desk::new().await;
    let body = serde_json::json!({"name": "x", "scopes": ["read"]});
    let created = desk.post("/v1/keys", body).await.ok();
    let key = created["key"].as_str().unwrap();
    let request =
        Request::get("/v1/topics/messages/stream").header("authorization", format!("Bearer {key}"));
    let response = desk.send(request.body(Body::empty()).unwrap()).await;
    let mut stream = events(response.into_body());
    stream.next().await.unwrap();
    let path = format!("/v1/keys/{}", created["id"].as_str().unwrap());
    desk.call(&desk.admin, "DELETE", &path, "").await;
    let ended = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(2), ended)
        .await
        .expect("within 2 s");
}
