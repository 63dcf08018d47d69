//! Extractors and catalogs that fail: what is held back waits, what cannot be used becomes a dead letter, and nothing is lost or
//! told twice.

use std::{sync::Arc, time::Duration};

use telesift_ports::{
    UnitCatalog as _, catalog,
    extractor::ExtractError,
    memory::{Fault, MemoryCatalog},
};
use telesift_schemas::{DeadLetterCode, Topic, Usage};

use super::{FAIL, MEND, line::Line, published};

fn unavailable() -> ExtractError {
    ExtractError::Unavailable {
        extractor: "scripted".to_owned(),
        reason: "as told".to_owned(),
        retry_after: None,
    }
}

fn unusable() -> ExtractError {
    ExtractError::Unusable {
        extractor: "scripted".to_owned(),
        reason: "as told".to_owned(),
        usage: Usage::default(),
    }
}

#[tokio::test]
async fn what_is_held_back_or_away_waits_without_loss() {
    let line = Line::new().await;
    let until = "2026-01-05T12:00:00Z".parse().unwrap();
    let held = ExtractError::Held {
        until,
        reason: "the budget of today is used up".to_owned(),
    };
    line.extractor
        .calls
        .extend([Fault::Refuse(held), Fault::Refuse(unavailable())]);
    line.say(1, FAIL).await;
    let asked = async |n| line.extractor.asked().len() == n && line.units().await.due == 1;
    line.run(async || {
        let noted = line.flow.catalog.due_units_noted().await;
        asked(1).await && noted.is_some_and(|note| note.contains("the budget of today"))
    })
    .await;
    line.flow.clock.advance(Duration::from_secs(2 * 3_600));
    line.run(async || {
        let noted = line.flow.catalog.due_units_noted().await;
        asked(2).await && noted.is_some_and(|note| note.contains("unavailable"))
    })
    .await;
    line.flow.clock.advance(Duration::from_secs(60));
    line.settle().await;
    assert_eq!(line.extractor.asked().len(), 3);
    assert_eq!(line.everything().await.len(), 1);
    assert_eq!(line.flow.dead_letters().await, []);
}

#[tokio::test]
async fn what_is_held_back_is_tried_again_after_a_restart() {
    let line = Line::new().await;
    let held = ExtractError::Held {
        until: "2026-02-01T00:00:00Z".parse().unwrap(),
        reason: "the budget of today is used up".to_owned(),
    };
    line.extractor.calls.extend([Fault::Refuse(held)]);
    line.say(1, FAIL).await;
    line.run(async || line.flow.catalog.due_units_noted().await.is_some())
        .await;
    assert_eq!(line.extractor.asked().len(), 1);
    // The budget may be another one now.
    line.settle().await;
    assert_eq!(line.extractor.asked().len(), 2);
    assert_eq!(line.everything().await.len(), 1);
}

/// What the unit that waits waits for.
trait Noted {
    async fn due_units_noted(&self) -> Option<String>;
}

impl Noted for telesift_ports::memory::MemoryCatalog {
    async fn due_units_noted(&self) -> Option<String> {
        let due = self.due_units(telesift_schemas::Timestamp::MAX, 1).await;
        due.unwrap().pop().and_then(|unit| unit.note)
    }
}

#[tokio::test]
async fn answers_that_cannot_be_used_become_a_dead_letter_after_a_few_tries_and_a_retry_mends_it() {
    let line = Line::new().await;
    line.extractor
        .calls
        .extend((0..3).map(|_| Fault::Refuse(unusable())));
    line.say(1, FAIL).await;
    line.run(async || {
        line.flow.clock.advance(Duration::from_secs(10));
        line.units().await.failed == 1
    })
    .await;
    assert_eq!(line.extractor.asked().len(), 3);
    assert_eq!(
        line.flow.dead_letters().await,
        [(0, DeadLetterCode::ModelUnusable, 3)]
    );
    line.retry_all().await;
    line.run(async || line.units().await.done == 1).await;
    assert_eq!(line.everything().await.len(), 1);
    line.run(async || line.is_solved().await).await;
}

