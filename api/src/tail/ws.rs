//! The tail over WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, header},
    response::Response,
};

use super::{End, Ends, Opened, open};
use crate::{
    auth::Follower,
    cors::is_allowed,
    params::Params,
    problem::{Code, Problem, Result},
    state::App,
    telemetry,
};

/// Read and write buffer of a socket. The library's 128 KiB would cost more than a gigabyte for 10,000 sockets.
const SOCKET_BUFFER: usize = 4 << 10;
/// Longest message taken from a client; none is needed.
const MAX_INCOMING: usize = 4 << 10;
/// Bytes that may wait in a socket's write buffer. Each frame is flushed before the next, so this bounds one frame: a
/// record must fit, however large the log takes it.
const MAX_OUTGOING: usize = 64 << 20;
/// Time for the close frame to reach a client, and for its answer.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Follow a topic over WebSocket
///
/// Frames are JSON objects of the types `heartbeat` (the first, one every 5 s, one when history is caught up), `record`
/// and `gap`. Reconnecting with the last frame's `cursor` as `from` misses nothing and repeats nothing. On `messages`
/// the filters of `GET /v1/messages` but `subject` apply, to the record as screened: it has no label; the cursor moves
/// past what they leave out. A client that reads
/// nothing for 60 s is closed with 1013.
#[utoipa::path(
    get, path = "/v1/topics/{topic}/tail", tag = "live",
    params(
        ("topic" = String, Path, description = "The topic", example = "messages"),
        ("from" = Option<String>, Query, description = "`latest` (unless given), `earliest`, a cursor, or a time of append"),
        ("partition" = Option<String>, Query, description = "`all` or a number"),
        ("ticket" = Option<String>, Query, description = "Instead of a key; see `POST /v1/tickets`"),
        ("chat" = Option<Vec<String>>, Query, description = "On `messages`, as all filters of `GET /v1/messages` but `subject`"),
        ("author" = Option<Vec<String>>, Query), ("class" = Option<Vec<String>>, Query), ("min_score" = Option<f64>, Query),
        ("lang" = Option<Vec<String>>, Query), ("flag" = Option<Vec<String>>, Query), ("kind" = Option<Vec<String>>, Query),
        ("since" = Option<String>, Query), ("until" = Option<String>, Query), ("include_noise" = Option<bool>, Query),
    ),
    responses((status = 101, description = "Frames", example = json!({"type": "heartbeat", "cursor": "g1@k3x9/0:124,1:7", "head": "g1@k3x9/0:130,1:7"})))
)]
pub(crate) async fn follow(
    follower: Follower,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    params: Params,
    headers: HeaderMap,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    check_origin(&headers, &app.config.allowed_origins)?;
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(
            Code::UpgradeRequired,
            "this route speaks WebSocket; use /stream for server-sent events",
        )
        .because(rejection)
    })?;
    let opened = open(&app, follower, topic, params, &headers).await?;
    let stalled_after = app.config.tail.stalled_after();
    Ok(upgrade
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER)
        .max_write_buffer_size(MAX_OUTGOING)
        .max_message_size(MAX_INCOMING)
        .max_frame_size(MAX_INCOMING)
        .on_upgrade(move |socket| run(socket, opened, stalled_after)))
}

/// # Errors
/// 403 if a page of another site asks: browsers let any page open a socket anywhere.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<()> {
    let Some(value) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = value.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let own = origin
        .split_once("://")
        .is_some_and(|(_, o)| Some(o) == host);
    if own || is_allowed(value, allowed) {
        return Ok(());
    }
    Err(Problem::new(
        Code::OriginNotAllowed,
        "pages of this origin may not follow; name it in `allowed_origins` if they shall",
    ))
}

async fn run(mut socket: WebSocket, mut opened: Opened, stalled_after: Duration) {
    let gauge = metrics::gauge!(telemetry::TAIL_STREAMS, "transport" => "websocket");
    gauge.increment(1.0);
    let end = serve(&mut socket, &mut opened, stalled_after).await;
    gauge.decrement(1.0);
    // Its place is free before the goodbye, which may take a while.
    drop(opened);
    if let Some(end) = end {
        metrics::counter!(telemetry::TAIL_CLOSED, "reason" => end.label()).increment(1);
        close(socket, end).await;
    }
}

/// Sends frames until the client goes (`None`) or the server ends it.
async fn serve(
    socket: &mut WebSocket,
    opened: &mut Opened,
    stalled_after: Duration,
) -> Option<End> {
    let Opened { session, ends, .. } = opened;
    loop {
        let frame = tokio::select! {
            end = ends.wait() => return Some(end),
            incoming = socket.recv() => match incoming {
                // Pings are answered below us; whatever else a client says is of no interest.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => continue,
            },
            frame = session.next() => match frame {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::warn!(%error, "a stream ends");
                    return Some(End::LogFailed);
                }
            },
        };
        metrics::counter!(telemetry::TAIL_FRAMES, "transport" => "websocket", "type" => frame.kind)
            .increment(1);
        if let Err(end) = send(socket, frame.json.into(), ends, stalled_after).await {
            return end;
        }
    }
}

/// Sends one frame, and waits until the socket has taken it.
async fn send(
    socket: &mut WebSocket,
    text: Utf8Bytes,
    ends: &Ends,
    stalled_after: Duration,
) -> std::result::Result<(), Option<End>> {
    tokio::select! {
        sent = tokio::time::timeout(stalled_after, socket.send(Message::Text(text))) => match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(End::TooSlow)),
        },
        end = ends.wait() => Err(Some(end)),
    }
}

/// Says why, and waits a moment for the client to hear it.
async fn close(mut socket: WebSocket, end: End) {
    let frame = CloseFrame {
        code: end.code(),
        reason: Utf8Bytes::from_static(end.reason()),
    };
    let goodbye = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            // Until the client has answered: dropping a socket with unread bytes would cut the goodbye off.
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = tokio::time::timeout(CLOSE_GRACE, goodbye).await;
}
