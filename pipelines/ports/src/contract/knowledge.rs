//! What every catalog keeps to with what is known.

use std::{collections::BTreeMap, future::Future};

use telesift_schemas::{
    ApprovalRule, Atom, AtomKind, AtomStatus, AtomVerdict, Chat, ChatId, ChatKind, Class, Evidence,
    ExtractorRef, MessageKey, Offset, Origin, PartitionId, SubjectRef, Timestamp, Topic,
    TopicPartition, UnitMember, Usage,
};

use crate::{
    catalog::{Catalog, Error},
    knowledge::{
        ApprovalRules, AtomClaim, AtomFilter, AtomPosition, AtomSource, ExtractionRow,
        KnowledgeChange, Moved, StoredAtom, SubjectPosition, SubjectRow, UnitCounts, UnitRow,
        UnitState, WaitingReview,
    },
    leases::Fence,
    ledger::{StageKey, StageState},
};

const OPS: ChatId = ChatId(-1_001_000_000_001);
const CITY: ChatId = ChatId(-1_001_000_000_002);

/// Runs the suite; `fresh` gives an empty catalog each time.
pub(super) async fn run<C, F, Fut>(fresh: &F)
where
    C: Catalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    units_are_stored_with_their_members_and_their_stage(&fresh().await).await;
    the_most_urgent_unit_comes_first(&fresh().await).await;
    a_unit_that_changed_is_not_settled(&fresh().await).await;
    units_are_asked_for_anew(&fresh().await).await;
    what_is_decided_is_stored_with_its_stage_or_not_at_all(&fresh().await).await;
    atoms_are_listed_by_what_they_stand_on(&fresh().await).await;
    an_atom_shows_if_all_its_evidence_may_be_seen(&fresh().await).await;
    rejected_and_retracted_atoms_give_no_subjects(&fresh().await).await;
    versions_leave_the_outbox_in_order(&fresh().await).await;
    reviews_wait_for_their_atoms(&fresh().await).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).expect("a time in range")
}

fn key(chat: ChatId, message_id: i64) -> MessageKey {
    MessageKey { chat, message_id }
}

fn origin(topic: Topic, offset: u64) -> Origin {
    Origin {
        topic,
        partition: PartitionId(1),
        offset: Offset(offset),
    }
}

fn unit_member(chat: ChatId, message_id: i64) -> UnitMember {
    UnitMember {
        message: key(chat, message_id),
        edit: 0,
        event_time: at(message_id),
        origin: origin(Topic::TELEGRAM_RAW, message_id.unsigned_abs()),
    }
}

fn unit(id: &str, class: Class, messages: &[i64]) -> UnitRow {
    UnitRow {
        id: id.to_owned(),
        chat: Chat {
            id: OPS,
            title: Some("Ops".to_owned()),
            kind: ChatKind::Supergroup,
            username: None,
        },
        members: messages.iter().map(|m| unit_member(OPS, *m)).collect(),
        class,
        newest: at(messages.iter().copied().max().unwrap_or(0)),
        origin: origin(Topic::UNITS, messages[0].unsigned_abs()),
        revision: 1,
        state: UnitState::Due,
        attempts: 0,
        not_before: None,
        note: None,
        again: None,
    }
}

