//! The screen: exactly once per input, one bad record stops nobody.

use std::time::Duration;

use telesift_ports::chain::ChainError;
use telesift_schemas::{DeadLetterCode, Topic};
use telesift_stages::{StageError, screen::ChainFactory};

use crate::flow::{Flow, conserved, message, scripted, with_hanging_threads};

const SOON: Duration = Duration::from_millis(150);
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn every_record_becomes_a_message_a_skip_or_a_dead_letter() {
    let flow = Flow::new().await;
    let values = [
        message(1, 0, "a"),
        r#"{"skip":"no_message"}"#.to_owned(),
        "fail".to_owned(),
        "filter".to_owned(),
        r#"{"fail":{"code":"unreadable","message":"no payload"}}"#.to_owned(),
        "no json".to_owned(),
        message(2, 0, "b"),
    ];
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    flow.screen(100, NEVER).await.unwrap();

    assert_eq!(flow.screened().await, [0, 6]);
    let letters = flow.dead_letters().await;
    assert_eq!(
        letters,
        [
            (2, DeadLetterCode::GuestError, 1),
            (4, DeadLetterCode::Unreadable, 1),
            (5, DeadLetterCode::GuestOutput, 1)
        ]
    );
    let counters = flow.screen_state().await.counters;
    assert_eq!(
        (counters.received, counters.emitted, counters.dead_lettered),
        (7, 2, 3)
    );
    assert_eq!(
        (counters.skipped["no_message"], counters.skipped["filtered"]),
        (1, 1)
    );
    assert!(conserved(&counters));
}

#[tokio::test]
async fn a_bad_record_at_any_position_leaves_its_neighbours_alone() {
    for bad in 0..5 {
        let flow = Flow::new().await;
        let mut values: Vec<String> = (0..5).map(|i| message(i, 0, "x")).collect();
        values[bad] = "trap".to_owned();
        flow.append(Topic::TELEGRAM_RAW, &values).await;
        flow.screen(5, NEVER).await.unwrap();
        let good: Vec<u64> = (0..5).filter(|i| *i != bad as u64).collect();
        assert_eq!(flow.screened().await, good);
        assert_eq!(
            flow.dead_letters().await,
            [(bad as u64, DeadLetterCode::GuestTrap, 1)]
        );
    }
}

#[tokio::test]
async fn a_version_seen_before_is_skipped_and_an_edit_is_not() {
    let flow = Flow::new().await;
    let values = [
        message(1, 0, "a"),
        message(1, 0, "a again"),
        message(1, 99, "edited"),
    ];
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    flow.screen(1, NEVER).await.unwrap();
    assert_eq!(flow.screened().await, [0, 2]);
    assert_eq!(flow.screen_state().await.counters.skipped["duplicate"], 1);
}

#[tokio::test]
async fn resumes_from_the_committed_position() {
    let flow = Flow::new().await;
    for id in 0..10 {
        flow.append(Topic::TELEGRAM_RAW, &[message(id, 0, "x")])
            .await;
        flow.screen(3, NEVER).await.unwrap();
    }
    assert_eq!(flow.screened().await, (0..10).collect::<Vec<u64>>());
    assert_eq!(flow.screen_state().await.counters.received, 10);
}

/// Each attempt is a process of its own in real life: here a runtime of its own, because the hanging thread stays.
#[test]
fn a_record_that_never_returns_is_found_by_running_its_range_one_by_one() {
    with_hanging_threads(async {
        let flow = Flow::new().await;
        let mut values: Vec<String> = (0..6).map(|i| message(i, 0, "x")).collect();
        values[3] = "hang".to_owned();
        flow.append(Topic::TELEGRAM_RAW, &values).await;

        let mut n_restarts = 0;
        while let Err(error) = flow.screen(6, SOON).await {
            assert!(matches!(error, StageError::Hung { .. }), "{error}");
            n_restarts += 1;
            assert!(n_restarts < 10, "the hanging record is never condemned");
        }
        assert_eq!(n_restarts, 3, "once with its range, twice alone");
        assert_eq!(flow.screened().await, [0, 1, 2, 4, 5]);
        assert_eq!(
            flow.dead_letters().await,
            [(3, DeadLetterCode::GuestTimeout, 2)]
        );
        let counters = flow.screen_state().await.counters;
        assert_eq!(
            (counters.received, counters.emitted, counters.dead_lettered),
            (6, 5, 1)
        );

        flow.append(Topic::TELEGRAM_RAW, &[message(9, 0, "after")])
            .await;
        flow.screen(6, NEVER).await.unwrap();
        assert_eq!(flow.screened().await, [0, 1, 2, 4, 5, 6]);
    });
}

#[tokio::test]
async fn whatever_else_runs_here_goes_on_while_a_chain_is_built() {
    let flow = Flow::new().await;
    flow.append(Topic::TELEGRAM_RAW, &[message(1, 0, "a")])
        .await;
    let (begun, mut building) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, may_end) = std::sync::mpsc::channel();
    let may_end = std::sync::Mutex::new(may_end);
    let chains: ChainFactory = std::sync::Arc::new(move |set| {
        begun.send(()).unwrap();
        let answered = may_end
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_secs(30));
        answered.map_err(|_| ChainError("nothing else ran meanwhile".to_owned()))?;
        scripted()(set)
    });
    // This runtime has one thread: were the chain built on it, nobody would answer, and no lease be prolonged.
    let other = tokio::spawn(async move {
        building.recv().await.unwrap();
        go_on.send(()).unwrap();
    });
    let book = flow.book().await;
    flow.screen_by(book, chains, 10, NEVER).await.unwrap();
    other.await.unwrap();
    assert_eq!(flow.screened().await, [0]);
}
