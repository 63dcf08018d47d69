//! Tickets: a short-lived stand-in for a key, for browsers that cannot set headers on a stream.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{Rng, distr::Alphanumeric};
use telesift_ports::{
    Catalog, Clock,
    catalog::{self, TicketRow},
};
use telesift_schemas::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{SecretHash, Viewer, hash};
use crate::{
    config::TailConfig,
    problem::{Code, Problem, Result},
};

/// Tickets held at the same time.
const CAPACITY: u64 = 20_000;
/// Expired ones are swept out this often at most.
const SWEEP_EVERY_S: i64 = 10;

/// The tickets given out and not yet expired. They are stored by their hash, so that a stream is taken up again after a
/// restart; who holds which stream is known to this process only.
pub(crate) struct Tickets {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    opens_within: Duration,
    reconnects_within: Duration,
    /// Unix seconds of the last sweep.
    swept_at: AtomicI64,
    n_held: AtomicU64,
    /// Cancelled when the stream is taken up again, so that a ticket never feeds two.
    open: Mutex<HashMap<SecretHash, CancellationToken>>,
}

/// A ticket on its way to the client.
pub(crate) struct IssuedTicket {
    pub(crate) ticket: String,
    /// It opens a stream until then.
    pub(crate) expires_at: Timestamp,
}

impl Tickets {
    pub(crate) fn new(
        config: &TailConfig,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Tickets {
            catalog,
            clock,
            opens_within: Duration::from_millis(config.ticket_ms),
            reconnects_within: Duration::from_secs(config.ticket_reconnect_s),
            swept_at: AtomicI64::new(i64::MIN),
            n_held: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    /// A new ticket for the viewer.
    ///
    /// # Errors
    /// 503 when too many are open.
    pub(crate) async fn issue(&self, viewer: &Viewer) -> Result<IssuedTicket> {
        self.sweep().await?;
        if self.n_held.fetch_add(1, Ordering::Relaxed) >= CAPACITY {
            return Err(Problem::new(Code::Overloaded, "too many tickets are open").retry_after(30));
        }
        let ticket: String = rand::rng()
            .sample_iter(Alphanumeric)
            .take(43)
            .map(char::from)
            .collect();
        let now = self.clock.now();
        let row = TicketRow {
            hash: hash(&ticket),
            key_hash: viewer.hash,
            issued_at: now,
            stream: None,
        };
        self.catalog.put_ticket(&row).await?;
        Ok(IssuedTicket {
            ticket,
            expires_at: later(now, self.opens_within),
        })
    }

    /// Opens the stream `target`, path and query, or takes it up again. Gives the key behind the ticket, and a token that
    /// is cancelled once this stream is taken up by another connection.
    ///
    /// # Errors
    /// 401 unless the ticket is fresh, or is that of this very stream and the client says how far it had come.
    pub(crate) async fn redeem(
        &self,
        ticket: &str,
        target: &str,
        resumes: bool,
    ) -> Result<(SecretHash, CancellationToken)> {
        let invalid = |detail| Err(Problem::new(Code::InvalidTicket, detail));
        let (id, stream) = (hash(ticket), hash(target));
        let Some(found) = self.catalog.ticket(&id).await? else {
            return invalid("the ticket is unknown; get one with POST /v1/tickets");
        };
        let lifetime = match found.stream {
            None => self.opens_within,
            Some(_) => self.reconnects_within,
        };
        if self.clock.now() >= later(found.issued_at, lifetime) {
            return invalid("the ticket has expired; get another with POST /v1/tickets");
        }
        let is_mine = match found.stream {
            None => self.catalog.bind_ticket(&id, &stream).await?,
            Some(bound) => resumes && bound == stream,
        };
        if !is_mine {
            return invalid(
                "the ticket was used; only its own stream takes it again, with `Last-Event-ID`",
            );
        }
        let replaced = CancellationToken::new();
        if let Some(before) = self.open().insert(id, replaced.clone()) {
            before.cancel();
        }
        Ok((found.key_hash, replaced))
    }

    async fn sweep(&self) -> catalog::Result<()> {
        let now = self.clock.now();
        let last = self.swept_at.load(Ordering::Relaxed);
        let due = now.as_second().saturating_sub(last) >= SWEEP_EVERY_S;
        let mine = due
            && self
                .swept_at
                .compare_exchange(last, now.as_second(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine {
            return Ok(());
        }
        let unopened = earlier(now, self.opens_within);
        let opened = earlier(now, self.reconnects_within);
        let n_left = self.catalog.sweep_tickets(unopened, opened).await?;
        self.n_held.store(n_left, Ordering::Relaxed);
        // A token nobody else holds is of a stream that has ended; the ticket itself stands in the catalog.
        self.open().retain(|_, token| !token.is_cancelled());
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SecretHash, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
