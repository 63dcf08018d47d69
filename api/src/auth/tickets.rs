//! Tickets: a short-lived stand-in for a key, for browsers that cannot set headers on a stream.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rand::{Rng, distr::Alphanumeric};
use tokio_util::sync::CancellationToken;

use super::{SecretHash, Viewer, hash};
use crate::{
    config::TailConfig,
    problem::{Code, Problem, Result},
};

/// Tickets held at the same time.
const CAPACITY: usize = 20_000;

/// The tickets given out by this process and not yet expired.
pub(crate) struct Tickets {
    opens_within: Duration,
    reconnects_within: Duration,
    issued: Mutex<HashMap<SecretHash, Ticket>>,
}

struct Ticket {
    key: SecretHash,
    at: Instant,
    stream: Option<OpenStream>,
}

/// The one stream a ticket was used for.
struct OpenStream {
    /// Path and query: a ticket takes up its own stream again, no other.
    target: String,
    /// Cancelled when the stream is taken up again, so that a ticket never feeds two.
    replaced: CancellationToken,
}

/// A ticket on its way to the client.
pub(crate) struct IssuedTicket {
    pub(crate) ticket: String,
    /// It opens a stream this long.
    pub(crate) valid_for: Duration,
}

impl Tickets {
    pub(crate) fn new(config: &TailConfig) -> Self {
        Tickets {
            opens_within: Duration::from_millis(config.ticket_ms),
            reconnects_within: Duration::from_secs(config.ticket_reconnect_s),
            issued: Mutex::default(),
        }
    }

    /// A new ticket for the viewer.
    ///
    /// # Errors
    /// 503 when too many are open.
    pub(crate) fn issue(&self, viewer: &Viewer) -> Result<IssuedTicket> {
        let ticket: String = rand::rng()
            .sample_iter(Alphanumeric)
            .take(43)
            .map(char::from)
            .collect();
        let mut issued = self.issued();
        if issued.len() >= CAPACITY {
            issued.retain(|_, t| t.at.elapsed() < self.lifetime(t));
        }
        if issued.len() >= CAPACITY {
            return Err(Problem::new(Code::Overloaded, "too many tickets are open").retry_after(30));
        }
        issued.insert(
            hash(&ticket),
            Ticket {
                key: viewer.hash,
                at: Instant::now(),
                stream: None,
            },
        );
        Ok(IssuedTicket {
            ticket,
            valid_for: self.opens_within,
        })
    }

    /// Opens the stream `target`, or takes it up again. Gives the key behind the ticket, and a token that is cancelled
    /// once this stream is taken up by another connection.
    ///
    /// # Errors
    /// 401 unless the ticket is fresh, or is that of this very stream and the client says how far it had come.
    pub(crate) fn redeem(
        &self,
        ticket: &str,
        target: &str,
        resumes: bool,
    ) -> Result<(SecretHash, CancellationToken)> {
        let invalid = |detail| Err(Problem::new(Code::InvalidTicket, detail));
        let mut issued = self.issued();
        let id = hash(ticket);
        let Some(found) = issued.get_mut(&id) else {
            return invalid("the ticket is unknown; get one with POST /v1/tickets");
        };
        if found.at.elapsed() >= self.lifetime(found) {
            issued.remove(&id);
            return invalid("the ticket has expired; get another with POST /v1/tickets");
        }
        if let Some(stream) = &found.stream {
            if !resumes || stream.target != target {
                return invalid(
                    "the ticket was used; only its own stream takes it again, with `Last-Event-ID`",
                );
            }
            stream.replaced.cancel();
        }
        let replaced = CancellationToken::new();
        found.stream = Some(OpenStream {
            target: target.to_owned(),
            replaced: replaced.clone(),
        });
        Ok((found.key, replaced))
    }

    fn lifetime(&self, ticket: &Ticket) -> Duration {
        match ticket.stream {
            None => self.opens_within,
            Some(_) => self.reconnects_within,
        }
    }

    fn issued(&self) -> MutexGuard<'_, HashMap<SecretHash, Ticket>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
