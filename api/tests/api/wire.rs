//! A server on a real port, and WebSocket clients of it.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::desk::Desk;

/// Nothing here takes long; a test that hangs fails by this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Serves the desk's router on a free port until the runtime ends.
pub(crate) async fn serve(desk: &Desk) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (router, stop) = (desk.router.clone(), desk.shutdown.clone());
    tokio::spawn(telesift_api::serve(listener, router, 10_000, stop));
    address
}

/// A client of the tail.
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Opens `/v1/topics/<path>` with a key.
    pub(crate) async fn open(server: SocketAddr, key: &str, path: &str) -> Client {
        Client::try_open(server, key, path, &[]).await.unwrap()
    }

    pub(crate) async fn try_open(
        server: SocketAddr,
        key: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Client, Box<tungstenite::http::Response<Option<Vec<u8>>>>> {
        let mut request = format!("ws://{server}/v1/topics/{path}")
            .into_client_request()
            .unwrap();
        if !key.is_empty() {
            request
                .headers_mut()
                .insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Client(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next frame, or the close code.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .expect("a frame in time");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |f| f.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame of this type.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next `n` records; heartbeats are left out.
    pub(crate) async fn records(&mut self, n: usize) -> Vec<Value> {
        let mut found = Vec::new();
        while found.len() < n {
            found.push(self.next_of("record").await);
        }
        found
    }

    /// Frames until the client has caught up, that heartbeat included.
    pub(crate) async fn until_caught_up(&mut self) -> Vec<Value> {
        let mut found = Vec::new();
        loop {
            let frame = self.next().await.expect("the stream goes on");
            let at_head = frame["type"] == "heartbeat" && frame["cursor"] == frame["head"];
            found.push(frame);
            if at_head {
                return found;
            }
        }
    }

    /// Frames until the server closes, and the code.
    pub(crate) async fn until_closed(&mut self) -> (Vec<Value>, u16) {
        let mut found = Vec::new();
        loop {
            match self.next().await {
                Ok(frame) => found.push(frame),
                Err(code) => return (found, code),
            }
        }
    }

    /// Says goodbye; whether the server answered it, as RFC 6455 wants it.
    pub(crate) async fn answers_goodbye(mut self) -> bool {
        self.0.send(Message::Close(None)).await.unwrap();
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next());
            match message.await.expect("an answer in time") {
                Some(Ok(Message::Close(_))) => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
        }
    }

    pub(crate) async fn close(mut self) {
        let _ = self.0.send(Message::Close(None)).await;
    }
}

pub(crate) fn cursor(frame: &Value) -> String {
    frame["cursor"].as_str().unwrap().to_owned()
}

/// The texts of the records among these frames.
pub(crate) fn texts(frames: &[Value]) -> Vec<&str> {
    let records = frames.iter().filter(|f| f["type"] == "record");
    records
        .map(|f| f["data"]["text"].as_str().unwrap())
        .collect()
}
