//! The rows of windows belong to a generation: made anew they are the same, and after a switch they are those of its messages.

use std::collections::BTreeMap;

use telesift_ports::{
    Replays, WindowCatalog,
    replays::{ReplayRequest, ReplayStage},
    windows::{SumsFilter, SumsRow, ToldFilter},
};
use telesift_schemas::{Class, Generation, Message};
use telesift_windows::Told;

use super::{SECOND, STRICT};
use crate::works::{Process, Works, is_ready};

/// Everything that questions over windows are answered from.
async fn rows(works: &Works, of: Generation) -> (Vec<Told>, Vec<SumsRow>) {
    let told = ToldFilter::default();
    let told = works.catalog.told_between(of, &told, None, usize::MAX);
    let sums = SumsFilter {
        width: Some(1),
        per_chat: true,
        ..SumsFilter::default()
    };
    let sums = works.catalog.minute_sums(of, &sums).await.unwrap();
    (told.await.unwrap(), sums)
}

/// Messages of each class, from the sums.
fn classes(sums: &[SumsRow]) -> [i64; 3] {
    sums.iter().fold([0; 3], |all, row| {
        std::array::from_fn(|i| all[i] + row.sums.classes[i])
    })
}

/// The same of current versions.
fn classes_of(messages: &[Message]) -> [i64; 3] {
    let current: BTreeMap<_, _> = messages.iter().map(|m| (m.id, m)).collect();
    let mut classes = [0; 3];
    for message in current.values() {
        classes[message.screen.as_ref().unwrap().class as usize] += 1;
    }
    classes
}

fn request() -> ReplayRequest {
    ReplayRequest {
        stage: ReplayStage::Windows,
        ..Process::request(None)
    }
}

#[tokio::test]
async fn made_anew_the_rows_of_windows_are_the_same() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..80).await;
    process.until_idle().await;
    let first = rows(&works, Generation::FIRST).await;
    assert!(first.0.len() > 40, "{}", first.0.len());
    let states = works.catalog_states().await;

    let done = process.replay(&works, request()).await;
    assert!(is_ready(&process, &done), "{done:?}");
    assert_eq!(done.progress.processed(), done.spec.total());
    assert!(done.progress.result.ledger.judged > 40);
    let parts = process.generations.now().entry(SECOND).unwrap().parts;
    assert_eq!(
        (parts.messages, parts.store, parts.stories, parts.windows),
        (
            Generation::FIRST,
            Generation::FIRST,
            Generation::FIRST,
            SECOND
        )
    );
    assert_eq!(rows(&works, SECOND).await, first);
    for (key, state) in states {
        assert_eq!(works.catalog_states().await[&key], state, "{key:?}");
    }
    // Both follow, whichever is live; given up, it leaves nothing behind.
    process.runner.switch(&done.id).await.unwrap().unwrap();
    works.append_many(80..120).await;
    process.until_idle().await;
    let second = rows(&works, SECOND).await;
    assert!(second.0.len() > first.0.len());
    assert_eq!(rows(&works, Generation::FIRST).await, second);
    process.runner.switch_back(&done.id).await.unwrap().unwrap();
    process.runner.retire(SECOND).await.unwrap();
    crate::works::until(async || {
        let register = process.generations.refresh().await.unwrap();
        (!register.entry(SECOND)?.removed.is_empty()).then_some(())
    })
    .await;
    assert_eq!(rows(&works, SECOND).await, (Vec::new(), Vec::new()));
    assert_eq!(rows(&works, Generation::FIRST).await, second);
    process.end().await;
}

#[tokio::test]
async fn under_other_rules_windows_count_the_classes_of_their_generation() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..100).await;
    process.until_idle().await;
    let done = process.replay(&works, Process::request(Some(STRICT))).await;
    assert!(is_ready(&process, &done), "{done:?}");
    for of in [Generation::FIRST, SECOND] {
        let (_, sums) = rows(&works, of).await;
        let messages = works.messages(of).await;
        assert_eq!(classes(&sums), classes_of(&messages), "{of:?}");
    }
    let signals = |sums: &[SumsRow]| classes(sums)[Class::Signal as usize];
    let (first, second) = (
        rows(&works, Generation::FIRST).await,
        rows(&works, SECOND).await,
    );
    assert!(signals(&first.1) > signals(&second.1) + 10);
    // Made anew on top of the strict one: of its messages.
    process.runner.switch(&done.id).await.unwrap().unwrap();
    let third = process.replay(&works, request()).await;
    assert!(is_ready(&process, &third), "{third:?}");
    let live = process.generations.now().live_parts();
    assert_eq!(live.windows, SECOND);
    assert_eq!(rows(&works, Generation(3)).await, second);
    process.end().await;
}
