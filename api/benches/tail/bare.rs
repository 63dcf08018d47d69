//! The least a WebSocket fan-out can be with the same library: one channel, every socket sends what comes out of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes},
    },
    response::Response,
    routing::get,
};
use tokio::{net::TcpListener, sync::broadcast};
use tokio_tungstenite::connect_async;

use super::clients;

type Frames = Arc<broadcast::Sender<Utf8Bytes>>;

/// The time for `n_messages` frames of `n_bytes` to reach each of `n_clients`.
pub(crate) async fn fan_out(n_clients: usize, n_messages: u64, n_bytes: usize) -> Duration {
    let (frames, _) = broadcast::channel(n_messages as usize);
    let frames: Frames = Arc::new(frames);
    let app = Router::new()
        .route("/", get(follow))
        .with_state(frames.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let mut receiving = Vec::new();
    for _ in 0..n_clients {
        let client = connect_async(format!("ws://{address}/")).await.unwrap().0;
        receiving.push(tokio::spawn(clients::count(client, n_messages)));
    }
    while frames.receiver_count() < n_clients {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    for n in 0..n_messages {
        frames.send(format!("{n:0n_bytes$}").into()).unwrap();
        if n % 100 == 99 {
            tokio::task::yield_now().await;
        }
    }
    for client in receiving {
        client.await.unwrap();
    }
    let took = started.elapsed();
    serving.abort();
    took
}

async fn follow(State(frames): State<Frames>, upgrade: WebSocketUpgrade) -> Response {
    let mut frames = frames.subscribe();
    upgrade.on_upgrade(move |mut socket| async move {
        while let Ok(frame) = frames.recv().await {
            if socket.send(Message::Text(frame)).await.is_err() {
                return;
            }
        }
    })
}
