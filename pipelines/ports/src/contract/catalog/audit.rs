//! What every catalog keeps to about the audit log.

use super::{Must, at};
use crate::catalog::{AuditFilter, AuditOutcome, AuditRecord, Catalog, Error};

pub(super) async fn run(catalog: &impl Catalog) {
    for (second, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        catalog.begin_audit(&record(id, second as i64)).await.must();
    }
    let again = catalog.begin_audit(&record("a", 9)).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    a_record_comes_back_as_it_was_and_is_completed_once(catalog).await;
    records_are_listed_newest_first_as_the_filter_says(catalog).await;
}

fn record(id: &str, second: i64) -> AuditRecord {
    AuditRecord {
        id: id.to_owned(),
        at: at(second),
        actor: (id != "a").then(|| "key-1".to_owned()),
        actor_name: "Олена".to_owned(),
        action: if id == "d" {
            "keys.revoke"
        } else {
            "keys.create"
        }
        .to_owned(),
        target: (id == "d").then(|| "key-2".to_owned()),
        address: Some("2001:db8::1".to_owned()),
        request: Some("trace-1".to_owned()),
        outcome: None,
    }
}

async fn a_record_comes_back_as_it_was_and_is_completed_once(catalog: &impl Catalog) {
    let all = catalog
        .audits(&AuditFilter::default(), None, 10)
        .await
        .must();
    assert_eq!(
        all,
        [
            record("d", 3),
            record("c", 2),
            record("b", 1),
            record("a", 0)
        ]
    );
    let refused = AuditOutcome {
        status: 409,
        code: Some("conflict".to_owned()),
    };
    let done = AuditOutcome {
        status: 201,
        code: None,
    };
    catalog.end_audit("d", Some("other"), &refused).await.must();
    catalog.end_audit("c", Some("key-3"), &done).await.must();
    catalog.end_audit("nobody", None, &done).await.must();
    let ended = catalog
        .audits(&AuditFilter::default(), None, 2)
        .await
        .must();
    let expected = [
        AuditRecord {
            outcome: Some(refused),
            ..record("d", 3)
        },
        AuditRecord {
            target: Some("key-3".to_owned()),
            outcome: Some(done),
            ..record("c", 2)
        },
    ];
    assert_eq!(ended, expected);
}

async fn records_are_listed_newest_first_as_the_filter_says(catalog: &impl Catalog) {
    let ids = async |filter: AuditFilter, after, limit| {
        let rows = catalog.audits(&filter, after, limit).await.must();
        rows.into_iter().map(|r| r.id).collect::<Vec<_>>()
    };
    let all = AuditFilter::default;
    assert_eq!(ids(all(), Some("d"), 2).await, ["c", "b"]);
    let some = |s: &str| Some(s.to_owned());
    let of = AuditFilter {
        action: some("keys.create"),
        actor: some("key-1"),
        ..all()
    };
    assert_eq!(ids(of, None, 10).await, ["c", "b"]);
    let on = AuditFilter {
        target: some("key-3"),
        ..all()
    };
    assert_eq!(ids(on, None, 10).await, ["c"]);
    let between = AuditFilter {
        since: Some(at(1)),
        until: Some(at(3)),
        ..all()
    };
    assert_eq!(ids(between, None, 10).await, ["c", "b"]);
}
