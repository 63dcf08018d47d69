//! Conversations asked for anew: only where somebody else would answer, never what a reader reviewed, and known beforehand.

use std::sync::Arc;

use telesift_ports::{
    Replays, UnitCatalog,
    extractor::ExtractError,
    knowledge::StoredAtom,
    memory::Fault,
    replays::{
        Bound, Order, Reading, ReplayCatalog, ReplayError, ReplayRequest, ReplayStage, ReplayState,
        ReplayStatus,
    },
};
use telesift_schemas::{AtomStatus, AtomVerdict, Usage};
use telesift_stages::{
    extract::{ExtractConfig, ExtractParts, UnitPlanner},
    replay::{ReplayConfig, ReplayRunner},
    workers::Held,
};
use tokio_util::sync::CancellationToken;

use super::{FAIL, MEND, line::Line, reviewed};
use crate::works;

fn request(dry_run: bool) -> ReplayRequest {
    ReplayRequest {
        stage: ReplayStage::Extract,
        dry_run,
        from: Bound::Earliest,
        to: Bound::Latest,
        rules: None,
        base: None,
        reassign: false,
        by: "k".to_owned(),
    }
}

impl Line {
    /// Three conversations.
    async fn three() -> Self {
        let line = Line::new().await;
        line.say(1, FAIL).await;
        line.say(2, MEND).await;
        line.say(100, "decision: we move to the new host #hosting")
            .await;
        line.say(200, "question: who pays for it #billing").await;
        line.settle().await;
        assert_eq!(line.extractor.asked().len(), 3);
        line
    }

    fn answers_as(&self, version: &str) {
        *self.extractor.version.lock().unwrap() = Some(version.to_owned());
    }

    async fn runner(&self) -> Arc<ReplayRunner> {
        let on = works::line(&self.flow.log, &self.flow.catalog, &self.flow.clock).await;
        let parts = ExtractParts {
            log: self.flow.log.clone(),
            store: self.flow.store.clone(),
            catalog: self.flow.catalog.clone(),
            extractor: self.extractor.clone(),
            embedder: Arc::new(works::Slow::new()),
            clock: self.flow.clock.clone(),
        };
        let units = UnitPlanner::new(parts, Arc::default(), ExtractConfig::default());
        let (parts, _) = works::replay_parts(&on, &self.flow.catalog, Arc::new(units));
        let config = ReplayConfig {
            batch_records: 2,
            cpu_share: 1.0,
            ..ReplayConfig::default()
        };
        Arc::new(ReplayRunner::new(parts, config))
    }

    async fn replay_status(&self, id: &str) -> ReplayStatus {
        self.flow.catalog.replay(id).await.unwrap().unwrap()
    }

    /// Runs the runner beside the stages until `is_done`; then it dies where it stands.
    async fn run_with(&self, runner: &Arc<ReplayRunner>, is_done: impl AsyncFn() -> bool) {
        let (stop, runner) = (CancellationToken::new(), runner.clone());
        let held = Held::alone(stop.clone());
        let running = tokio::spawn(async move { runner.run(held).await });
        self.run(is_done).await;
        running.abort();
    }

    /// Starts a replay and follows it to its end; everything is applied then.
    async fn replay(&self, dry_run: bool) -> ReplayStatus {
        let runner = self.runner().await;
        let id = runner.start(request(dry_run)).await.unwrap().id;
        let is_over =
            async || self.replay_status(&id).await.state.is_over() && self.is_settled().await;
        self.run_with(&runner, is_over).await;
        self.replay_status(&id).await
    }

    async fn versions(&self) -> Vec<String> {
        let all = self.everything().await.into_iter();
        let standing = all.filter(|s| s.atom.status != AtomStatus::Retracted);
        standing.map(|s| s.atom.extractor.version).collect()
    }
}

fn skipped(replay: &ReplayStatus) -> Vec<(&str, u64)> {
    let skipped = replay.progress.result.ledger.skipped.iter();
    skipped.map(|(reason, n)| (reason.as_str(), *n)).collect()
}

#[tokio::test]
async fn nobody_is_asked_where_the_same_would_answer() {
    let line = Line::three().await;
    let (before, said) = (line.everything().await, line.extractions().await);
    for dry_run in [true, false] {
        let done = line.replay(dry_run).await;
        assert_eq!(done.state, ReplayState::Done, "{done:?}");
        assert_eq!(done.progress.result.reading, Some(Reading::default()));
        assert_eq!(skipped(&done), [("known", 3)]);
        assert!(done.progress.result.ledger.is_conserved());
    }
    assert_eq!(line.extractor.asked().len(), 3);
    assert_eq!(line.everything().await, before);
    assert_eq!(line.extractions().await, said);
}

