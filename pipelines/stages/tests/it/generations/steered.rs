//! Replays that are cancelled and paused.

use telesift_ports::{
    Replays as _,
    generations::{GenerationState, Part},
    replays::{Order, ReplayError, ReplayState},
};
use telesift_schemas::{Generation, Topic};

use super::{SECOND, STRICT};
use crate::works::{Process, Works, is_ready, until};

#[tokio::test]
async fn a_cancelled_replay_leaves_nothing_behind() {
    let works = Works::new().await;
    works.append_many(0..60).await;
    let process = works.process().await;
    process.until_idle().await;
    let before = (
        works.states("").await,
        works.records(&Topic::MESSAGES).await,
    );
    let id = process
        .runner
        .start(Process::request(Some(STRICT)))
        .await
        .unwrap()
        .id;
    until(async || process.generations.now().made_by(&id).map(|_| ())).await;
    let cancelled = process.runner.steer(&id, Order::Cancel).await;
    // It may have been faster.
    if let Ok(Some(cancelled)) = cancelled {
        assert_eq!(cancelled.state, ReplayState::Cancelled);
    } else {
        process.until_over(&works, &id).await;
        process.runner.retire(SECOND).await.unwrap();
    }
    until(async || {
        let register = process.generations.refresh().await.unwrap();
        let entry = register.made_by(&id)?;
        (entry.state == GenerationState::Retired && entry.removed.len() == Part::OF_MESSAGES.len())
            .then_some(())
    })
    .await;
    assert_eq!(works.sets.there_are(), [Generation::FIRST]);
    let topics = telesift_ports::RecordLog::topics(&*works.log)
        .await
        .unwrap();
    assert!(
        topics.iter().all(|t| !t.topic.as_str().contains("-g")),
        "{topics:?}"
    );
    let strays = |key: &str| key != "generations";
    let left: Vec<_> = works
        .states("")
        .await
        .into_iter()
        .filter(|(k, _)| strays(k))
        .collect();
    let had: Vec<_> = before.0.into_iter().filter(|(k, _)| strays(k)).collect();
    assert_eq!(left, had);
    assert_eq!(works.records(&Topic::MESSAGES).await, before.1);
    let refused = process.runner.switch(&id).await.unwrap_err();
    assert!(
        matches!(refused, ReplayError::Generation { generation: 2, .. }),
        "{refused}"
    );
    // Its number is not given again.
    let again = process.replay(&works, Process::request(Some(STRICT))).await;
    let third = process
        .generations
        .now()
        .made_by(&again.id)
        .unwrap()
        .generation;
    assert_eq!(third, Generation(3));
    process.end().await;
}

#[tokio::test]
async fn a_paused_replay_goes_on_where_it_stood() {
    let works = Works::new().await;
    works.append_many(0..40).await;
    let process = works.process().await;
    process.until_idle().await;
    let id = process
        .runner
        .start(Process::request(None))
        .await
        .unwrap()
        .id;
    let paused = process
        .runner
        .steer(&id, Order::Pause)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(paused.state, ReplayState::Paused);
    let refused = process.runner.switch(&id).await.unwrap_err();
    assert!(
        matches!(refused, ReplayError::State(ReplayState::Paused)),
        "{refused}"
    );
    process.runner.steer(&id, Order::Resume).await.unwrap();
    let done = process.until_over(&works, &id).await;
    assert!(is_ready(&process, &done));
    let n_second = process.generations.now().all.len();
    assert_eq!(n_second, 2, "one generation, however often it was begun");
    process.end().await;
}