fn moved(expected: Option<u64>, next: u64) -> Moved {
    Moved {
        key: StageKey {
            stage: "knowledge".to_owned(),
            input: TopicPartition::new(Topic::EXTRACTIONS, PartitionId(0)),
        },
        expected: expected.map(Offset),
        state: StageState {
            next: Offset(next),
            ..StageState::default()
        },
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// An atom on `subject` whose evidence are these messages, sent at their ids.
fn atom(id: &str, subject: &str, messages: &[MessageKey]) -> StoredAtom {
    let evidence: Vec<Evidence> = messages
        .iter()
        .map(|message| Evidence {
            message: *message,
            edit: 0,
            quote: "слова".to_owned(),
            start: 0,
            end: 5,
            origin: origin(Topic::TELEGRAM_RAW, message.message_id.unsigned_abs()),
        })
        .collect();
    let extractor = ExtractorRef {
        name: "rules".to_owned(),
        version: "1".to_owned(),
        model: None,
    };
    let times = messages.iter().map(|m| at(m.message_id));
    let (first_at, last_at) = (times.clone().min(), times.max());
    let (first_at, last_at) = (first_at.unwrap_or_default(), last_at.unwrap_or_default());
    let claim = AtomClaim {
        unit: format!("u-{id}"),
        kind: AtomKind::Problem,
        title: format!("title of {id}"),
        content: "зміст".to_owned(),
        confidence: 0.75,
        subject: Some(subject.to_owned()),
        evidence: evidence.clone(),
        links: Vec::new(),
        extractor: extractor.clone(),
        first_at,
        last_at,
    };
    StoredAtom {
        atom: Atom {
            v: Atom::VERSION,
            id: id.to_owned(),
            kind: claim.kind,
            title: claim.title.clone(),
            content: claim.content.clone(),
            confidence: claim.confidence,
            status: AtomStatus::NeedsReview,
            subject: Some(SubjectRef {
                id: subject.to_owned(),
                name: subject.to_uppercase(),
            }),
            evidence,
            links: Vec::new(),
            version: 1,
            extractor,
            unit: claim.unit.clone(),
            updated_at: at(0),
        },
        claims: vec![claim],
        review: None,
        merged_into: None,
        sources: Vec::new(),
        evidence_removed: false,
        stood_in: Vec::new(),
        first_at,
        last_at,
    }
}

fn subject(id: &str) -> SubjectRow {
    SubjectRow {
        id: id.to_owned(),
        key: id.to_owned(),
        name: id.to_uppercase(),
        merged_into: None,
    }
}

async fn store(catalog: &impl Catalog, atoms: Vec<StoredAtom>) {
    let change = KnowledgeChange {
        versions: atoms.iter().map(|stored| stored.atom.clone()).collect(),
        subjects: vec![subject("billing"), subject("delivery")],
        atoms,
        ..KnowledgeChange::default()
    };
    let open = Fence::open();
    catalog.apply_knowledge(&change, &[], &open).await.must();
}

async fn units_are_stored_with_their_members_and_their_stage(catalog: &impl Catalog) {
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

async fn the_most_urgent_unit_comes_first(catalog: &impl Catalog) {
    let mut held = unit("u-5", Class::Signal, &[50]);
    held.not_before = Some(at(100));
    let mut done = unit("u-6", Class::Signal, &[60]);
    done.state = UnitState::Done;
    let all = [
        unit("u-1", Class::WeakSignal, &[40]),
        unit("u-2", Class::Signal, &[10]),
        unit("u-3", Class::Signal, &[20]),
        unit("u-4", Class::WeakSignal, &[30]),
        held,
        done,
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
    let counts = UnitCounts {
        due: 5,
        done: 1,
        failed: 0,
    };
    assert_eq!(catalog.unit_counts().await.must(), counts);
}

async fn a_unit_that_changed_is_not_settled(catalog: &impl Catalog) {
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

async fn units_are_asked_for_anew(catalog: &impl Catalog) {
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
    catalog.read_again(&asked, "r-1").await.must();
    assert_eq!(catalog.n_read_again("r-1").await.must(), 2);
    assert_eq!(catalog.n_read_again("r-2").await.must(), 0);
    let due = catalog.due_units(at(9), 9).await.must();
    let due: Vec<_> = due
        .iter()
        .map(|u| (u.id.as_str(), u.again.as_deref()))
        .collect();
    assert_eq!(due, [("u-2", Some("r-1")), ("u-1", Some("r-1"))]);

    // What was worked on meanwhile is not the answer that is wanted; what waits goes on wanting one.
    assert!(!catalog.settle_unit(&done[0]).await.must());
    let first = catalog.units(&ids(&["u-1"])).await.must().remove(0);
    let later = UnitRow {
        not_before: Some(at(100)),
        ..first.clone()
    };
    assert!(catalog.settle_unit(&later).await.must());
    assert_eq!(catalog.n_read_again("r-1").await.must(), 2);
    assert!(catalog.settle_unit(&end(&first)).await.must());
    assert_eq!(catalog.n_read_again("r-1").await.must(), 1);
    catalog.end_reading("r-1").await.must();
    assert_eq!(catalog.n_read_again("r-1").await.must(), 0);
    let second = catalog.units(&ids(&["u-2"])).await.must().remove(0);
    assert_eq!((second.state, second.again), (UnitState::Due, None));
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
        replay: None,
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

async fn listed(
    catalog: &impl Catalog,
    filter: &AtomFilter,
    after: Option<&AtomPosition>,
    limit: usize,
) -> Vec<String> {
    let found = catalog.atoms(filter, after, limit).await.must();
    found.into_iter().map(|stored| stored.atom.id).collect()
}

async fn atoms_are_listed_by_what_they_stand_on(catalog: &impl Catalog) {
    let mut rejected = atom("a-4", "billing", &[key(OPS, 40)]);
    rejected.atom.status = AtomStatus::Rejected;
    let mut merged = atom("a-5", "billing", &[key(OPS, 50)]);
    merged.merged_into = Some("a-1".to_owned());
    let mut told = atom("a-3", "delivery", &[key(OPS, 30)]);
    told.atom.kind = AtomKind::Decision;
    told.sources = vec![AtomSource {
        unit: "u-7".to_owned(),
        same_as: "u-a-3".to_owned(),
        messages: vec![key(CITY, 7)],
    }];
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
    let by_source = catalog.atoms_of_units(&ids(&["u-7"])).await.must();
    assert_eq!(by_source[0].atom.id, "a-3");
}

async fn an_atom_shows_if_all_its_evidence_may_be_seen(catalog: &impl Catalog) {
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

async fn rejected_and_retracted_atoms_give_no_subjects(catalog: &impl Catalog) {
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

/// The value of a call that must succeed.
trait Must<T> {
    fn must(self) -> T;
}

impl<T> Must<T> for crate::catalog::Result<T> {
    fn must(self) -> T {
        self.expect("the catalog answers")
    }
}
