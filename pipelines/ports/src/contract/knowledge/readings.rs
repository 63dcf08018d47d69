//! Units that a generation wants asked for anew, and what it read of them.

use telesift_schemas::{Class, Generation, Offset};

use super::fixtures::{at, ids, unit};
use crate::{
    catalog::Catalog,
    contract::Must as _,
    knowledge::{KnowledgeChange, ReadingChange, ReadingRow, UnitRow, UnitState},
    leases::Fence,
};

pub(super) async fn units_are_asked_for_anew(catalog: &impl Catalog) {
    let all = [
        unit("u-1", Class::Signal, &[1]),
        unit("u-2", Class::Signal, &[2]),
        unit("u-3", Class::Signal, &[3]),
    ];
    catalog.put_units(&all, &[], &Fence::open()).await.must();
    let end = |unit: &UnitRow| UnitRow {
        state: UnitState::Done,
        ..unit.clone()
    };
    let done = [end(&all[0]), end(&all[1]), end(&all[2])];
    catalog.settle_units(&done).await.must();
    let asked = ids(&["u-1", "u-2", "nobody"]);
    catalog.read_again(&asked, Generation(2)).await.must();
    assert_eq!(catalog.n_read_again(Generation(2)).await.must(), 2);
    assert_eq!(catalog.n_read_again(Generation(3)).await.must(), 0);
    let due = catalog.due_units(at(9), 9).await.must();
    let due: Vec<_> = due
        .iter()
        .map(|u| (u.id.as_str(), u.again.map(|g| g.0)))
        .collect();
    assert_eq!(due, [("u-2", Some(2)), ("u-1", Some(2))]);

    // What was worked on meanwhile is not the answer that is wanted; what waits goes on wanting one.
    assert!(!catalog.settle_unit(&done[0]).await.must());
    let first = catalog.units(&ids(&["u-1"])).await.must().remove(0);
    let later = UnitRow {
        not_before: Some(at(100)),
        ..first.clone()
    };
    assert!(catalog.settle_unit(&later).await.must());
    assert_eq!(catalog.n_read_again(Generation(2)).await.must(), 2);
    assert!(catalog.settle_unit(&end(&first)).await.must());
    assert_eq!(catalog.n_read_again(Generation(2)).await.must(), 1);
    catalog.end_reading(Generation(2)).await.must();
    assert_eq!(catalog.n_read_again(Generation(2)).await.must(), 0);
    let second = catalog.units(&ids(&["u-2"])).await.must().remove(0);
    assert_eq!((second.state, second.again), (UnitState::Due, None));
}

pub(super) async fn generations_keep_what_they_read(catalog: &impl Catalog) {
    let put = |generation: u32, unit: &str, offset: Option<u64>| {
        ReadingChange::Put(ReadingRow {
            generation: Generation(generation),
            unit: unit.to_owned(),
            offset: offset.map(Offset),
        })
    };
    let apply = async |readings: Vec<ReadingChange>, in_force: Option<Vec<Generation>>| {
        let change = KnowledgeChange {
            readings,
            in_force,
            ..KnowledgeChange::default()
        };
        catalog
            .apply_knowledge(&change, &[], &Fence::open())
            .await
            .must();
    };
    assert!(catalog.readings_in_force().await.must().is_empty());
    let all = vec![
        put(1, "u-1", Some(3)),
        put(2, "u-1", Some(8)),
        put(1, "u-2", None),
        put(2, "u-2", Some(9)),
        put(3, "u-2", Some(10)),
        put(2, "u-2", Some(11)),
    ];
    apply(all, Some(vec![Generation(3), Generation(2)])).await;
    let in_force = catalog.readings_in_force().await.must();
    assert_eq!(in_force, [Generation(3), Generation(2)]);
    let read = async |units: &[&str]| {
        let rows = catalog.readings_of(&ids(units)).await.must().into_iter();
        let row = |r: ReadingRow| (r.unit, r.generation.0, r.offset.map(|o| o.0));
        rows.map(row).collect::<Vec<_>>()
    };
    let of = |unit: &str, generation, offset| (unit.to_owned(), generation, offset);
    let second = [
        of("u-2", 1, None),
        of("u-2", 2, Some(11)),
        of("u-2", 3, Some(10)),
    ];
    assert_eq!(read(&["u-2", "nobody"]).await, second);
    let by = async |generations: &[u32]| {
        let generations: Vec<_> = generations.iter().copied().map(Generation).collect();
        catalog.units_read_by(&generations).await.must()
    };
    assert_eq!(by(&[2, 3]).await, ["u-1", "u-2"]);
    assert_eq!(by(&[3]).await, ["u-2"]);
    assert!(by(&[4]).await.is_empty() && by(&[]).await.is_empty());

    // What all read the same has none; said in order, the last word counts.
    let drop = vec![ReadingChange::Dropped("u-1".to_owned())];
    apply(drop, Some(Vec::new())).await;
    assert!(read(&["u-1"]).await.is_empty());
    assert!(catalog.readings_in_force().await.must().is_empty());
    let anew = vec![
        put(2, "u-1", Some(20)),
        ReadingChange::Dropped("u-1".to_owned()),
        put(3, "u-1", Some(21)),
    ];
    apply(anew, None).await;
    assert_eq!(read(&["u-1"]).await, [of("u-1", 3, Some(21))]);
    catalog.remove_readings(Generation(3)).await.must();
    catalog.remove_readings(Generation(3)).await.must();
    assert!(by(&[3]).await.is_empty());
    assert_eq!(read(&["u-2"]).await, second[..2]);
}
