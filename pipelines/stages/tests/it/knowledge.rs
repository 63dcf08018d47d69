//! Messages become atoms with quotes that stand there, once, whatever fails; edits and deletions are followed; readers have
//! the last word; the log gives the same atoms again.

mod ends;
mod failures;
mod line;
mod people;
mod replay;
mod switched;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use telesift_ports::{
    Clock as _, KnowledgeCatalog, StoryCatalog, UnitCatalog as _, extractor::ExtractError,
    knowledge::StoredAtom, memory::Fault,
};
use telesift_schemas::{
    ApprovalRule, Atom, AtomKind, AtomStatus, AtomVerdict, DecisionKind, Generation, StoryAssigned,
    StoryLink, SubjectChange, Topic,
};

use line::{Line, key};

const FAIL: &str = "problem: payments fail #billing";
const MEND: &str = "solution: restart the gateway #billing";

fn reviewed(stored: &StoredAtom, review: AtomVerdict) -> DecisionKind {
    DecisionKind::AtomReviewed {
        atom: stored.atom.id.clone(),
        review,
        owner: "analyst".to_owned(),
    }
}

/// The current version of every atom, by the topic `atoms`.
async fn published(line: &Line) -> Vec<Atom> {
    let mut current = std::collections::BTreeMap::new();
    for atom in line.topic::<Atom>(Topic::ATOMS).await {
        let before: Option<Atom> = current.insert(atom.id.clone(), atom.clone());
        assert!(
            before.is_none_or(|b| b.version + 1 == atom.version),
            "in order"
        );
    }
    current.into_values().collect()
}

#[tokio::test]
async fn a_conversation_becomes_atoms_with_their_quotes() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, "small talk").await;
    line.say(3, MEND).await;
    line.settle().await;
    let atom = line.atom("payments fail").await.atom;
    assert_eq!(
        (atom.kind, atom.status),
        (AtomKind::Problem, AtomStatus::NeedsReview)
    );
    let evidence = &atom.evidence[0];
    assert_eq!(
        (evidence.message, evidence.quote.as_str()),
        (key(7, 1), FAIL)
    );
    assert_eq!((evidence.start, evidence.end), (0, FAIL.len() as u32));
    assert_eq!(
        (atom.version, atom.extractor.name.as_str()),
        (1, "scripted")
    );
    let subjects = line.flow.catalog.subjects(None, None, 10).await.unwrap();
    assert_eq!(subjects.len(), 1);
    assert_eq!(
        (subjects[0].name.as_str(), subjects[0].n_atoms),
        ("billing", 2)
    );
    // One call for the whole conversation, and every version is on the topic.
    assert_eq!(line.extractor.asked().len(), 1);
    let stored: Vec<Atom> = line
        .everything()
        .await
        .into_iter()
        .map(|s| s.atom)
        .collect();
    assert_eq!(published(&line).await, stored);
}

#[tokio::test]
async fn an_edit_derives_anew_and_keeps_what_it_does_not_touch() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, MEND).await;
    line.settle().await;
    let before = line.atom("restart the gateway").await;
    line.edit(
        1,
        1_767_650_000,
        "problem: refunds fail, not payments #billing",
    )
    .await;
    line.settle().await;
    assert_eq!(line.atom("restart the gateway").await.atom, before.atom);
    let edited = line.atom("refunds fail, not payments").await.atom;
    assert_eq!(
        (edited.evidence[0].edit, edited.version),
        (1_767_650_000, 2),
        "much the same words: the same atom"
    );
    line.edit(1, 1_767_650_001, "decision: we wait").await;
    line.settle().await;
    assert_eq!(
        line.atom("we wait").await.atom.status,
        AtomStatus::NeedsReview
    );
    let gone = line.atom("refunds fail, not payments").await;
    assert_eq!(gone.atom.status, AtomStatus::Retracted);
    assert!(
        gone.atom.evidence.is_empty() && !gone.evidence_removed,
        "nobody had looked at it"
    );
}

