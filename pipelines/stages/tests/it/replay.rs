//! Dry runs: exact counts, the same whatever interrupts them, and nothing written but their own progress.

mod desk;
mod steering;

use std::time::Duration;

use telesift_ports::{
    RecordLog, Replays,
    record_log::Retention,
    replays::{Bound, ReplayError, ReplayState, RulesChoice},
};
use telesift_schemas::{Class, Cursor, Generation, Offset, PartitionId, Topic};
use telesift_stages::{StageError, replay::ReplayConfig, workers::Held};

use crate::flow::with_hanging_threads;
use desk::{Desk, N_PARTITIONS, inline, labels, quick, record};

/// Scores 0.00 to 0.99 over all partitions.
async fn hundred() -> Desk {
    let desk = Desk::new().await;
    for i in 0..100 {
        desk.append(
            i % N_PARTITIONS,
            &[record(i64::from(i), f64::from(i) / 100.0)],
        )
        .await;
    }
    desk
}

#[tokio::test]
async fn the_same_rules_twice_make_no_difference() {
    let desk = hundred().await;
    let done = desk.run_through(&desk.request(inline(0.35, 0.65))).await;
    let result = done.progress.result;
    assert_eq!(done.state, ReplayState::Done);
    assert_eq!((result.ledger.judged, result.identical), (100, 100));
    assert!(result.diff.is_empty() && done.progress.samples.is_empty());
    assert_eq!(result.cost.base, result.cost.new);
}

#[tokio::test]
async fn a_change_is_counted_exactly_and_sampled() {
    let desk = hundred().await;
    // Base: weak from 0.35, signal from 0.65. New: weak from 0.20, signal from 0.90.
    let done = desk.run_through(&desk.request(inline(0.20, 0.90))).await;
    let result = &done.progress.result;
    let diff: Vec<_> = result.diff.iter().map(|(k, n)| (k.as_str(), *n)).collect();
    assert_eq!(
        diff,
        [("noise->weak_signal", 15), ("signal->weak_signal", 25)]
    );
    assert_eq!(result.identical, 60);
    assert_eq!(
        (result.cost.base.messages, result.cost.new.messages),
        (65, 80)
    );
    assert_eq!(result.cost.new.characters, 80 * 12);
    assert_eq!(result.cost.new.estimated_tokens, 80 * 6);

    let samples = &done.progress.samples;
    assert_eq!(samples["noise->weak_signal"].len(), 15);
    assert_eq!(samples["signal->weak_signal"].len(), 20);
    for sample in &samples["signal->weak_signal"] {
        assert_eq!(
            (sample.base.class, sample.new.class),
            (Class::Signal, Class::WeakSignal)
        );
        assert!((0.65..0.90).contains(&sample.new.score), "{sample:?}");
        let (id, origin) = (sample.message.message_id as u64, &sample.origin);
        let n = u64::from(N_PARTITIONS);
        assert_eq!(
            (u64::from(origin.partition.0), origin.offset.0),
            (id % n, id / n)
        );
        assert_eq!(sample.factors[0].name, "cut");
    }
}

