//! Clients and server are killed at random while records come in: each client still receives each record once, in order.
//!
//! `TELESIFT_TEST_TAIL_KILLS` and `TELESIFT_TEST_TAIL_RECORDS` make it longer: 50 and 10000 are what the product promises.

use futures::{Stream, StreamExt};
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::server::{Home, PATIENCE, Server};

const N_CHATS: u64 = 5;

fn from_environment(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The Bot API id of a chat here.
fn chat_id(chat: u64) -> String {
    format!("-{}", 1_000_000_500_000 + chat)
}

/// One chat of made-up messages.
fn export(chat: u64, n_messages: u64) -> Vec<u8> {
    let messages: Vec<Value> = (1..=n_messages)
        .map(|id| {
            json!({
                "id": id, "type": "message", "date": "2026-01-05T10:00:00",
                "date_unixtime": (1_767_607_200 + id).to_string(),
                "from": "Olena", "from_id": "user777",
                "text": format!("message {id} of chat {chat}: the deploy of service {} is done", id * 31 % 997),
                "text_entities": [],
            })
        })
        .collect();
    let export = json!({
        "name": format!("Chat {chat}"), "type": "private_supergroup", "id": 500_000 + chat, "messages": messages,
    });
    serde_json::to_vec(&export).unwrap()
}

/// A client's memory: what it received, and where it stood.
#[derive(Default)]
struct Reader {
    received: Vec<(u64, u64)>,
    chats: Vec<String>,
    cursor: Option<String>,
}

impl Reader {
    /// Takes frames until `n` records have come or, without `n`, until history is caught up; then the connection is cut.
    async fn read(&mut self, frames: impl Stream<Item = Value>, n: Option<usize>) {
        let mut frames = std::pin::pin!(frames);
        let mut left = n.unwrap_or(usize::MAX);
        while left > 0 {
            let frame = tokio::time::timeout(PATIENCE, frames.next()).await;
            let frame = frame
                .expect("frames keep coming")
                .expect("the stream goes on");
            self.cursor = Some(frame["cursor"].as_str().unwrap().to_owned());
            match frame["type"].as_str().unwrap() {
                "record" => {
                    let number = |name: &str| frame[name].as_u64().unwrap();
                    self.received.push((number("partition"), number("offset")));
                    let chat = frame["data"]["chat"]["id"].as_str().unwrap();
                    self.chats.push(chat.to_owned());
                    left -= 1;
                }
                "heartbeat" if frame["cursor"] == frame["head"] => return,
                "heartbeat" => {}
                other => panic!("unexpected frame {other}: {frame}"),
            }
        }
    }

    fn of(&self, partition: u64) -> Vec<u64> {
        let own = self.received.iter().filter(|r| r.0 == partition);
        own.map(|r| r.1).collect()
    }
}

/// Frames over WebSocket from `from` on, with the admin key.
async fn websocket(server: &Server, from: &str) -> impl Stream<Item = Value> + use<> {
    let url = format!(
        "{}/v1/topics/messages/tail?include_noise=true&from={from}",
        server.url.replace("http", "ws")
    );
    let mut request = url.into_client_request().unwrap();
    let key = format!("Bearer {}", server.key).parse().unwrap();
    request.headers_mut().insert("authorization", key);
    let (socket, _) = connect_async(request).await.unwrap();
    socket.filter_map(async |message| match message {
        Ok(Message::Text(text)) => Some(serde_json::from_str(&text).unwrap()),
        _ => None,
    })
}

/// Events of the stream a ticket opened, as a browser reconnects: the same path, and the last id it saw.
async fn events(
    server: &Server,
    path: &str,
    last_event_id: Option<&str>,
) -> impl Stream<Item = Value> + use<> {
    let mut request = reqwest::Client::new().get(format!("{}{path}", server.url));
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{:?}", response.text().await);
    let lines = response
        .bytes_stream()
        .scan(String::new(), |buffer, chunk| {
            let text = chunk.ok().map(|c| String::from_utf8(c.to_vec()).unwrap());
            buffer.push_str(&text.unwrap_or_default());
            let mut lines = Vec::new();
            while let Some(end) = buffer.find('\n') {
                lines.push(buffer.drain(..=end).collect::<String>());
            }
            std::future::ready(Some(futures::stream::iter(lines)))
        });
    lines.flatten().filter_map(async |line| {
        let data = line.strip_prefix("data: ")?;
        Some(serde_json::from_str(data).unwrap())
    })
}

/// A ticket of a key that sees one chat only.
async fn limited_path(server: &Server) -> String {
    let body = json!({"name": "one chat", "scopes": ["read"], "chats": [chat_id(2)]});
    let created = server.request(Method::POST, "/v1/keys").json(&body);
    let created: Value = created.send().await.unwrap().json().await.unwrap();
    let ticket = reqwest::Client::new()
        .post(format!("{}/v1/tickets", server.url))
        .bearer_auth(created["key"].as_str().unwrap());
    let ticket: Value = ticket.send().await.unwrap().json().await.unwrap();
    format!(
        "/v1/topics/messages/stream?from=earliest&include_noise=true&ticket={}",
        ticket["ticket"].as_str().unwrap()
    )
}

#[tokio::test]
async fn clients_and_server_killed_at_random_lose_and_repeat_nothing() {
    let n_kills = from_environment("TELESIFT_TEST_TAIL_KILLS", 10);
    let n_records = from_environment("TELESIFT_TEST_TAIL_RECORDS", 2_000);
    let home = Home::new();
    let mut server = Some(home.serve());
    let path = limited_path(server.as_ref().unwrap()).await;
    let mut ids = Vec::new();
    for chat in 0..N_CHATS {
        let export = export(chat, n_records / N_CHATS);
        let (status, queued) = server.as_ref().unwrap().upload("chat", export).await;
        assert_eq!(status, 202, "{queued}");
        ids.push(queued["id"].as_str().unwrap().to_owned());
    }

    let mut random = StdRng::seed_from_u64(50);
    let (mut all, mut one) = (Reader::default(), Reader::default());
    for kill in 0..n_kills {
        let mut some = |share: u64| random.random_range(1..=(share / n_kills).max(2)) as usize;
        let (n_all, n_one) = (some(n_records), some(n_records / N_CHATS));
        let running = server.as_ref().unwrap();
        let from = all.cursor.clone().unwrap_or_else(|| "earliest".into());
        all.read(websocket(running, &from).await, Some(n_all)).await;
        let last = one.cursor.clone();
        one.read(events(running, &path, last.as_deref()).await, Some(n_one))
            .await;
        // Both connections are cut now; every other time the server is killed too.
        if kill % 2 == 1 {
            server.take().unwrap().kill();
            server = Some(home.serve());
        }
    }

    let server = server.unwrap();
    for id in &ids {
        server.imported(id).await;
    }
    server.settled().await;
    let from = all.cursor.clone().unwrap();
    all.read(websocket(&server, &from).await, None).await;
    let last = one.cursor.clone();
    one.read(events(&server, &path, last.as_deref()).await, None)
        .await;

    let expected = server.records("messages").await;
    assert_eq!(expected.len() as u64, n_records);
    assert_eq!(all.received.len() as u64, n_records);
    assert_eq!(one.received.len() as u64, n_records / N_CHATS);
    assert!(
        one.chats.iter().all(|chat| *chat == chat_id(2)),
        "nothing of another chat"
    );
    for partition in 0..4 {
        let of = |wanted: &dyn Fn(&Value) -> bool| -> Vec<u64> {
            let own = expected.iter().filter(|r| r.0 == partition && wanted(&r.2));
            own.map(|r| r.1).collect()
        };
        assert_eq!(all.of(partition), of(&|_| true), "partition {partition}");
        let own = of(&|data| data["chat"]["id"] == chat_id(2));
        assert_eq!(one.of(partition), own, "partition {partition}");
    }
}
