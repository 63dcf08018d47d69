//! `telesift tail`: follows a topic over WebSocket, and takes it up again where it was cut.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::StreamExt;
use serde_json::Value;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{block_on, filters, print};
use crate::{
    cli::{Connection, TailArgs},
    client::Client,
};

/// Between two attempts to reach the server again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

pub(crate) fn run(connection: Connection, args: TailArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    block_on(follow(&connection, client, args))
}

/// How one connection ended.
enum End {
    /// History is caught up, and that was all.
    CaughtUp,
    /// Cut: go on from the last cursor.
    Cut(String),
}

async fn follow(connection: &Connection, mut client: Client, args: TailArgs) -> Result<()> {
    let mut from = args.from.clone();
    loop {
        match read(connection, &client, &args, &mut from).await? {
            End::CaughtUp => return Ok(()),
            End::Cut(reason) => eprintln!("telesift: {reason}; reconnecting from {from}"),
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
        // A restarted server may have another port; it leaves word in the data directory.
        if let Ok(again) = Client::find(connection) {
            client = again;
        }
    }
}

async fn read(
    connection: &Connection,
    client: &Client,
    args: &TailArgs,
    from: &mut String,
) -> Result<End> {
    let is_resumed = *from != args.from;
    let request = request(client, args, from)?;
    let (mut socket, _) = match connect_async(request).await {
        Ok(connected) => connected,
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            return Err(client.refusal(response.status(), body));
        }
        Err(error) if is_resumed => return Ok(End::Cut(error.to_string())),
        Err(error) => return Err(anyhow!("cannot follow {}: {error}", client.url())),
    };
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Text(text)) => {
                let frame: Value =
                    serde_json::from_str(&text).context("the server sent no JSON frame")?;
                show(connection, &frame, &text)?;
                if let Some(cursor) = frame["cursor"].as_str() {
                    *from = cursor.to_owned();
                }
                if args.no_follow
                    && frame["type"] == "heartbeat"
                    && frame["cursor"] == frame["head"]
                {
                    return Ok(End::CaughtUp);
                }
            }
            Ok(Message::Close(Some(close))) => {
                return Ok(End::Cut(format!("closed: {} {}", close.code, close.reason)));
            }
            Ok(_) => {}
            Err(error) => return Ok(End::Cut(error.to_string())),
        }
    }
    Ok(End::Cut("the connection ended".to_owned()))
}

fn request(
    client: &Client,
    args: &TailArgs,
    from: &str,
) -> Result<tungstenite::handshake::client::Request> {
    let mut query = vec![
        ("from", from.to_owned()),
        ("partition", args.partition.clone()),
    ];
    query.extend(filters::query(&args.filters));
    let mut url = reqwest::Url::parse(client.url()).context("the server's URL")?;
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme)
        .map_err(|()| anyhow!("`{}` cannot be a WebSocket URL", client.url()))?;
    url.set_path(&format!("/v1/topics/{}/tail", args.topic));
    url.query_pairs_mut().extend_pairs(query);
    let mut request = url.as_str().into_client_request()?;
    let key = HeaderValue::from_str(&format!("Bearer {}", client.key()))
        .context("the key holds a character no key has")?;
    request.headers_mut().insert("authorization", key);
    Ok(request)
}

fn show(connection: &Connection, frame: &Value, text: &str) -> Result<()> {
    if connection.json {
        return print::line(text);
    }
    match frame["type"].as_str() {
        Some("record") if frame["topic"] == "messages" => {
            print::line(print::message(&frame["data"]))
        }
        Some("record") => print::line(format!(
            "{}:{}  {}",
            frame["partition"], frame["offset"], frame["data"]
        )),
        Some("gap") => {
            eprintln!(
                "telesift: offsets {} to {} of partition {} are gone ({})",
                frame["from"],
                frame["to"],
                frame["partition"],
                frame["reason"].as_str().unwrap_or_default()
            );
            Ok(())
        }
        _ => Ok(()),
    }
}
