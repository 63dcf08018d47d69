//! Pause, resume, cancel, and the bound of the queue.

use telesift_ports::{
    Replays,
    replays::{Order, ReplayError, ReplayState},
};
use telesift_stages::replay::ReplayConfig;

use super::{
    desk::{inline, quick},
    hundred,
};

#[tokio::test]
async fn a_paused_replay_keeps_its_place_and_goes_on() {
    let desk = hundred().await;
    let request = desk.request(inline(0.20, 0.90));
    let whole = desk.run_through(&request).await;
    let gated = desk.gated(2).await;
    let id = gated.runner.start(request).await.unwrap().id;
    let run = gated.run();
    gated.until_waiting().await;
    let paused = gated
        .runner
        .steer(&id, Order::Pause)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(paused.state, ReplayState::Paused);
    gated.let_through(1);
    gated.until_processed(&id, 21).await; // the batch in flight is kept
    let again = gated.runner.steer(&id, Order::Pause).await.unwrap();
    assert_eq!(again.unwrap().state, ReplayState::Paused);

    gated.let_through(1_000);
    let resumed = gated.runner.steer(&id, Order::Resume).await.unwrap();
    assert!(!resumed.unwrap().state.is_over());
    let done = gated.until_over(&id).await;
    assert_eq!(done.progress, whole.progress);
    gated.end(run).await;
    for order in [Order::Pause, Order::Resume, Order::Cancel] {
        let refused = gated.runner.steer(&id, order).await;
        assert!(
            matches!(refused, Err(ReplayError::State(ReplayState::Done))),
            "{refused:?}"
        );
    }
    assert!(
        gated
            .runner
            .steer("x", Order::Pause)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_cancelled_replay_gives_way_to_the_next() {
    let desk = hundred().await;
    let gated = desk.gated(1).await;
    let first = gated
        .runner
        .start(desk.request(inline(0.2, 0.9)))
        .await
        .unwrap()
        .id;
    let second = gated
        .runner
        .start(desk.request(inline(0.3, 0.9)))
        .await
        .unwrap()
        .id;
    let run = gated.run();
    gated.until_waiting().await;
    assert_eq!(desk.status(&second).await.state, ReplayState::Queued);
    let cancelled = gated.runner.steer(&first, Order::Cancel).await.unwrap();
    assert_eq!(cancelled.unwrap().state, ReplayState::Cancelled);
    gated.let_through(1_000);
    let done = gated.until_over(&second).await;
    assert_eq!(
        (done.state, done.progress.processed()),
        (ReplayState::Done, 100)
    );
    let first = desk.status(&first).await;
    assert_eq!(first.state, ReplayState::Cancelled);
    assert!(first.progress.processed() < 100 && first.ended_at.is_some());
    gated.end(run).await;
}

#[tokio::test]
async fn too_many_unfinished_replays_are_refused() {
    let desk = hundred().await;
    let config = ReplayConfig {
        max_unfinished: 2,
        ..quick()
    };
    let runner = desk.runner(config).await;
    let request = desk.request(inline(0.2, 0.9));
    let first = runner.start(request.clone()).await.unwrap().id;
    runner.start(request.clone()).await.unwrap();
    runner.steer(&first, Order::Pause).await.unwrap();
    let refused = runner.start(request.clone()).await;
    assert!(
        matches!(refused, Err(ReplayError::QueueFull(2))),
        "{refused:?}"
    );
    runner.steer(&first, Order::Cancel).await.unwrap();
    runner.start(request).await.unwrap();
}