#[tokio::test]
async fn a_deletion_retracts_and_a_reviewed_atom_is_flagged() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, MEND).await;
    line.settle().await;
    let approve = reviewed(&line.atom("payments fail").await, AtomVerdict::Approve);
    line.decide(approve).await;
    line.settle().await;
    assert_eq!(
        line.atom("payments fail").await.atom.status,
        AtomStatus::Approved
    );
    line.delete(1).await;
    line.settle().await;
    let gone = line.atom("payments fail").await;
    assert_eq!(gone.atom.status, AtomStatus::Retracted);
    assert!(gone.evidence_removed);
    line.delete(2).await;
    line.settle().await;
    let states: Vec<_> = line.titles().await.into_iter().map(|(_, s)| s).collect();
    assert_eq!(states, [AtomStatus::Retracted; 2]);
    let last = line.extractions().await.pop().unwrap();
    assert!(last.members.is_empty() && last.atoms.is_empty());
    assert_eq!(
        line.extractor.asked().len(),
        2,
        "nobody is asked about nothing"
    );
    assert_eq!(
        line.units().await.passed_by,
        [("gone".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn a_restart_and_a_lost_catalog_ask_nobody_and_give_the_same_atoms() {
    let mut line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, MEND).await;
    line.settle().await;
    let edit = AtomVerdict::Edit {
        kind: None,
        title: Some("payments fail on phones".to_owned()),
        content: None,
        subject: Some("payments".to_owned()),
    };
    line.decide(reviewed(&line.atom("payments fail").await, edit))
        .await;
    line.settle().await;
    line.edit(
        2,
        1_767_650_000,
        "solution: restart the gateway twice #billing",
    )
    .await;
    line.say(90, "question: who is on call #duty").await;
    line.settle().await;
    let (n_asked, known) = (line.extractor.asked().len(), line.everything().await);
    let (topic, n_extractions) = (published(&line).await, line.extractions().await.len());
    line.settle().await;
    line.drop_catalog();
    line.settle().await;
    assert_eq!(line.everything().await, known);
    assert_eq!(line.extractor.asked().len(), n_asked);
    assert_eq!(line.extractions().await.len(), n_extractions);
    assert_eq!(published(&line).await, topic, "no version twice");
}

/// A chat tells the story once more.
async fn repost(line: &Line, chat: i64) {
    line.post(chat, 1, FAIL).await;
    let assigned = StoryAssigned {
        v: StoryAssigned::VERSION,
        message: key(chat, 1),
        edit: 0,
        story: "s1".to_owned(),
        first: key(-1, 1),
        how: StoryLink::Exact,
        similarity: 1.0,
        event_time: line.flow.clock.now(),
        first_time: None,
        joined_time: None,
        origin: telesift_schemas::Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: telesift_schemas::PartitionId(0),
            offset: telesift_schemas::Offset(0),
        },
    };
    line.flow
        .catalog
        .add_story_members(telesift_schemas::Generation::FIRST, &[assigned])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hundred_reposts_are_one_call_one_atom_and_a_hundred_sources() {
    let line = Line::new().await;
    for chat in 1..=100 {
        repost(&line, -chat).await;
    }
    line.settle().await;
    assert_eq!(line.extractor.asked().len(), 1);
    let known = line.everything().await;
    assert_eq!(known.len(), 1);
    let mut messages: Vec<_> = known[0].messages().collect();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), 100);
    assert_eq!(
        line.extractions().await.len(),
        100,
        "each of them is recorded"
    );
    let units = line.units().await;
    assert_eq!(
        (units.done, units.passed_by),
        (100, [("same_story".to_owned(), 99)].into())
    );
}

#[tokio::test]
async fn claims_that_say_the_same_share_an_atom_and_names_that_mean_the_same_a_subject() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.settle().await;
    line.say(100, "problem: payments fail! #biling").await;
    line.say(200, "problem: the lift stands still #lift").await;
    line.settle().await;
    let atom = line.atom("payments fail").await;
    assert_eq!((atom.claims.len(), atom.atom.evidence.len()), (2, 2));
    assert_eq!(line.everything().await.len(), 2);
    let subjects = line.flow.catalog.subjects(None, None, 10).await.unwrap();
    let names: Vec<_> = subjects.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["billing", "lift"]);
    // What one of them loses, the other still has.
    line.delete(1).await;
    line.settle().await;
    let atom = line.atom("payments fail!").await.atom;
    assert_eq!(
        (atom.status, atom.evidence.len()),
        (AtomStatus::NeedsReview, 1)
    );
}

