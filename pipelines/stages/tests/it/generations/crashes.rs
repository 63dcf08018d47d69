//! A process that dies at any commit of a replay or a switch: the next one comes to the same end.

use std::sync::Arc;

use telesift_ports::{
    Replays,
    generations::GenerationState,
    memory::record_log::Fault,
    replays::{Bound, ReplayCatalog, ReplayRequest},
};
use telesift_schemas::{Cursor, Generation, Offset, PartitionId, Topic};

use super::{SECOND, STRICT};
use crate::works::{DyingLog, Process, Works, is_ready};

/// What a replay comes to: messages and stories of both generations, and the messages shown after a switch.
#[derive(Debug, PartialEq)]
struct End {
    messages: Vec<Vec<(bytes::Bytes, bytes::Bytes)>>,
    shown: Vec<telesift_schemas::Message>,
}

async fn history() -> Works {
    let works = Works::new().await;
    works.append_many(0..24).await;
    let process = works.process().await;
    process.until_idle().await;
    process.end().await;
    works
}

/// Goes on in a new process to the end of the replay, and switches.
async fn finish(works: &Works, id: &str) -> End {
    let process = works.process().await;
    let done = process.until_over(works, id).await;
    assert!(is_ready(&process, &done), "{done:?}");
    process.runner.switch(id).await.unwrap();
    process.until_idle().await;
    works.balanced().await;
    let register = process.generations.now();
    assert_eq!((register.live, register.all.len()), (SECOND, 2));
    let shown = process.shown().await;
    process.end().await;
    End {
        messages: works.contents(&Topic::MESSAGES.of(SECOND)).await,
        shown,
    }
}

/// Queues a replay without running it.
async fn queued(works: &Works) -> String {
    let process = works.process().await;
    let id = process
        .runner
        .start(Process::request(Some(STRICT)))
        .await
        .unwrap()
        .id;
    process.kill().await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_dies_anywhere_ends_the_same() {
    let works = history().await;
    let id = queued(&works).await;
    let whole = finish(&works, &id).await;
    assert!(whole.messages.iter().all(|p| p.len() > 5));
    let mut n_deaths = 0;
    for dies_at in 0..200 {
        for is_after in [false, true] {
            let works = history().await;
            let id = queued(&works).await;
            let log = Arc::new(DyingLog::new(works.log.clone(), dies_at, is_after));
            let process = works.process_on(log.clone()).await;
            let has_died = tokio::select! {
                () = log.dead() => true,
                _ = process.until_over(&works, &id) => false,
            };
            process.kill().await;
            n_deaths += usize::from(has_died);
            let end = finish(&works, &id).await;
            assert_eq!(end, whole, "died at commit {dies_at}, after it: {is_after}");
            if !has_died {
                // Beyond the last commit there is nothing to die at.
                assert!(n_deaths > 20, "{n_deaths}");
                return;
            }
        }
    }
    panic!("a replay of 24 records takes less than 200 commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_dies_is_done_or_not() {
    for is_after in [false, true] {
        let works = history().await;
        let process = works.process().await;
        let done = process.replay(&works, Process::request(Some(STRICT))).await;
        process.until_idle().await;
        process.end().await;

        let log = Arc::new(DyingLog::at_register(works.log.clone(), is_after));
        let process = works.process_on(log.clone()).await;
        tokio::select! {
            () = log.dead() => {}
            switched = process.runner.switch(&done.id) => panic!("{switched:?}"),
        }
        process.kill().await;

        let process = works.process().await;
        let register = process.generations.now();
        let expected = if is_after { SECOND } else { Generation::FIRST };
        assert_eq!(register.live, expected);
        assert!(
            register
                .all
                .iter()
                .all(|e| e.state == GenerationState::Ready)
        );
        let is_strict = process
            .shown()
            .await
            .iter()
            .all(|m| m.screen.as_ref().unwrap().rules.starts_with("strict@2+"));
        assert_eq!(is_strict, is_after);
        // Asking again does what is left to do.
        process.runner.switch(&done.id).await.unwrap();
        assert_eq!(process.generations.now().live, SECOND);
        assert!(works.catalog.replay(&done.id).await.unwrap().is_some());
        process.end().await;
    }
}

/// What is taken over and what is screened anew, on a log that loses now the state, now the answer, now all of a commit, and
/// remembers no identities.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_transactions_a_replay_loses_and_repeats_nothing() {
    const FAULTS: [Option<Fault>; 4] = [
        None,
        Some(Fault::LoseState),
        Some(Fault::LoseAnswer),
        Some(Fault::LoseAll),
    ];
    for shift in 0..FAULTS.len() {
        let works = Works::without_transactions().await;
        let process = works.process().await;
        works.append_many(0..60).await;
        process.until_idle().await;
        let epoch = telesift_ports::RecordLog::epoch(&*works.log).clone();
        let from = Cursor {
            generation: Generation::FIRST,
            epoch,
            next: vec![(PartitionId(0), Offset(12)), (PartitionId(1), Offset(7))],
        };
        let request = ReplayRequest {
            from: Bound::Cursor(from),
            ..Process::request(None)
        };
        let id = process.runner.start(request).await.unwrap().id;
        works.log.forget_identities();
        let faults = (0..12).map(|n| FAULTS[(n / 2 + n % 2 + shift) % FAULTS.len()]);
        works.log.fail_next(faults);
        let done = process.until_over(&works, &id).await;
        assert!(is_ready(&process, &done), "{done:?}");
        let first = works.contents(&Topic::MESSAGES).await;
        assert!(first.iter().all(|p| p.len() > 15));
        assert_eq!(works.contents(&Topic::MESSAGES.of(SECOND)).await, first);
        works.balanced().await;
        let shown = process.shown().await;
        process.runner.switch(&id).await.unwrap().unwrap();
        works.append_many(60..70).await;
        process.until_idle().await;
        assert!(process.shown().await.len() > shown.len());
        process.end().await;
    }
}
