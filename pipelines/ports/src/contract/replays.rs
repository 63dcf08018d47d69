//! What every [`ReplayCatalog`] keeps to.

use std::future::Future;

use telesift_schemas::{Class, Generation, Offset, Origin, PartitionId, Timestamp, Topic};

use crate::{
    catalog::Error,
    contract::Must as _,
    replays::{
        FactorChange, ReplayCatalog, ReplayProgress, ReplayRange, ReplaySpec, ReplayStage,
        ReplayState, ReplayStatus, RulePair, Sample, Samples, Verdict,
    },
};

/// Runs the whole suite; `fresh` gives an empty catalog each time.
///
/// # Panics
/// When the catalog breaks the contract.
pub async fn run<C, F, Fut>(fresh: F)
where
    C: ReplayCatalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    a_replay_is_kept_with_its_rules(&fresh().await).await;
    an_id_is_taken_once(&fresh().await).await;
    replays_are_listed_newest_first_without_samples(&fresh().await).await;
    unfinished_replays_are_listed_oldest_first(&fresh().await).await;
    progress_is_stored_whole_and_only_from_where_it_stood(&fresh().await).await;
    what_is_over_takes_no_progress(&fresh().await).await;
    a_state_is_left_once_and_its_times_are_noted(&fresh().await).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).expect("a time in range")
}

fn replay(id: &str) -> ReplayStatus {
    let ranges = vec![
        ReplayRange {
            partition: PartitionId(0),
            from: Offset(5),
            to: Offset(105),
        },
        ReplayRange {
            partition: PartitionId(3),
            from: Offset(0),
            to: Offset(0),
        },
    ];
    ReplayStatus {
        id: id.to_owned(),
        progress: ReplayProgress::at_start(&ranges),
        spec: ReplaySpec {
            stage: ReplayStage::Screen,
            dry_run: true,
            from: "g1@k3/0:5,3:0".to_owned(),
            to: "latest".to_owned(),
            input: Topic::TELEGRAM_RAW,
            ranges,
            rules: "нові@2+ab".to_owned(),
            base: "default@1+cd".to_owned(),
            rules_kept: None,
            screens: Vec::new(),
            reassign: false,
            model: Some("slow@1/2".to_owned()),
            base_generation: Some(Generation(3)),
        },
        state: ReplayState::Queued,
        error: None,
        created_at: at(0),
        started_at: None,
        ended_at: None,
    }
}

fn rules() -> RulePair {
    RulePair {
        base: r#"{"name":"default"}"#.to_owned(),
        new: r#"{"name":"нові"}"#.to_owned(),
    }
}

/// Half way through, with a sample.
fn progress(n: u64) -> ReplayProgress {
    let verdict = |class, score| Verdict {
        class,
        score,
        spam: false,
    };
    let sample = Sample {
        message: "-1001234567890:42".parse().expect("a message key"),
        edit: 0,
        origin: Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(7),
        },
        base: verdict(Class::Noise, 0.3401),
        new: verdict(Class::Signal, 0.9),
        factors: vec![FactorChange {
            name: "incident".to_owned(),
            base: 0.0,
            new: 1.9,
        }],
    };
    let mut progress = ReplayProgress {
        next: vec![Offset(5 + n), Offset(0)],
        samples: Samples::from([("noise->signal".to_owned(), vec![sample])]),
        ..ReplayProgress::default()
    };
    progress.result.ledger.received = n;
    progress.result.ledger.judged = n;
    progress.result.diff.insert("noise->signal".to_owned(), n);
    progress.result.cost.new.add("сервер впав");
    progress
}

async fn create(catalog: &impl ReplayCatalog, id: &str) {
    catalog.create_replay(&replay(id), &rules()).await.must();
}

async fn read(catalog: &impl ReplayCatalog, id: &str) -> ReplayStatus {
    catalog.replay(id).await.must().expect("it was created")
}

async fn a_replay_is_kept_with_its_rules(catalog: &impl ReplayCatalog) {
    assert_eq!(catalog.replay("a").await.must(), None);
    assert_eq!(catalog.replay_rules("a").await.must(), None);
    create(catalog, "a").await;
    assert_eq!(read(catalog, "a").await, replay("a"));
    assert_eq!(catalog.replay_rules("a").await.must(), Some(rules()));
}

