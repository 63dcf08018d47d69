//! What every catalog keeps to with what is known.

mod atoms;
mod fixtures;
mod readings;
mod units;

use std::{collections::BTreeMap, future::Future};

use telesift_schemas::{
    ApprovalRule, AtomKind, AtomStatus, AtomVerdict, ExtractorRef, Offset, Usage,
};

use crate::{
    catalog::{Catalog, Error},
    contract::Must as _,
    knowledge::{ApprovalRules, ExtractionRow, KnowledgeChange, WaitingReview},
    leases::Fence,
};
use fixtures::{OPS, at, atom, ids, key, moved, store, subject, unit_member};

/// Runs the suite; `fresh` gives an empty catalog each time.
pub(super) async fn run<C, F, Fut>(fresh: &F)
where
    C: Catalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    units::units_are_stored_with_their_members_and_their_stage(&fresh().await).await;
    units::the_most_urgent_unit_comes_first(&fresh().await).await;
    units::a_unit_that_changed_is_not_settled(&fresh().await).await;
    readings::units_are_asked_for_anew(&fresh().await).await;
    readings::generations_keep_what_they_read(&fresh().await).await;
    what_is_decided_is_stored_with_its_stage_or_not_at_all(&fresh().await).await;
    atoms::atoms_are_listed_by_what_they_stand_on(&fresh().await).await;
    atoms::an_atom_shows_if_all_its_evidence_may_be_seen(&fresh().await).await;
    atoms::rejected_and_retracted_atoms_give_no_subjects(&fresh().await).await;
    versions_leave_the_outbox_in_order(&fresh().await).await;
    reviews_wait_for_their_atoms(&fresh().await).await;
}

async fn what_is_decided_is_stored_with_its_stage_or_not_at_all(catalog: &impl Catalog) {
    let extraction = ExtractionRow {
        unit: "u-1".to_owned(),
        members: vec![unit_member(OPS, 1)],
        extractor: ExtractorRef {
            name: "rules".to_owned(),
            version: "1".to_owned(),
            model: None,
        },
        same_as: None,
        generation: None,
        n_atoms: 1,
        rejected: BTreeMap::from([("quote_not_found".to_owned(), 2)]),
        usage: Usage::default(),
        at: at(1),
        offset: Offset(4),
    };
    let rules = ApprovalRules {
        rules: vec![ApprovalRule {
            name: "sure".to_owned(),
            kinds: vec![AtomKind::Decision],
            min_confidence: 0.9,
            subjects: Vec::new(),
            chats: vec![OPS],
            extractors: Vec::new(),
            min_messages: 1,
        }],
        at: Some(at(3)),
        by: Some("analyst".to_owned()),
    };
    let stored = atom("a-1", "billing", &[key(OPS, 1)]);
    let change = KnowledgeChange {
        atoms: vec![stored.clone()],
        versions: vec![stored.atom.clone()],
        subjects: vec![subject("billing")],
        extractions: vec![extraction.clone()],
        rules: Some(rules.clone()),
        ..KnowledgeChange::default()
    };
    let open = Fence::open();
    let late = [moved(Some(3), 5)];
    let refused = catalog.apply_knowledge(&change, &late, &open).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(catalog.stored_atoms(&ids(&["a-1"])).await.must(), []);
    assert_eq!(catalog.outbox(10).await.must(), []);
    let first = [moved(None, 5)];
    catalog.apply_knowledge(&change, &first, &open).await.must();
    assert_eq!(
        catalog.stored_atoms(&ids(&["a-1", "a-2"])).await.must(),
        std::slice::from_ref(&stored)
    );
    let by_unit = catalog.atoms_of_units(&ids(&["u-a-1"])).await.must();
    assert_eq!(by_unit, std::slice::from_ref(&stored));
    assert_eq!(catalog.atoms_on("billing").await.must(), [stored]);
    assert_eq!(
        catalog.extractions_of(&ids(&["u-1"])).await.must(),
        [extraction]
    );
    assert_eq!(
        catalog.subject_rows(&ids(&["billing"])).await.must(),
        [subject("billing")]
    );
    assert_eq!(catalog.approval_rules().await.must(), rules);
}

async fn versions_leave_the_outbox_in_order(catalog: &impl Catalog) {
    let first = atom("a-1", "billing", &[key(OPS, 10)]);
    let mut second = first.clone();
    second.atom.version = 2;
    second.atom.status = AtomStatus::Approved;
    store(
        catalog,
        vec![first.clone(), atom("a-2", "billing", &[key(OPS, 11)])],
    )
    .await;
    store(catalog, vec![second.clone()]).await;
    let outbox = catalog.outbox(10).await.must();
    let order: Vec<_> = outbox
        .iter()
        .map(|(_, a)| (a.id.as_str(), a.version))
        .collect();
    assert_eq!(order, [("a-1", 1), ("a-2", 1), ("a-1", 2)]);
    assert!(outbox.is_sorted_by(|a, b| a.0 < b.0));
    catalog.clear_outbox(outbox[1].0).await.must();
    let left = catalog.outbox(10).await.must();
    assert_eq!(left, [outbox[2].clone()]);
    catalog.clear_outbox(left[0].0).await.must();
    store(catalog, vec![first.clone()]).await;
    let next = catalog.outbox(10).await.must();
    assert!(next[0].0 > left[0].0, "places are not given twice");
    let versions = catalog.atom_versions("a-1").await.must();
    assert_eq!(versions.last(), Some(&second.atom));
}

async fn reviews_wait_for_their_atoms(catalog: &impl Catalog) {
    let review = |offset, atom: &str| WaitingReview {
        offset: Offset(offset),
        atom: atom.to_owned(),
        review: AtomVerdict::Approve,
        owner: "analyst".to_owned(),
        at: at(1),
    };
    let change = KnowledgeChange {
        waiting: vec![review(7, "a-1"), review(3, "a-1"), review(5, "a-2")],
        ..KnowledgeChange::default()
    };
    let open = Fence::open();
    catalog.apply_knowledge(&change, &[], &open).await.must();
    let waiting = catalog.waiting_reviews(&ids(&["a-1"])).await.must();
    assert_eq!(waiting, [review(3, "a-1"), review(7, "a-1")]);
    let change = KnowledgeChange {
        not_waiting: vec![Offset(3), Offset(7)],
        ..KnowledgeChange::default()
    };
    catalog.apply_knowledge(&change, &[], &open).await.must();
    assert_eq!(catalog.waiting_reviews(&ids(&["a-1"])).await.must(), []);
}
