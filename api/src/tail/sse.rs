//! The tail as server-sent events.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::sync::mpsc;

use super::{End, Opened, frame::Frame, open, pace::Pace, session::Session};
use crate::{
    auth::Follower, params::Params, problem::Result, serve::Progress, state::App, telemetry,
};

/// Batches of events that may wait for the connection.
const QUEUE: usize = 4;
/// Bytes of events after which a batch goes out.
const BATCH: usize = 32 << 10;
/// What a browser waits before it reconnects.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// Follow a topic as server-sent events
///
/// As the WebSocket tail: `event:` is the frame's type, `id:` its cursor, `data:` the frame. A reconnect with
/// `Last-Event-ID` misses nothing and repeats nothing.
#[utoipa::path(
    get, path = "/v1/topics/{topic}/stream", tag = "live",
    params(
        ("topic" = String, Path, description = "The topic", example = "messages"),
        ("from" = Option<String>, Query, description = "`latest` (unless given), `earliest`, a cursor, or a time of append"),
        ("partition" = Option<String>, Query, description = "`all` or a number"),
        ("ticket" = Option<String>, Query, description = "Instead of a key; see `POST /v1/tickets`"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last cursor; counts before `from`"),
        ("chat" = Option<Vec<String>>, Query, description = "On `messages`, as all filters of `GET /v1/messages` but `subject`, applied to the record as screened, which has no label"),
        ("author" = Option<Vec<String>>, Query), ("class" = Option<Vec<String>>, Query), ("min_score" = Option<f64>, Query),
        ("lang" = Option<Vec<String>>, Query), ("flag" = Option<Vec<String>>, Query), ("kind" = Option<Vec<String>>, Query),
        ("since" = Option<String>, Query), ("until" = Option<String>, Query), ("include_noise" = Option<bool>, Query),
    ),
    responses((status = 200, description = "Events", content_type = "text/event-stream", body = String, example = "event: heartbeat\nid: g1@k3x9/0:124\ndata: {\"type\":\"heartbeat\",\"cursor\":\"g1@k3x9/0:124\",\"head\":\"g1@k3x9/0:124\"}\n\n"))
)]
pub(crate) async fn follow(
    follower: Follower,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    params: Params,
    headers: HeaderMap,
    progress: Option<Extension<Arc<Progress>>>,
) -> Result<Response> {
    let opened = open(&app, follower, topic, params, &headers).await?;
    let (events, body) = mpsc::channel(QUEUE);
    let progress = progress.map(|Extension(progress)| progress);
    let pace = Pace::new(app.config.tail.stalled_after(), progress);
    tokio::spawn(run(opened, events, pace));
    let body = futures::stream::unfold(body, |mut body| async move {
        let event: Bytes = body.recv().await?;
        Some((Ok::<_, Infallible>(event), body))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer answers would hold the events back.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

async fn run(opened: Opened, events: mpsc::Sender<Bytes>, pace: Pace) {
    let gauge = metrics::gauge!(telemetry::TAIL_STREAMS, "transport" => "sse");
    gauge.increment(1.0);
    let end = serve(opened, &events, &pace).await;
    gauge.decrement(1.0);
    if let Some(end) = end {
        metrics::counter!(telemetry::TAIL_CLOSED, "reason" => end.label()).increment(1);
    }
}

/// Sends events until the client goes (`None`) or the server ends it.
async fn serve(opened: Opened, events: &mpsc::Sender<Bytes>, pace: &Pace) -> Option<End> {
    let Opened {
        mut session,
        ends,
        _permit,
    } = opened;
    let ended = ends.wait();
    tokio::pin!(ended);
    events.send(Bytes::from_static(RETRY)).await.ok()?;
    loop {
        let first = tokio::select! {
            end = &mut ended => return Some(end),
            () = events.closed() => return None,
            frame = session.next() => match frame {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::warn!(%error, "a stream ends");
                    return Some(End::LogFailed);
                }
            },
        };
        let text = batch(first, &mut session);
        tokio::select! {
            sent = pace.keep(events.send(text)) => match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(end) => return Some(end),
            },
            end = &mut ended => return Some(end),
        }
    }
}

/// A frame and those that are ready behind it, as events in one piece.
fn batch(first: Frame, session: &mut Session) -> Bytes {
    let (mut text, mut next) = (String::new(), Some(first));
    while let Some(frame) = next {
        metrics::counter!(telemetry::TAIL_FRAMES, "transport" => "sse", "type" => frame.kind)
            .increment(1);
        event(&mut text, &frame);
        next = match text.len() < BATCH {
            true => session.ready(),
            false => None,
        };
    }
    text.into()
}

/// The event's text. A stored value may hold line breaks between its members: each line is a `data:` of its own, and the
/// client joins them.
fn event(text: &mut String, frame: &Frame) {
    text.reserve(frame.json.len() + frame.cursor.len() + 48);
    text.push_str("event: ");
    text.push_str(frame.kind);
    text.push_str("\nid: ");
    text.push_str(&frame.cursor);
    for line in frame.json.split(['\r', '\n']) {
        text.push_str("\ndata: ");
        text.push_str(line);
    }
    text.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_in_a_stored_value_do_not_break_the_event() {
        let frame = Frame {
            kind: "record",
            cursor: "g1@a/0:1".into(),
            json: "{\"data\":{\r\n\"a\":1}}".into(),
        };
        let expected =
            "event: record\nid: g1@a/0:1\ndata: {\"data\":{\ndata: \ndata: \"a\":1}}\n\n";
        let mut text = String::new();
        event(&mut text, &frame);
        assert_eq!(text, expected);
    }
}