#[tokio::test]
async fn another_version_is_asked_once_and_what_was_reviewed_stands() {
    let line = Line::three().await;
    let decided: StoredAtom = line.atom("we move to the new host").await;
    line.decide(reviewed(&decided, AtomVerdict::Approve)).await;
    line.settle().await;
    let (before, decided) = (
        line.everything().await,
        line.atom("we move to the new host").await,
    );
    line.answers_as("2");

    let estimate = line.replay(true).await;
    let expected = Reading {
        units: 2,
        calls: 2,
        kept: 0,
        most: Usage {
            tokens_in: 20,
            tokens_out: 40,
            micro_usd: 6,
        },
    };
    assert_eq!(estimate.progress.result.reading, Some(expected));
    assert_eq!(skipped(&estimate), [("reviewed", 1)]);
    assert_eq!(line.extractor.asked().len(), 3, "a dry run asks nobody");
    assert_eq!(line.everything().await, before);

    let done = line.replay(false).await;
    assert_eq!(done.state, ReplayState::Done, "{done:?}");
    assert_eq!(done.progress.result.reading, Some(expected));
    assert_eq!(line.extractor.asked().len(), 5);
    assert_eq!(line.atom("we move to the new host").await, decided);
    let mut versions = line.versions().await;
    versions.sort();
    assert_eq!(versions, ["1", "2", "2", "2"]);
    // The same atoms, in a new version each; and nothing is left to do.
    let ids = |all: &[StoredAtom]| all.iter().map(|s| s.atom.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&line.everything().await), ids(&before));
    let again = line.replay(false).await;
    assert_eq!(skipped(&again), [("known", 2), ("reviewed", 1)]);
    assert_eq!(line.extractor.asked().len(), 5);

    // And back, by the version that was before.
    line.answers_as("1");
    let back = line.replay(false).await;
    assert_eq!(back.progress.result.reading.unwrap().units, 2);
    assert_eq!(line.versions().await, ["1", "1", "1", "1"]);
    // No generation comes of it.
    let refused = line.runner().await.switch(&back.id).await.unwrap_err();
    assert!(matches!(refused, ReplayError::NoGeneration(_)), "{refused}");
}

#[tokio::test]
async fn a_runner_that_dies_goes_on_and_a_cancelled_replay_leaves_what_was_known() {
    let line = Line::three().await;
    line.answers_as("2");
    let runner = line.runner().await;
    let id = runner.start(request(false)).await.unwrap().id;
    // It dies with units marked: nobody answers.
    let away = || ExtractError::Unavailable {
        extractor: "scripted".to_owned(),
        reason: "as told".to_owned(),
        retry_after: None,
    };
    line.extractor
        .calls
        .extend([Fault::Refuse(away()), Fault::Refuse(away())]);
    let is_marked = async || line.flow.catalog.n_read_again(&id).await.unwrap() > 0;
    line.run_with(&runner, is_marked).await;
    let runner = line.runner().await;
    let is_over = async || line.replay_status(&id).await.state.is_over();
    // What waits for its provider is due later.
    line.run_with(&runner, async || {
        line.flow.clock.advance(std::time::Duration::from_secs(30));
        is_over().await && line.is_settled().await
    })
    .await;
    let done = line.replay_status(&id).await;
    assert_eq!(done.state, ReplayState::Done, "{done:?}");
    assert_eq!(done.progress.result.reading.unwrap().units, 3);
    assert_eq!(line.versions().await, ["2", "2", "2", "2"]);

    line.answers_as("3");
    let runner = line.runner().await;
    let id = runner.start(request(false)).await.unwrap().id;
    line.extractor
        .calls
        .extend((0..50).map(|_| Fault::Refuse(away())));
    let is_marked = async || line.flow.catalog.n_read_again(&id).await.unwrap() > 0;
    line.run_with(&runner, is_marked).await;
    let runner = line.runner().await;
    let cancelled = runner.steer(&id, Order::Cancel).await.unwrap().unwrap();
    assert_eq!(cancelled.state, ReplayState::Cancelled);
    assert_eq!(line.flow.catalog.n_read_again(&id).await.unwrap(), 0);
    line.flow.clock.advance(std::time::Duration::from_secs(600));
    line.settle().await;
    assert_eq!(line.versions().await, ["2", "2", "2", "2"]);
}
