//! WebSocket clients: of telesift and of the bare server.

use std::{io::Read, net::SocketAddr, time::Duration};

use futures::{StreamExt, stream};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::served::now_ns;

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens `/v1/topics/<path>`, and waits until the stream has begun.
pub(crate) async fn open(server: SocketAddr, key: &str, path: &str) -> Client {
    let mut request = format!("ws://{server}/v1/topics/{path}")
        .into_client_request()
        .unwrap();
    let key = format!("Bearer {key}").parse().unwrap();
    request.headers_mut().insert("authorization", key);
    let mut client = connect_async(request).await.unwrap().0;
    let first = next(&mut client).await;
    assert!(first.contains("\"heartbeat\""), "{first}");
    client
}

async fn next(client: &mut Client) -> String {
    loop {
        match client.next().await {
            Some(Ok(Message::Text(text))) => return text.to_string(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("a client was closed: {other:?}"),
        }
    }
}

/// How long each of `n` records took from before its append to here.
pub(crate) async fn latencies(mut client: Client, n: u64) -> Vec<Duration> {
    let mut took = Vec::new();
    while (took.len() as u64) < n {
        let frame = next(&mut client).await;
        let Some((_, rest)) = frame.split_once("\"at=") else {
            continue;
        };
        let sent: u64 = rest.split(';').next().unwrap().parse().unwrap();
        took.push(Duration::from_nanos(now_ns().saturating_sub(sent)));
    }
    took
}

/// Takes `n` records; how many bytes they were.
pub(crate) async fn count(mut client: Client, n: u64) -> u64 {
    let (mut n_records, mut n_bytes) = (0, 0);
    while n_records < n {
        let frame = next(&mut client).await;
        if !frame.contains("\"type\":\"heartbeat\"") {
            n_records += 1;
            n_bytes += frame.len() as u64;
        }
    }
    n_bytes
}

/// Opens `n` sockets, says when each has had a second heartbeat, and holds them until it is told to end.
pub(crate) fn idle(server: SocketAddr, key: &str, n: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = "messages/tail";
        let mut clients: Vec<Client> = stream::iter(0..n)
            .map(|_| open(server, key, path))
            .buffer_unordered(50)
            .collect()
            .await;
        for client in &mut clients {
            next(client).await;
        }
        println!("all have had a second heartbeat");
        // Until the other side closes or writes: it has looked.
        let _ = std::io::stdin().read(&mut [0]);
    });
}
