//! Atoms and subjects as readers ask for them, and who may see which.

use telesift_schemas::{AtomKind, AtomStatus, ChatId};

use super::fixtures::{CITY, OPS, at, atom, ids, key, store};
use crate::{
    catalog::Catalog,
    contract::Must as _,
    knowledge::{AtomFilter, AtomPosition, AtomSource, SubjectPosition},
};

async fn listed(
    catalog: &impl Catalog,
    filter: &AtomFilter,
    after: Option<&AtomPosition>,
    limit: usize,
) -> Vec<String> {
    let found = catalog.atoms(filter, after, limit).await.must();
    found.into_iter().map(|stored| stored.atom.id).collect()
}

pub(super) async fn atoms_are_listed_by_what_they_stand_on(catalog: &impl Catalog) {
    let mut rejected = atom("a-4", "billing", &[key(OPS, 40)]);
    rejected.atom.status = AtomStatus::Rejected;
    let mut merged = atom("a-5", "billing", &[key(OPS, 50)]);
    merged.merged_into = Some("a-1".to_owned());
    let mut told = atom("a-3", "delivery", &[key(OPS, 30)]);
    told.atom.kind = AtomKind::Decision;
    // More than any statement takes at once.
    let source = |n: i64| AtomSource {
        unit: format!("u-{n}"),
        same_as: "u-a-3".to_owned(),
        messages: (0..30).map(|m| key(CITY, 1_000 * n + m)).collect(),
    };
    told.sources = (0..40).map(source).collect();
    let all = vec![
        atom("a-1", "billing", &[key(OPS, 10), key(OPS, 12)]),
        atom("a-2", "billing", &[key(CITY, 20)]),
        told,
        rejected,
        merged,
    ];
    store(catalog, all).await;
    let everything = AtomFilter::default();
    assert_eq!(
        listed(catalog, &everything, None, 10).await,
        ["a-3", "a-2", "a-1"]
    );
    let after = AtomPosition {
        first_at: at(30),
        id: "a-3".to_owned(),
    };
    assert_eq!(listed(catalog, &everything, Some(&after), 1).await, ["a-2"]);
    let by = |change: fn(&mut AtomFilter)| {
        let mut filter = AtomFilter::default();
        change(&mut filter);
        filter
    };
    let cases = [
        (by(|f| f.kinds = vec![AtomKind::Decision]), vec!["a-3"]),
        (by(|f| f.statuses = vec![AtomStatus::Rejected]), vec!["a-4"]),
        (
            by(|f| f.subjects = vec!["billing".into()]),
            vec!["a-2", "a-1"],
        ),
        (by(|f| f.chats = vec![CITY]), vec!["a-3", "a-2"]),
        (by(|f| f.since = Some(at(20))), vec!["a-3", "a-2"]),
        (by(|f| f.since = Some(at(12))), vec!["a-3", "a-2", "a-1"]),
        (by(|f| f.until = Some(at(20))), vec!["a-1"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            listed(catalog, &filter, None, 10).await,
            expected,
            "{filter:?}"
        );
    }
    for n in [0, 7, 39] {
        let by_source = catalog.atoms_of_units(&[format!("u-{n}")]).await.must();
        assert_eq!(by_source[0].atom.id, "a-3");
        let last = key(CITY, 1_000 * n + 29);
        let on = catalog.subjects_of(&[last], None).await.must();
        assert_eq!(on[0].1.id, "delivery", "{last}");
    }
}

pub(super) async fn an_atom_shows_if_all_its_evidence_may_be_seen(catalog: &impl Catalog) {
    let all = vec![
        atom("a-1", "billing", &[key(OPS, 10)]),
        atom("a-2", "billing", &[key(OPS, 20), key(CITY, 21)]),
        atom("a-3", "delivery", &[key(CITY, 30)]),
    ];
    store(catalog, all).await;
    let seen = AtomFilter {
        visible_chats: Some(vec![OPS]),
        ..AtomFilter::default()
    };
    assert_eq!(listed(catalog, &seen, None, 10).await, ["a-1"]);
    let subjects = async |chats: Option<&[ChatId]>| {
        let found = catalog.subjects(chats, None, 10).await.must();
        let found = found.into_iter().map(|s| (s.name, s.n_atoms, s.last_at));
        found.collect::<Vec<_>>()
    };
    let whole = [
        ("BILLING".to_owned(), 2, at(21)),
        ("DELIVERY".to_owned(), 1, at(30)),
    ];
    assert_eq!(subjects(None).await, whole);
    assert_eq!(
        subjects(Some(&[OPS])).await,
        [("BILLING".to_owned(), 1, at(10))]
    );
    assert_eq!(subjects(Some(&[])).await, []);
    let after = SubjectPosition {
        sort: "billing".to_owned(),
        id: "billing".to_owned(),
    };
    let rest = catalog.subjects(None, Some(&after), 10).await.must();
    assert_eq!(rest.len(), 1);
    let asked = [key(OPS, 10), key(OPS, 20), key(CITY, 30), key(OPS, 99)];
    let of = async |chats: Option<&[ChatId]>| {
        let found = catalog.subjects_of(&asked, chats).await.must();
        let found = found.into_iter().map(|(m, s)| (m, s.id));
        found.collect::<Vec<_>>()
    };
    let all = [
        (key(CITY, 30), "delivery".to_owned()),
        (key(OPS, 10), "billing".to_owned()),
        (key(OPS, 20), "billing".to_owned()),
    ];
    let mut found = of(None).await;
    found.sort();
    let mut all = all.to_vec();
    all.sort();
    assert_eq!(found, all);
    assert_eq!(
        of(Some(&[OPS])).await,
        [(key(OPS, 10), "billing".to_owned())]
    );
    let on = catalog
        .messages_on(&ids(&["billing"]), None, 2)
        .await
        .must();
    assert_eq!(on, [key(CITY, 21), key(OPS, 20)]);
    let on = catalog
        .messages_on(&ids(&["billing"]), Some(&[OPS]), 9)
        .await;
    assert_eq!(on.must(), [key(OPS, 10)]);
}

pub(super) async fn rejected_and_retracted_atoms_give_no_subjects(catalog: &impl Catalog) {
    let mut rejected = atom("a-1", "billing", &[key(OPS, 10)]);
    rejected.atom.status = AtomStatus::Rejected;
    let mut retracted = atom("a-2", "billing", &[]);
    retracted.atom.status = AtomStatus::Retracted;
    retracted.stood_in = vec![CITY];
    store(catalog, vec![rejected, retracted]).await;
    assert_eq!(catalog.subjects(None, None, 10).await.must(), []);
    assert_eq!(catalog.subjects_of(&[key(OPS, 10)], None).await.must(), []);
    let gone = AtomFilter {
        statuses: vec![AtomStatus::Retracted],
        chats: vec![CITY],
        visible_chats: Some(vec![CITY]),
        ..AtomFilter::default()
    };
    assert_eq!(listed(catalog, &gone, None, 10).await, ["a-2"]);
    let elsewhere = AtomFilter {
        visible_chats: Some(vec![OPS]),
        ..gone
    };
    assert!(listed(catalog, &elsewhere, None, 10).await.is_empty());
}
