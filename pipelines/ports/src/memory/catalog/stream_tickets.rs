//! Tickets in a map by hash.

use async_trait::async_trait;
use telesift_schemas::Timestamp;

use super::MemoryCatalog;
use crate::catalog::{Error, Result, StreamTickets, TicketRow};

#[async_trait]
impl StreamTickets for MemoryCatalog {
    async fn put_ticket(&self, ticket: &TicketRow) -> Result<()> {
        let mut tables = self.tables();
        if tables.tickets.contains_key(&ticket.hash) {
            return Err(Error::Conflict {
                what: "ticket".to_owned(),
            });
        }
        tables.tickets.insert(ticket.hash, ticket.clone());
        Ok(())
    }

    async fn ticket(&self, hash: &[u8; 32]) -> Result<Option<TicketRow>> {
        Ok(self.tables().tickets.get(hash).cloned())
    }

    async fn bind_ticket(&self, hash: &[u8; 32], stream: &[u8; 32]) -> Result<bool> {
        let mut tables = self.tables();
        let unbound = tables
            .tickets
            .get_mut(hash)
            .filter(|ticket| ticket.stream.is_none());
        let Some(ticket) = unbound else {
            return Ok(false);
        };
        ticket.stream = Some(*stream);
        Ok(true)
    }

    async fn sweep_tickets(&self, unopened: Timestamp, opened: Timestamp) -> Result<u64> {
        let mut tables = self.tables();
        tables.tickets.retain(|_, ticket| {
            ticket.issued_at >= opened && (ticket.stream.is_some() || ticket.issued_at >= unopened)
        });
        Ok(tables.tickets.len() as u64)
    }
}