#[tokio::test]
async fn labels_give_precision_and_recall_of_both_rule_sets() {
    let mut desk = hundred().await;
    // Wanted from 0.20 on: the new rules know it, the base ones miss fifteen.
    desk.labels(labels(100, |score| match score >= 0.20 {
        true => Class::WeakSignal,
        false => Class::Noise,
    }));
    let done = desk.run_through(&desk.request(inline(0.20, 0.90))).await;
    let classes = done.progress.result.labels.classes;
    assert_eq!(classes.new.n(), 100);
    let (base, new) = (classes.base.wanted(), classes.new.wanted());
    assert_eq!(
        (base.precision, base.recall),
        (Some(1.0), Some(65.0 / 80.0))
    );
    assert_eq!((new.precision, new.recall), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn every_offset_is_judged_skipped_or_failed() {
    let desk = Desk::new().await;
    let values = [
        record(1, 0.9),
        r#"{"skip":"no_message"}"#.to_owned(),
        "trap".to_owned(),
        "filter".to_owned(),
        "no json".to_owned(),
        record(2, 0.1),
    ];
    desk.append(0, &values).await;
    let done = desk.run_through(&desk.request(inline(0.2, 0.9))).await;
    let ledger = done.progress.result.ledger;
    assert_eq!((ledger.received, ledger.judged), (6, 2));
    assert_eq!(
        (ledger.skipped["no_message"], ledger.skipped["filtered"]),
        (1, 1)
    );
    assert_eq!(
        (ledger.failed["guest_trap"], ledger.failed["guest_output"]),
        (1, 1)
    );
    assert!(ledger.is_conserved());
}

#[tokio::test]
async fn a_range_is_half_open_whatever_it_is_named_by() {
    let desk = Desk::new().await;
    for second in 0..10 {
        desk.clock.set(desk::at(second));
        desk.append(0, &[record(second, 0.5)]).await;
    }
    let cursor = |epoch: &telesift_schemas::Epoch, next| {
        Bound::Cursor(Cursor {
            generation: Generation::FIRST,
            epoch: epoch.clone(),
            next: vec![(PartitionId(0), Offset(next))],
        })
    };
    let epoch = desk.log.epoch().clone();
    let cases = [
        (Bound::Earliest, Bound::Latest, 0..10),
        (Bound::Time(desk::at(3)), Bound::Time(desk::at(7)), 3..7),
        (cursor(&epoch, 2), Bound::Latest, 2..10),
        (Bound::Earliest, cursor(&epoch, 4), 0..4),
        (cursor(&epoch, 5), cursor(&epoch, 5), 5..5),
        (Bound::Latest, Bound::Latest, 10..10),
    ];
    for (from, to, expected) in cases {
        let mut request = desk.request(inline(0.6, 0.9));
        (request.from, request.to) = (from, to);
        let done = desk.run_through(&request).await;
        assert_eq!(
            done.spec.total(),
            expected.end - expected.start,
            "{request:?}"
        );
        let samples = done.progress.samples.get("weak_signal->noise");
        let mut ids: Vec<u64> = samples
            .into_iter()
            .flatten()
            .map(|s| s.message.message_id as u64)
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, expected.collect::<Vec<u64>>(), "{request:?}");
    }

    let mut request = desk.request(inline(0.6, 0.9));
    request.from = Bound::Time(desk::at(7));
    request.to = Bound::Time(desk::at(3));
    let refused = desk.runner(quick()).await.start(request.clone()).await;
    assert!(matches!(
        refused,
        Err(ReplayError::Range { field: "from", .. })
    ));
    let other = telesift_schemas::Epoch::new("other").unwrap();
    for bad in [cursor(&epoch, 11), cursor(&other, 0)] {
        (request.from, request.to) = (bad, Bound::Latest);
        let refused = desk.runner(quick()).await.start(request.clone()).await;
        assert!(
            matches!(refused, Err(ReplayError::CursorUnknown { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn what_is_appended_later_is_not_part_of_the_range() {
    let desk = hundred().await;
    let runner = desk.runner(quick()).await;
    let queued = runner.start(desk.request(inline(0.2, 0.9))).await.unwrap();
    desk.append(0, &[record(500, 0.3), record(501, 0.3)]).await;
    let done = desk.run_until_over(runner, &queued.id).await;
    assert_eq!(done.progress.processed(), 100);
}

#[tokio::test]
async fn what_retention_took_is_counted_as_skipped() {
    let desk = hundred().await;
    let runner = desk.runner(quick()).await;
    let queued = runner.start(desk.request(inline(0.2, 0.9))).await.unwrap();
    desk.clock.set(desk::at(1_000_000));
    let retention = Retention {
        max_age_s: None,
        max_bytes: Some(10 * record(10, 0.1).len() as u64),
    };
    desk.retain(retention).await;
    let n_evicted = desk.log.run_retention();
    assert!(n_evicted > 50, "{n_evicted}");
    let done = desk.run_until_over(runner, &queued.id).await;
    let ledger = &done.progress.result.ledger;
    assert_eq!(
        (ledger.received, ledger.skipped["evicted"]),
        (100, n_evicted)
    );
    assert!(ledger.is_conserved());
}

#[tokio::test]
async fn a_restart_at_any_point_gives_the_same_result() {
    let desk = hundred().await;
    let request = desk.request(inline(0.20, 0.90));
    let whole = desk.run_through(&request).await;
    let n_batches = 4 * N_PARTITIONS as usize; // 25 records per partition, 7 at once
    for stop_after in 0..n_batches - 1 {
        for is_crash in [false, true] {
            let queued = desk
                .runner(quick())
                .await
                .start(request.clone())
                .await
                .unwrap();
            desk.run_batches(stop_after, is_crash).await;
            let half = desk.status(&queued.id).await;
            assert!(half.progress.result.ledger.is_conserved());
            assert!(is_crash || stop_after == 0 || half.progress.processed() > 0);
            assert_eq!(half.state, ReplayState::Running);
            let again = desk
                .run_until_over(desk.runner(quick()).await, &queued.id)
                .await;
            assert_eq!(again.progress, whole.progress, "stopped after {stop_after}");
            assert_eq!(again.started_at, half.started_at);
        }
    }
}

#[tokio::test]
async fn rules_that_cannot_be_used_queue_nothing() {
    let desk = hundred().await;
    let runner = desk.runner(quick()).await;
    let mut request = desk.request(inline(0.9, 0.2));
    let refused = runner.start(request.clone()).await;
    assert!(
        matches!(&refused, Err(ReplayError::Rules { field: "rules", fault }) if fault.line == Some(1)),
        "{refused:?}"
    );
    request.rules = Some(inline(0.2, 0.9));
    request.base = Some(RulesChoice::Named("nobody@1+0".to_owned()));
    let refused = runner.start(request).await;
    assert!(matches!(
        &refused,
        Err(ReplayError::UnknownRules { field: "base", .. })
    ));
    assert!(runner.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn rules_that_judge_differently_since_fail_the_replay() {
    let mut desk = hundred().await;
    let runner = desk.runner(quick()).await;
    let queued = runner.start(desk.request(inline(0.2, 0.9))).await.unwrap();
    desk.revise_rules();
    let failed = desk
        .run_until_over(desk.runner(quick()).await, &queued.id)
        .await;
    assert_eq!(failed.state, ReplayState::Failed);
    assert!(failed.error.unwrap().contains("start it again"));
    assert_eq!(failed.progress.processed(), 0);
}

#[tokio::test]
async fn nothing_is_written_to_the_log() {
    let desk = hundred().await;
    let before = desk.log_contents().await;
    desk.run_through(&desk.request(inline(0.2, 0.9))).await;
    assert_eq!(desk.log_contents().await, before);
    assert_eq!(
        desk.log.partitions(&Topic::MESSAGES).await.unwrap()[0]
            .bounds
            .end,
        Offset(0)
    );
}

/// The hanging thread stays, so this has a runtime of its own.
#[test]
fn a_module_that_never_returns_fails_the_replay_and_asks_for_another_process() {
    with_hanging_threads(async {
        let desk = hundred().await;
        desk.append(0, &["hang".to_owned()]).await;
        let config = ReplayConfig {
            watchdog: Duration::from_millis(150),
            ..quick()
        };
        let runner = desk.runner(config).await;
        let queued = runner.start(desk.request(inline(0.2, 0.9))).await.unwrap();
        let ended = runner
            .run(Held::alone(tokio_util::sync::CancellationToken::new()))
            .await;
        assert!(matches!(ended, Err(StageError::Hung { .. })), "{ended:?}");
        let failed = desk.status(&queued.id).await;
        assert_eq!(failed.state, ReplayState::Failed);
        assert!(failed.error.unwrap().contains("did not return"));
    });
}
