//! Tickets of streams: stored by their hash, so that a reconnect outlives the process.

use async_trait::async_trait;
use telesift_schemas::Timestamp;

use super::Result;

/// Tickets given out and not yet expired.
#[async_trait]
pub trait StreamTickets: Send + Sync + 'static {
    /// Stores a ticket that has opened nothing yet.
    ///
    /// # Errors
    /// [`Error::Conflict`](super::Error::Conflict) if there is one of that hash.
    async fn put_ticket(&self, ticket: &TicketRow) -> Result<()>;

    /// The ticket of that hash.
    async fn ticket(&self, hash: &[u8; 32]) -> Result<Option<TicketRow>>;

    /// Binds a ticket to the stream it opens; `false` if it is bound already or not there.
    async fn bind_ticket(&self, hash: &[u8; 32], stream: &[u8; 32]) -> Result<bool>;

    /// Removes tickets issued before `unopened` that opened nothing, and all issued before `opened`. Gives how many are
    /// left.
    async fn sweep_tickets(&self, unopened: Timestamp, opened: Timestamp) -> Result<u64>;
}

/// A ticket as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// SHA-256 of the ticket.
    pub hash: [u8; 32],
    /// The hash of the secret of the key it stands for.
    pub key_hash: [u8; 32],
    /// When it was given out.
    pub issued_at: Timestamp,
    /// SHA-256 of path and query of the stream it opened.
    pub stream: Option<[u8; 32]>,
}
