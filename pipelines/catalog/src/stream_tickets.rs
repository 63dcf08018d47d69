//! Tickets of streams in their table, by hash.

use async_trait::async_trait;
use telesift_ports::catalog::{Result, StreamTickets, TicketRow};
use telesift_schemas::Timestamp;

use crate::{
    SqlCatalog,
    records::{damaged, timestamp, unsigned},
    row::Row,
};

const PUT_TICKET: &str = "
    INSERT INTO stream_tickets (hash, key_hash, issued_at) VALUES ($1, $2, $3)";

const TICKET: &str = "
    SELECT hash, key_hash, issued_at, stream FROM stream_tickets WHERE hash = $1";

/// No row if it opened a stream already: of two connections one gets it.
const BIND_TICKET: &str = "
    UPDATE stream_tickets SET stream = $2 WHERE hash = $1 AND stream IS NULL";

const SWEEP_TICKETS: &str = "
    DELETE FROM stream_tickets WHERE issued_at < $2 OR (stream IS NULL AND issued_at < $1)";

const N_TICKETS: &str = "SELECT COUNT(*) FROM stream_tickets";

#[async_trait]
impl StreamTickets for SqlCatalog {
    async fn put_ticket(&self, ticket: &TicketRow) -> Result<()> {
        let args = vec![
            ticket.hash.to_vec().into(),
            ticket.key_hash.to_vec().into(),
            ticket.issued_at.into(),
        ];
        self.database
            .write(PUT_TICKET, args, || "ticket".to_owned())
            .await?;
        Ok(())
    }

    async fn ticket(&self, hash: &[u8; 32]) -> Result<Option<TicketRow>> {
        let rows = self
            .database
            .read(TICKET, vec![hash.to_vec().into()])
            .await?;
        rows.first().map(ticket).transpose()
    }

    async fn bind_ticket(&self, hash: &[u8; 32], stream: &[u8; 32]) -> Result<bool> {
        let args = vec![hash.to_vec().into(), stream.to_vec().into()];
        let n_changed = self.database.write(BIND_TICKET, args, String::new).await?;
        Ok(n_changed > 0)
    }

    async fn sweep_tickets(&self, unopened: Timestamp, opened: Timestamp) -> Result<u64> {
        let args = vec![unopened.into(), opened.into()];
        self.database
            .write(SWEEP_TICKETS, args, String::new)
            .await?;
        let rows = self.database.read(N_TICKETS, Vec::new()).await?;
        rows.first().map_or(Ok(0), |row| unsigned(row, 0))
    }
}

fn ticket(row: &Row) -> Result<TicketRow> {
    let hash = |bytes: Vec<u8>| {
        <[u8; 32]>::try_from(bytes).map_err(|_| damaged("a hash of a ticket has not 32 bytes"))
    };
    let stream: Option<Vec<u8>> = row.get(3)?;
    Ok(TicketRow {
        hash: hash(row.get(0)?)?,
        key_hash: hash(row.get(1)?)?,
        issued_at: timestamp(row.get(2)?)?,
        stream: stream.map(hash).transpose()?,
    })
}