#[tokio::test]
async fn readers_merge_reject_and_rename_and_rules_approve_what_comes_later() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, MEND).await;
    line.say(3, "question: why #gateway").await;
    line.settle().await;
    let (problem, question) = (line.atom("payments fail").await, line.atom("why").await);
    line.decide(reviewed(
        &line.atom("restart the gateway").await,
        AtomVerdict::Reject,
    ))
    .await;
    let into = problem.atom.id.clone();
    line.decide(reviewed(&question, AtomVerdict::Merge { into }))
        .await;
    let (billing, gateway) = (subject(&problem), subject(&question));
    let owner = || "analyst".to_owned();
    let name = "Payments".to_owned();
    line.decide(DecisionKind::SubjectChanged {
        subject: billing.clone(),
        change: SubjectChange::Rename { name },
        owner: owner(),
    })
    .await;
    line.decide(DecisionKind::SubjectChanged {
        subject: gateway,
        change: SubjectChange::Merge {
            into: billing.clone(),
        },
        owner: owner(),
    })
    .await;
    line.decide(DecisionKind::ApprovalRulesSet {
        rules: vec![ApprovalRule {
            name: "decisions".to_owned(),
            kinds: vec![AtomKind::Decision],
            min_confidence: 0.7,
            subjects: Vec::new(),
            chats: Vec::new(),
            extractors: Vec::new(),
            min_messages: 1,
        }],
        owner: owner(),
    })
    .await;
    line.settle().await;
    line.say(100, "decision: we move #gateway").await;
    line.settle().await;
    let approved = line.atom("we move").await;
    assert_eq!(approved.atom.status, AtomStatus::Approved);
    assert_eq!(approved.review.as_ref().unwrap().by, "rule:decisions");
    assert_eq!(
        subject(&approved),
        billing,
        "what comes later follows the merge"
    );
    let merged = line.atom("payments fail").await;
    assert_eq!(
        (
            merged.atom.evidence.len(),
            merged.atom.subject.unwrap().name.as_str()
        ),
        (2, "Payments")
    );
    assert_eq!(line.atom("why").await.merged_into, Some(merged.atom.id));
    assert_eq!(
        line.atom("restart the gateway").await.atom.status,
        AtomStatus::Rejected
    );
    // A reader's word outlives what is extracted later.
    line.edit(
        2,
        1_767_650_000,
        "solution: restart the gateway once #billing",
    )
    .await;
    line.settle().await;
    assert_eq!(
        line.atom("restart the gateway").await.atom.status,
        AtomStatus::Rejected
    );
}

fn subject(stored: &StoredAtom) -> String {
    stored.atom.subject.as_ref().unwrap().id.clone()
}

#[tokio::test]
async fn a_review_waits_for_its_atom() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.settle().await;
    let atom = line.everything().await.remove(0);
    // The same log, but for the review standing before the extraction.
    let late = Line::new().await;
    late.decide(reviewed(&atom, AtomVerdict::Approve)).await;
    late.settle().await;
    late.say(1, FAIL).await;
    late.settle().await;
    assert_eq!(
        late.atom("payments fail").await.atom.status,
        AtomStatus::Approved
    );
}

#[tokio::test]
async fn a_story_is_read_where_somebody_may_read_it() {
    let line = Line::new().await;
    let off = Fault::Refuse(ExtractError::Off);
    line.extractor.calls.extend([off]);
    repost(&line, -1).await;
    line.settle().await;
    assert!(line.everything().await.is_empty());
    repost(&line, -2).await;
    line.settle().await;
    assert_eq!(line.everything().await.len(), 1);
    let passed_by = async || line.units().await.passed_by;
    let off = [("off".to_owned(), 1)].into();
    assert_eq!(passed_by().await, off);
    // The same when the catalog is made anew of the log.
    let mut line = line;
    line.drop_catalog();
    line.settle().await;
    assert_eq!(line.units().await.passed_by, off);
}

/// A replay may run in another process than the stage: nothing in this one tells of the units it marks.
#[tokio::test]
async fn what_another_process_makes_due_is_taken_up_soon() {
    let mut line = Line::new().await;
    line.say(1, FAIL).await;
    line.settle().await;
    line.max_pause = Duration::from_secs(3_600);
    *line.extractor.version.lock().unwrap() = Some("2".to_owned());
    let catalog = line.flow.catalog.clone();
    let units = catalog.units_of(&[key(7, 1)]).await.unwrap();
    let unit = [units[0].1.clone()];
    let n_asked = || line.extractor.asked().len();
    let marked = AtomicU32::new(0);
    // Once everything stands still.
    line.run(async || {
        let n = marked.fetch_add(1, Ordering::SeqCst);
        if n == 20 {
            let second = Generation(2);
            catalog.read_again(&unit, second).await.unwrap();
        }
        n_asked() > 1
    })
    .await;
}
