//! What every catalog keeps to about tickets of streams.

use super::{Must, at};
use crate::catalog::{Catalog, Error, TicketRow};

pub(super) async fn run(catalog: &impl Catalog) {
    for n in 1..=4 {
        catalog.put_ticket(&ticket(n, i64::from(n))).await.must();
    }
    let again = catalog.put_ticket(&ticket(1, 9)).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    assert_eq!(catalog.ticket(&[1; 32]).await.must(), Some(ticket(1, 1)));
    assert_eq!(catalog.ticket(&[9; 32]).await.must(), None);

    a_ticket_is_bound_once(catalog).await;
    old_ones_are_swept(catalog).await;
}

fn ticket(n: u8, second: i64) -> TicketRow {
    TicketRow {
        hash: [n; 32],
        key_hash: [n + 100; 32],
        issued_at: at(second),
        stream: None,
    }
}

async fn a_ticket_is_bound_once(catalog: &impl Catalog) {
    assert!(catalog.bind_ticket(&[1; 32], &[7; 32]).await.must());
    assert!(catalog.bind_ticket(&[3; 32], &[8; 32]).await.must());
    assert!(!catalog.bind_ticket(&[1; 32], &[9; 32]).await.must());
    assert!(!catalog.bind_ticket(&[9; 32], &[7; 32]).await.must());
    let bound = TicketRow {
        stream: Some([7; 32]),
        ..ticket(1, 1)
    };
    assert_eq!(catalog.ticket(&[1; 32]).await.must(), Some(bound));
}

async fn old_ones_are_swept(catalog: &impl Catalog) {
    // 1 and 3 opened a stream, 2 and 4 did not.
    assert_eq!(catalog.sweep_tickets(at(3), at(0)).await.must(), 3);
    assert!(catalog.ticket(&[2; 32]).await.must().is_none());
    assert!(catalog.ticket(&[1; 32]).await.must().is_some());
    assert_eq!(catalog.sweep_tickets(at(3), at(3)).await.must(), 2);
    assert!(catalog.ticket(&[1; 32]).await.must().is_none());
    assert!(catalog.ticket(&[3; 32]).await.must().is_some());
    assert!(catalog.ticket(&[4; 32]).await.must().is_some());
}
