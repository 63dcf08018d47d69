//! Units: stored whole, the most urgent first, and settled only as they were read.

use telesift_schemas::{Class, Offset};

use super::fixtures::{CITY, OPS, at, ids, key, moved, unit};
use crate::{
    catalog::{Catalog, Error},
    contract::Must as _,
    knowledge::{UnitCounts, UnitRow, UnitState},
    leases::Fence,
};

pub(super) async fn units_are_stored_with_their_members_and_their_stage(catalog: &impl Catalog) {
    let both = [
        unit("u-1", Class::Signal, &[1, 2]),
        unit("u-2", Class::Signal, &[3]),
    ];
    let open = Fence::open();
    let stored = catalog.put_units(&both, &[moved(None, 5)], &open).await;
    stored.expect("stored");
    assert_eq!(
        catalog
            .units(&ids(&["u-2", "u-1", "u-1", "u-9"]))
            .await
            .must(),
        both
    );
    let asked = [key(OPS, 2), key(OPS, 3), key(CITY, 3)];
    let in_units = catalog.units_of(&asked).await.must();
    assert_eq!(
        in_units,
        [
            (key(OPS, 2), "u-1".to_owned()),
            (key(OPS, 3), "u-2".to_owned())
        ]
    );
    assert_eq!(catalog.units_of(&[]).await.must(), []);
    assert_eq!(
        catalog.unit_at(1, Offset(3)).await.must(),
        Some(both[1].clone())
    );
    assert_eq!(catalog.unit_at(0, Offset(3)).await.must(), None);
    // Another owner went on from there: nothing is stored.
    let late = [unit("u-3", Class::Signal, &[9])];
    let refused = catalog.put_units(&late, &[moved(None, 6)], &open).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(catalog.units(&ids(&["u-3"])).await.must(), []);
    // A member that left stands in no unit.
    let less = [unit("u-1", Class::Signal, &[1])];
    let stored = catalog.put_units(&less, &[moved(Some(5), 6)], &open).await;
    stored.expect("stored");
    assert_eq!(catalog.units_of(&[key(OPS, 2)]).await.must(), []);
    let state = catalog.stage_state(&moved(None, 0).key).await.must();
    assert_eq!(state.map(|s| s.next), Some(Offset(6)));
}

pub(super) async fn the_most_urgent_unit_comes_first(catalog: &impl Catalog) {
    let mut held = unit("u-5", Class::Signal, &[50]);
    held.not_before = Some(at(100));
    let mut done = unit("u-6", Class::Signal, &[60]);
    done.state = UnitState::Done;
    let mut passed_by = unit("u-7", Class::Signal, &[70]);
    (passed_by.state, passed_by.note) = (UnitState::Done, Some("off".to_owned()));
    let all = [
        unit("u-1", Class::WeakSignal, &[40]),
        unit("u-2", Class::Signal, &[10]),
        unit("u-3", Class::Signal, &[20]),
        unit("u-4", Class::WeakSignal, &[30]),
        held,
        done,
        passed_by,
    ];
    catalog.put_units(&all, &[], &Fence::open()).await.must();
    let due = async |now, limit| {
        let due = catalog.due_units(now, limit).await.must();
        due.into_iter().map(|u| u.id).collect::<Vec<_>>()
    };
    assert_eq!(due(at(99), 10).await, ["u-3", "u-2", "u-1", "u-4"]);
    assert_eq!(due(at(100), 2).await, ["u-5", "u-3"]);
    assert_eq!(catalog.next_due(at(99)).await.must(), Some(at(100)));
    assert_eq!(catalog.next_due(at(100)).await.must(), None);
    catalog.wake_units(Some(CITY)).await.must();
    assert_eq!(due(at(99), 1).await, ["u-3"]);
    catalog.wake_units(Some(OPS)).await.must();
    assert_eq!(due(at(99), 1).await, ["u-5"]);
    let counts = UnitCounts {
        due: 5,
        done: 2,
        failed: 0,
        passed_by: [("off".to_owned(), 1)].into(),
    };
    assert_eq!(catalog.unit_counts().await.must(), counts);
}

pub(super) async fn a_unit_that_changed_is_not_settled(catalog: &impl Catalog) {
    let first = unit("u-1", Class::Signal, &[1]);
    let one = std::slice::from_ref(&first);
    catalog.put_units(one, &[], &Fence::open()).await.must();
    let mut settled = UnitRow {
        state: UnitState::Failed,
        attempts: 3,
        note: Some("why".to_owned()),
        not_before: Some(at(7)),
        ..first.clone()
    };
    assert!(catalog.settle_unit(&settled).await.must());
    assert_eq!(
        catalog.units(&ids(&["u-1"])).await.must(),
        [settled.clone()]
    );
    let changed = UnitRow {
        revision: 2,
        ..first.clone()
    };
    let again = std::slice::from_ref(&changed);
    catalog.put_units(again, &[], &Fence::open()).await.must();
    settled.state = UnitState::Done;
    assert!(!catalog.settle_unit(&settled).await.must());
    catalog.settle_units(&[settled.clone()]).await.must();
    catalog.settle_units(&[]).await.must();
    assert_eq!(catalog.units(&ids(&["u-1"])).await.must(), [changed]);
}