async fn an_id_is_taken_once(catalog: &impl ReplayCatalog) {
    create(catalog, "a").await;
    let refused = catalog.create_replay(&replay("a"), &rules()).await;
    assert!(
        matches!(&refused, Err(Error::Conflict { what }) if what == "replay/a"),
        "{refused:?}"
    );
}

async fn replays_are_listed_newest_first_without_samples(catalog: &impl ReplayCatalog) {
    for id in ["a", "b", "c", "d"] {
        create(catalog, id).await;
    }
    catalog
        .put_replay_progress("d", 0, &progress(9))
        .await
        .must();
    let list = async |after, limit| catalog.replays(after, limit).await.must();
    let ids = |rows: &[ReplayStatus]| rows.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
    let newest = list(None, 2).await;
    assert_eq!(ids(&newest), ["d", "c"]);
    assert_eq!(newest[0].progress.result, progress(9).result);
    assert!(newest[0].progress.samples.is_empty());
    assert_eq!(ids(&list(Some("c"), 10).await), ["b", "a"]);
    assert!(list(Some("a"), 10).await.is_empty());
}

async fn unfinished_replays_are_listed_oldest_first(catalog: &impl ReplayCatalog) {
    use ReplayState as S;
    let moves = [
        ("a", S::Running),
        ("b", S::Cancelled),
        ("c", S::Paused),
        ("d", S::Queued),
        ("e", S::Failed),
        ("f", S::Done),
    ];
    for (id, to) in moves {
        create(catalog, id).await;
        assert!(
            catalog
                .move_replay(id, S::Queued, to, None, at(1))
                .await
                .must()
        );
    }
    let rows = catalog.unfinished_replays().await.must();
    let found: Vec<_> = rows.iter().map(|r| (r.id.as_str(), r.state)).collect();
    assert_eq!(
        found,
        [("a", S::Running), ("c", S::Paused), ("d", S::Queued)]
    );
}

async fn progress_is_stored_whole_and_only_from_where_it_stood(catalog: &impl ReplayCatalog) {
    create(catalog, "a").await;
    catalog
        .put_replay_progress("a", 0, &progress(40))
        .await
        .must();
    assert_eq!(read(catalog, "a").await.progress, progress(40));
    for stale in [0, 39, 41] {
        let refused = catalog.put_replay_progress("a", stale, &progress(90)).await;
        assert!(
            matches!(refused, Err(Error::Conflict { .. })),
            "{stale}: {refused:?}"
        );
    }
    catalog
        .put_replay_progress("a", 40, &progress(100))
        .await
        .must();
    assert_eq!(read(catalog, "a").await.progress, progress(100));
    let unknown = catalog.put_replay_progress("b", 0, &progress(1)).await;
    assert!(matches!(unknown, Err(Error::Conflict { .. })));
}

async fn what_is_over_takes_no_progress(catalog: &impl ReplayCatalog) {
    create(catalog, "a").await;
    catalog
        .move_replay(
            "a",
            ReplayState::Queued,
            ReplayState::Cancelled,
            None,
            at(1),
        )
        .await
        .must();
    let refused = catalog.put_replay_progress("a", 0, &progress(1)).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(read(catalog, "a").await.progress, replay("a").progress);
}

async fn a_state_is_left_once_and_its_times_are_noted(catalog: &impl ReplayCatalog) {
    use ReplayState as S;
    create(catalog, "a").await;
    let go = async |from, to, error, second| {
        catalog
            .move_replay("a", from, to, error, at(second))
            .await
            .must()
    };
    assert!(go(S::Queued, S::Running, None, 1).await);
    assert!(!go(S::Queued, S::Running, None, 2).await);
    assert!(go(S::Running, S::Paused, None, 3).await);
    assert!(go(S::Paused, S::Queued, None, 4).await);
    assert!(go(S::Queued, S::Running, None, 5).await);
    let running = read(catalog, "a").await;
    assert_eq!((running.started_at, running.ended_at), (Some(at(1)), None));
    assert!(go(S::Running, S::Failed, Some("зламано"), 6).await);
    let failed = read(catalog, "a").await;
    assert_eq!(failed.state, S::Failed);
    assert_eq!(failed.error.as_deref(), Some("зламано"));
    assert_eq!(
        (failed.started_at, failed.ended_at),
        (Some(at(1)), Some(at(6)))
    );
    let unknown = catalog
        .move_replay("b", S::Queued, S::Running, None, at(0))
        .await;
    assert!(!unknown.must());
}
