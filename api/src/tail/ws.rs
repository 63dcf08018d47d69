//! The tail over WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, header},
    response::Response,
};

use futures::SinkExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{End, Opened, frame::Frame, open, pace::Pace, session::Session};
use crate::{
    auth::Follower,
    cors::is_allowed,
    params::Params,
    problem::{Code, Problem, Result},
    serve::Progress,
    state::App,
    telemetry,
};

/// Read and write buffer of a socket. The library's 128 KiB would cost more than a gigabyte for 10,000 sockets.
const SOCKET_BUFFER: usize = 4 << 10;
/// Longest message taken from a client; none is needed.
const MAX_INCOMING: usize = 4 << 10;
/// Bytes that may wait in a socket's write buffer. A batch is flushed before the next, so this bounds one frame more: a
/// record must fit, however large the log takes it.
const MAX_OUTGOING: usize = 64 << 20;
/// Bytes of frames after which a batch is flushed.
const BATCH: usize = 32 << 10;
/// Time for the close frame to reach a client, and for its answer.
const CLOSE_GRACE: Duration = Duration::from_secs(5);
/// The same for a client that did not read.
const SLOW_CLOSE_GRACE: Duration = Duration::from_secs(300);

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
    progress: Option<Extension<Arc<Progress>>>,
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
    let progress = progress.map(|Extension(progress)| progress);
    let pace = Pace::new(app.config.tail.stalled_after(), progress);
    let farewells = app.farewells.clone();
    Ok(upgrade
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER)
        .max_write_buffer_size(MAX_OUTGOING)
        .max_message_size(MAX_INCOMING)
        .max_frame_size(MAX_INCOMING)
        .on_upgrade(move |socket| run(socket, opened, pace, farewells)))
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

async fn run(mut socket: WebSocket, opened: Opened, pace: Pace, farewells: Arc<Semaphore>) {
    let gauge = metrics::gauge!(telemetry::TAIL_STREAMS, "transport" => "websocket");
    gauge.increment(1.0);
    let shutdown = opened.ends.shutdown.clone();
    // Its place is free before the goodbye, which may take a while.
    let end = serve(&mut socket, opened, &pace).await;
    gauge.decrement(1.0);
    if let Some(end) = end {
        metrics::counter!(telemetry::TAIL_CLOSED, "reason" => end.label()).increment(1);
        close(socket, end, shutdown, farewells).await;
    }
}

/// Sends frames until the client goes (`None`) or the server ends it.
async fn serve(socket: &mut WebSocket, opened: Opened, pace: &Pace) -> Option<End> {
    let Opened {
        mut session,
        ends,
        _permit,
    } = opened;
    let ended = ends.wait();
    tokio::pin!(ended);
    loop {
        let first = tokio::select! {
            end = &mut ended => return Some(end),
            incoming = socket.recv() => match incoming {
                // Pings are answered below us; whatever else a client says is of no interest.
                Some(Ok(Message::Close(_))) => {
                    answer_close(socket).await;
                    return None;
                }
                Some(Err(_)) | None => return None,
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
        let sent = tokio::select! {
            sent = pace.keep(send(socket, first, &mut session)) => sent,
            end = &mut ended => return Some(end),
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(end) => return Some(end),
        }
    }
}

/// The library has an answer to the client's goodbye at hand, and sends it as the socket is read on.
async fn answer_close(socket: &mut WebSocket) {
    let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
    // Whoever reads no answer goes without.
    let _ = tokio::time::timeout(CLOSE_GRACE, answered).await;
}

/// Sends a frame and those that are ready behind it, and waits until the socket has taken them: one write for many frames.
async fn send(
    socket: &mut WebSocket,
    first: Frame,
    session: &mut Session,
) -> std::result::Result<(), axum::Error> {
    let (mut next, mut n_bytes) = (Some(first), 0);
    while let Some(frame) = next {
        metrics::counter!(telemetry::TAIL_FRAMES, "transport" => "websocket", "type" => frame.kind)
            .increment(1);
        n_bytes += frame.json.len();
        socket.feed(Message::Text(frame.json.into())).await?;
        next = match n_bytes < BATCH {
            true => session.ready(),
            false => None,
        };
    }
    socket.flush().await
}

/// Says why, and waits for the client to hear it. Who was too slow may need long until it reads again, and finds the
/// reason then; only so many are waited for.
async fn close(
    mut socket: WebSocket,
    end: End,
    shutdown: CancellationToken,
    farewells: Arc<Semaphore>,
) {
    let long = match end {
        End::TooSlow => farewells.try_acquire_owned().ok(),
        _ => None,
    };
    let grace = match long {
        Some(_) => SLOW_CLOSE_GRACE,
        None => CLOSE_GRACE,
    };
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
    let cut_short = async {
        match long {
            Some(_) => shutdown.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(grace, goodbye) => {}
        () = cut_short => {}
    }
}
