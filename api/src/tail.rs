//! The live tail: records of a topic as frames, from history into live without a seam.
//!
//! One reader per partition keeps the newest records in memory for all clients ([`feed`]). A client pulls ([`session`]):
//! from there while it keeps up, from the log itself when it does not. So a slow client costs its own batch and nothing
//! else, and nothing is ever thinned silently: what cannot be read any more becomes a gap frame.

use std::sync::Arc;

use axum::http::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Follower, LiveKey},
    params::Params,
    problem::{Code, Problem, Result, from_ports::shutting_down},
    state::App,
};

mod feed;
mod frame;
pub(crate) mod moved;
mod pace;
mod session;
pub(crate) mod sse;
mod start;
pub(crate) mod ws;

pub(crate) use feed::Hub;
use session::Session;

/// A stream that may be opened: everything that could be refused was checked.
struct Opened {
    session: Session,
    ends: Ends,
    _permit: OwnedSemaphorePermit,
}

/// Why a stream ends although its client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The key was revoked or has expired.
    KeyEnded,
    /// The ticket took this stream up on another connection.
    Replaced,
    /// The server stops.
    ShuttingDown,
    /// The client took nothing for too long.
    TooSlow,
    /// The log cannot be read.
    LogFailed,
}

impl End {
    /// WebSocket close code (RFC 6455, section 7.4; 1013 of the IANA registry).
    fn code(self) -> u16 {
        match self {
            End::ShuttingDown => 1001,
            End::KeyEnded | End::Replaced => 1008,
            End::LogFailed => 1011,
            End::TooSlow => 1013,
        }
    }

    /// Said to the client; at most 123 bytes.
    fn reason(self) -> &'static str {
        match self {
            End::KeyEnded => "the key was revoked or has expired",
            End::Replaced => "the stream was taken up on another connection",
            End::ShuttingDown => "the server is stopping; resume with the last cursor",
            End::TooSlow => "nothing was read for too long; resume with the last cursor",
            End::LogFailed => "the log cannot be read; resume with the last cursor",
        }
    }

    fn label(self) -> &'static str {
        match self {
            End::KeyEnded => "key_ended",
            End::Replaced => "replaced",
            End::ShuttingDown => "shutting_down",
            End::TooSlow => "too_slow",
            End::LogFailed => "log_failed",
        }
    }
}

/// What can end a stream from outside.
struct Ends {
    live_key: Arc<LiveKey>,
    replaced: Arc<CancellationToken>,
    shutdown: CancellationToken,
}

impl Ends {
    /// Returns once the stream must end.
    async fn wait(self) -> End {
        tokio::select! {
            () = self.live_key.ended() => End::KeyEnded,
            () = self.replaced.cancelled() => End::Replaced,
            () = self.shutdown.cancelled() => End::ShuttingDown,
        }
    }
}

/// Checks a request to follow `topic`, and opens the session.
async fn open(
    app: &Arc<App>,
    follower: Follower,
    topic: String,
    mut params: Params,
    headers: &HeaderMap,
) -> Result<Opened> {
    params.one("ticket")?;
    let request = start::Request::parse(topic, &mut params, headers)?;
    params.finish()?;
    if app.shutdown.is_cancelled() {
        return Err(shutting_down());
    }
    let permit = app.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(Code::Overloaded, "too many streams are open; try again").retry_after(10)
    })?;
    let session = start::session(app, &follower.viewer, request).await?;
    Ok(Opened {
        session,
        ends: Ends {
            live_key: follower.live_key,
            replaced: follower.replaced,
            shutdown: app.shutdown.clone(),
        },
        _permit: permit,
    })
}
