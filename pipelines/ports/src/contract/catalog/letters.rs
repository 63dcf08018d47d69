//! What the dead letters of every catalog keep to.

use telesift_schemas::{DeadLetterCode, LetterState, Offset, Origin, PartitionId, Topic};

use super::at;
use crate::{
    catalog::Catalog,
    dead_letters::{LetterFilter, LetterRow},
};

/// Runs the suite on an empty catalog.
pub(super) async fn run(catalog: &impl Catalog) {
    assert_eq!(
        letters(catalog, &LetterFilter::default(), None, 10).await,
        Vec::<u64>::new()
    );
    assert_eq!(
        catalog
            .letter("screen:telegram-raw:0:0")
            .await
            .expect("an answer"),
        None
    );
    let rows: Vec<LetterRow> = (0..6).map(letter).collect();
    catalog.put_letters(&rows).await.expect("stored");
    catalog.put_letters(&[]).await.expect("stored");
    a_letter_is_kept_whole(catalog).await;
    the_last_record_of_a_letter_counts(catalog).await;
    letters_are_listed_newest_first_and_filtered(catalog).await;
}

fn letter(n: u64) -> LetterRow {
    let (stage, topic, code) = match n % 2 {
        0 => ("screen", Topic::TELEGRAM_RAW, DeadLetterCode::GuestTrap),
        _ => ("index", Topic::MESSAGES, DeadLetterCode::Unreadable),
    };
    let origin = Origin {
        topic,
        partition: PartitionId(3),
        offset: Offset(n * 7),
    };
    LetterRow {
        id: telesift_schemas::DeadLetter::id_of(stage, &origin),
        stage: stage.to_owned(),
        origin,
        code,
        message: "не прочитано".to_owned(),
        attempts: 1,
        first_at: at(n as i64),
        last_at: at(n as i64),
        state: LetterState::Open,
        first: Offset(n * 10),
        last: Offset(n * 10),
    }
}

async fn letters(
    catalog: &impl Catalog,
    filter: &LetterFilter,
    before: Option<u64>,
    limit: usize,
) -> Vec<u64> {
    let found = catalog.letters(filter, before.map(Offset), limit).await;
    let found = found.expect("an answer");
    found.into_iter().map(|l| l.first.0).collect()
}

async fn a_letter_is_kept_whole(catalog: &impl Catalog) {
    for n in 0..6 {
        let wanted = letter(n);
        let found = catalog.letter(&wanted.id).await.expect("an answer");
        assert_eq!(found, Some(wanted));
    }
}

/// Told twice, or out of order after a crash, it is the same.
async fn the_last_record_of_a_letter_counts(catalog: &impl Catalog) {
    let step = |last, state, attempts| LetterRow {
        state,
        attempts,
        code: DeadLetterCode::GuestTimeout,
        message: "again".to_owned(),
        last_at: at(900),
        first: Offset(last),
        last: Offset(last),
        ..letter(2)
    };
    let solved = step(102, LetterState::Solved, 2);
    for row in [
        step(100, LetterState::Retrying, 1),
        solved.clone(),
        step(100, LetterState::Retrying, 1),
        letter(2),
    ] {
        catalog.put_letters(&[row]).await.expect("stored");
    }
    let found = catalog.letter(&solved.id).await.expect("an answer");
    let wanted = LetterRow {
        first: letter(2).first,
        ..solved
    };
    assert_eq!(found, Some(wanted), "and keeps its place in the list");
}

async fn letters_are_listed_newest_first_and_filtered(catalog: &impl Catalog) {
    let all = LetterFilter::default();
    assert_eq!(
        letters(catalog, &all, None, 10).await,
        [50, 40, 30, 20, 10, 0]
    );
    assert_eq!(letters(catalog, &all, Some(40), 2).await, [30, 20]);
    assert_eq!(letters(catalog, &all, Some(0), 2).await, Vec::<u64>::new());
    assert_eq!(letters(catalog, &all, None, 0).await, Vec::<u64>::new());
    let screen = LetterFilter {
        stages: vec!["screen".to_owned()],
        ..LetterFilter::default()
    };
    assert_eq!(letters(catalog, &screen, None, 10).await, [40, 20, 0]);
    assert_eq!(letters(catalog, &screen, Some(40), 1).await, [20]);
    let both = LetterFilter {
        stages: vec!["screen".to_owned(), "index".to_owned()],
        codes: vec![DeadLetterCode::Unreadable, DeadLetterCode::GuestTimeout],
        ..LetterFilter::default()
    };
    assert_eq!(letters(catalog, &both, None, 3).await, [50, 30, 20]);
    let open_traps = LetterFilter {
        codes: vec![DeadLetterCode::GuestTrap],
        states: vec![LetterState::Open],
        ..LetterFilter::default()
    };
    assert_eq!(letters(catalog, &open_traps, None, 10).await, [40, 0]);
    let solved = LetterFilter {
        states: vec![LetterState::Solved],
        ..LetterFilter::default()
    };
    assert_eq!(letters(catalog, &solved, None, 10).await, [20]);
}