#[tokio::test]
async fn a_refused_unit_is_a_dead_letter_and_one_that_is_off_is_done() {
    let line = Line::new().await;
    let refused = ExtractError::Refused {
        extractor: "scripted".to_owned(),
        reason: "policy".to_owned(),
    };
    line.extractor.calls.extend([Fault::Refuse(refused)]);
    line.say(1, FAIL).await;
    line.settle().await;
    assert_eq!(
        line.flow.dead_letters().await,
        [(0, DeadLetterCode::ModelRefused, 1)]
    );
    line.extractor
        .calls
        .extend([Fault::Refuse(ExtractError::Off)]);
    line.say(100, MEND).await;
    line.settle().await;
    let units = line.units().await;
    assert_eq!((units.failed, units.done), (1, 1));
    let noted = line.extractions().await;
    assert!(noted.len() == 1 && noted[0].extractor.is_nobody());
}

impl Line {
    /// Asks for another try of every dead letter.
    async fn retry_all(&self) {
        let letters: Vec<telesift_schemas::DeadLetter> = self.topic(Topic::DEAD_LETTERS).await;
        let rows = letters.into_iter().enumerate();
        let rows: Vec<_> = rows
            .map(|(i, letter)| {
                let offset = telesift_schemas::Offset(i as u64);
                telesift_ports::dead_letters::LetterRow::new(letter, offset)
            })
            .collect();
        telesift_ports::dead_letters::request_retries(&*self.flow.log, &rows)
            .await
            .unwrap();
    }

    async fn is_solved(&self) -> bool {
        let letters: Vec<telesift_schemas::DeadLetter> = self.topic(Topic::DEAD_LETTERS).await;
        letters.last().unwrap().state == telesift_schemas::LetterState::Solved
    }
}

#[tokio::test]
async fn a_catalog_that_fails_in_the_middle_changes_nothing() {
    let calm = Line::new().await;
    let rough = Line::new().await;
    let lost = || catalog::Error::Unavailable("as told".to_owned());
    let faults = [
        Fault::Refuse(lost()),
        Fault::Pass,
        Fault::Lose(lost()),
        Fault::Pass,
        Fault::Refuse(lost()),
        Fault::Lose(lost()),
    ];
    rough.flow.catalog.commits.extend(faults);
    for line in [&calm, &rough] {
        line.say(1, FAIL).await;
        line.say(100, MEND).await;
        line.settle().await;
        line.edit(1, 1_767_650_000, "problem: payments fail again #billing")
            .await;
        line.settle().await;
    }
    let atoms = async |line: &Line| {
        let atoms = line.everything().await.into_iter().map(|s| s.atom);
        atoms.collect::<Vec<_>>()
    };
    assert_eq!(atoms(&rough).await, atoms(&calm).await);
    assert_eq!(rough.extractor.asked().len(), calm.extractor.asked().len());
    assert_eq!(published(&rough).await, published(&calm).await);
}

/// A catalog gives a commit a bounded time, and to try it again does not make it smaller.
#[tokio::test]
async fn what_a_long_log_comes_to_is_applied_in_commits_that_end_in_time() {
    let mut line = Line::new().await;
    for post in 0..20_u8 {
        let claim = |n: u8| {
            let letter = |n: u8, times| char::from(b'a' + n).to_string().repeat(times);
            format!("problem: {}{}", letter(post, 30), letter(n, 12))
        };
        let claims: Vec<String> = (0..10).map(claim).collect();
        line.post(-1 - i64::from(post), 1, &claims.join("\n")).await;
    }
    line.settle().await;
    let known = line.everything().await;
    assert_eq!(known.len(), 200);
    let mut slow = MemoryCatalog::new();
    slow.max_changed_atoms = Some(100);
    line.flow.catalog = Arc::new(slow);
    line.settle().await;
    assert_eq!(line.everything().await, known);
    assert_eq!(line.extractor.asked().len(), 20, "once each");
}
