//! Conversations asked for anew into a generation: only where somebody else would answer, never what a reader reviewed, known
//! beforehand, switched to and back.

mod many;

use std::{sync::Arc, time::Duration};

use telesift_ports::{
    Generations, KnowledgeCatalog, RecordLog as _, Replays, UnitCatalog,
    extractor::ExtractError,
    generations::{Entry, GenerationState, Part},
    knowledge::StoredAtom,
    memory::{Fault, MemoryCatalog},
    record_log::ReadLimits,
    replays::{
        Bound, Order, Reading, ReplayCatalog, ReplayError, ReplayRequest, ReplayStage, ReplayState,
        ReplayStatus,
    },
};
use telesift_schemas::{AtomStatus, AtomVerdict, DecisionKind, Generation, Offset, Usage};
use telesift_stages::{
    consumer::{Input, Process as _},
    extract::{ExtractConfig, ExtractParts, UnitPlanner},
    generations::{Upkeep, UpkeepConfig},
    knowledge::Knowledge,
    replay::{ReplayConfig, ReplayRunner},
    workers::Held,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{FAIL, MEND, line::Line, reviewed};
use crate::works;

const SECOND: Generation = Generation(2);

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
            store: self.store(),
            catalog: self.flow.catalog.clone(),
            extractor: self.extractor.clone(),
            generations: on.parts().generations.clone(),
            embedder: Arc::new(works::Slow::new()),
            index_lag: on.parts().index_lag.clone(),
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

    async fn made_by(&self, id: &str) -> Option<Entry> {
        let generations = Generations::load(self.flow.log.clone()).await.unwrap();
        generations.now().made_by(id).cloned()
    }

    /// How many units are marked for a replay.
    async fn n_marked(&self, id: &str) -> u64 {
        match self.made_by(id).await {
            None => 0,
            Some(entry) => {
                let catalog = &self.flow.catalog;
                catalog.n_read_again(entry.generation).await.unwrap()
            }
        }
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

    /// Switches to what a replay made, or back; what is known has followed when that is answered.
    async fn switch(&self, id: &str, is_back: bool) {
        let (runner, id) = (self.runner().await, id.to_owned());
        let catalog = self.flow.catalog.clone();
        let switching = tokio::spawn(async move {
            match is_back {
                true => runner.switch_back(&id).await.unwrap().unwrap(),
                false => runner.switch(&id).await.unwrap().unwrap(),
            };
            catalog.readings_in_force().await.unwrap()
        });
        self.run(async || switching.is_finished() && self.is_settled().await)
            .await;
        let register = self.generations().await.now();
        let expected = register.readings(register.live_parts().knowledge);
        assert_eq!(switching.await.unwrap(), expected);
    }

    async fn versions(&self) -> Vec<String> {
        let all = self.everything().await.into_iter();
        let standing = all.filter(|s| s.atom.status != AtomStatus::Retracted);
        let mut versions: Vec<String> = standing.map(|s| s.atom.extractor.version).collect();
        versions.sort();
        versions
    }

    /// All that is known, but for how often and when it changed.
    async fn known(&self) -> Vec<StoredAtom> {
        let mut all = self.everything().await;
        for stored in &mut all {
            stored.atom.version = 0;
            stored.atom.updated_at = telesift_schemas::Timestamp::UNIX_EPOCH;
        }
        all
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
        if !dry_run {
            line.switch(&done.id, false).await;
        }
    }
    assert_eq!(line.extractor.asked().len(), 3);
    assert_eq!(line.everything().await, before);
    assert_eq!(line.extractions().await, said);
}

#[tokio::test]
async fn another_version_is_asked_once_and_counts_from_the_switch_on_and_not_after_switching_back()
{
    let mut line = Line::three().await;
    let decided: StoredAtom = line.atom("we move to the new host").await;
    line.decide(reviewed(&decided, AtomVerdict::Approve)).await;
    line.settle().await;
    let (before, known) = (line.everything().await, line.known().await);
    let decided = line.atom("we move to the new host").await;
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
    let refused = line.runner().await.switch(&estimate.id).await.unwrap_err();
    assert!(matches!(refused, ReplayError::NoGeneration(_)), "{refused}");

    let done = line.replay(false).await;
    assert_eq!(done.state, ReplayState::Done, "{done:?}");
    assert_eq!(done.progress.result.reading, Some(expected));
    assert!(done.progress.result.ledger.is_conserved());
    assert_eq!(line.extractor.asked().len(), 5);
    let entry = line.made_by(&done.id).await.unwrap();
    assert_eq!(
        (entry.generation, entry.state),
        (SECOND, GenerationState::Ready)
    );
    assert_eq!(entry.own_parts().collect::<Vec<_>>(), [Part::Knowledge]);
    assert_eq!(line.everything().await, before, "nothing of it counts yet");

    line.switch(&done.id, false).await;
    assert_eq!(line.versions().await, ["1", "2", "2", "2"]);
    assert_eq!(line.atom("we move to the new host").await, decided);
    let ids = |all: &[StoredAtom]| all.iter().map(|s| s.atom.id.clone()).collect::<Vec<_>>();
    let after = line.known().await;
    assert_eq!(ids(&after), ids(&before), "the same claims, the same atoms");
    // Nothing is left to do on top of it.
    let again = line.replay(false).await;
    assert_eq!(skipped(&again), [("known", 2), ("reviewed", 1)]);
    assert_eq!(line.extractor.asked().len(), 5);

    // Back and forth, as often as one likes, and nobody is asked.
    line.switch(&done.id, true).await;
    assert_eq!(line.known().await, known);
    line.switch(&done.id, false).await;
    assert_eq!(line.known().await, after);
    // A lost catalog is made of the log again, switches and versions included.
    let all = line.everything().await;
    line.drop_catalog();
    line.settle().await;
    assert_eq!(line.everything().await, all);
    assert_eq!(line.extractor.asked().len(), 5);
}

#[tokio::test]
async fn what_is_said_anew_is_read_for_all_and_what_is_reviewed_in_one_stands_in_the_other() {
    let line = Line::three().await;
    line.answers_as("2");
    let done = line.replay(false).await;
    // An edit after the replay: its unit is read once, by whoever reads now, and stands in both.
    let text = "question: who pays for it, and when #billing";
    line.edit(200, 1_767_650_000, text).await;
    line.settle().await;
    assert_eq!(line.versions().await, ["1", "1", "1", "2"]);
    assert_eq!(line.extractor.asked().len(), 7);
    line.switch(&done.id, false).await;
    assert_eq!(line.versions().await, ["2", "2", "2", "2"]);
    assert_eq!(line.extractor.asked().len(), 7);
    let host = line.atom("we move to the new host").await;
    line.decide(reviewed(&host, AtomVerdict::Approve)).await;
    line.settle().await;
    let host = line.atom("we move to the new host").await;
    line.switch(&done.id, true).await;
    assert_eq!(line.versions().await, ["1", "1", "2", "2"]);
    assert_eq!(line.atom("we move to the new host").await, host);
    assert_eq!(
        line.atom("who pays for it, and when")
            .await
            .atom
            .extractor
            .version,
        "2"
    );
}

#[tokio::test]
async fn what_nobody_might_read_is_read_by_a_replay_and_unread_by_switching_back() {
    let line = Line::new().await;
    line.extractor
        .calls
        .extend([Fault::Refuse(ExtractError::Off)]);
    line.say(1, FAIL).await;
    line.settle().await;
    assert!(line.everything().await.is_empty());
    let done = line.replay(false).await;
    assert_eq!(done.progress.result.reading.unwrap().units, 1, "{done:?}");
    assert!(line.everything().await.is_empty());
    line.switch(&done.id, false).await;
    assert_eq!(line.versions().await, ["1"]);
    line.switch(&done.id, true).await;
    assert!(line.versions().await.is_empty());
    line.switch(&done.id, false).await;
    assert_eq!(line.versions().await, ["1"]);
}

#[tokio::test]
async fn replays_on_top_of_each_other_each_have_their_place() {
    let line = Line::three().await;
    let mut known = vec![line.known().await];
    let mut replays = Vec::new();
    for version in ["2", "3"] {
        line.answers_as(version);
        let done = line.replay(false).await;
        line.switch(&done.id, false).await;
        assert_eq!(line.versions().await, [version; 4]);
        known.push(line.known().await);
        replays.push(done.id);
    }
    line.switch(&replays[1], true).await;
    assert_eq!(line.known().await, known[1]);
    line.switch(&replays[0], true).await;
    assert_eq!(line.known().await, known[0]);
    // The second was made upon the first: that one's readings stay while it is kept.
    line.switch(&replays[1], false).await;
    assert_eq!(line.known().await, known[2]);
    let runner = line.runner().await;
    assert!(runner.retire(SECOND).await.unwrap());
    let is_used = line
        .generations()
        .await
        .now()
        .is_used((Part::Knowledge, SECOND));
    assert!(is_used);
    assert_eq!(line.extractor.asked().len(), 9);
}

fn away() -> ExtractError {
    ExtractError::Unavailable {
        extractor: "scripted".to_owned(),
        reason: "as told".to_owned(),
        retry_after: None,
    }
}

#[tokio::test]
async fn a_runner_that_dies_goes_on() {
    let line = Line::three().await;
    let before = line.everything().await;
    line.answers_as("2");
    let runner = line.runner().await;
    let id = runner.start(request(false)).await.unwrap().id;
    // It dies with units marked: nobody answers.
    line.extractor
        .calls
        .extend([Fault::Refuse(away()), Fault::Refuse(away())]);
    let is_marked = async || line.n_marked(&id).await > 0;
    line.run_with(&runner, is_marked).await;
    let runner = line.runner().await;
    let is_over = async || line.replay_status(&id).await.state.is_over();
    // What waits for its provider is due later.
    line.run_with(&runner, async || {
        line.flow.clock.advance(Duration::from_secs(30));
        is_over().await && line.is_settled().await
    })
    .await;
    let done = line.replay_status(&id).await;
    assert_eq!(done.state, ReplayState::Done, "{done:?}");
    assert_eq!(done.progress.result.reading.unwrap().units, 3);
    assert_eq!(line.everything().await, before);
    line.switch(&id, false).await;
    assert_eq!(line.versions().await, ["2", "2", "2", "2"]);
}

#[tokio::test]
async fn a_cancelled_replay_leaves_nothing_behind() {
    let line = Line::three().await;
    let before = line.everything().await;
    line.answers_as("2");
    let runner = line.runner().await;
    let id = runner.start(request(false)).await.unwrap().id;
    // The first conversation is answered, the others are not.
    let fault = |i| match i {
        0 => Fault::Pass,
        _ => Fault::Refuse(away()),
    };
    line.extractor.calls.extend((0..50).map(fault));
    let is_half_way = async || {
        let (n_asked, n_marked) = (line.extractor.asked().len(), line.n_marked(&id).await);
        n_asked >= 5 && n_marked == 1
    };
    line.run_with(&runner, is_half_way).await;
    let runner = line.runner().await;
    let cancelled = runner.steer(&id, Order::Cancel).await.unwrap().unwrap();
    assert_eq!(cancelled.state, ReplayState::Cancelled);
    assert_eq!(line.n_marked(&id).await, 0);
    line.flow.clock.advance(Duration::from_secs(600));
    line.settle().await;
    assert_eq!(line.everything().await, before);
    let refused = runner.switch(&id).await.unwrap_err();
    assert!(
        matches!(refused, ReplayError::Generation { generation: 2, .. }),
        "{refused}"
    );
    // What it read is forgotten.
    let of_it = async || line.flow.catalog.units_read_by(&[SECOND]).await.unwrap();
    assert_eq!(of_it().await.len(), 1);
    let on = works::line(&line.flow.log, &line.flow.catalog, &line.flow.clock).await;
    let config = UpkeepConfig {
        look_every: Duration::from_millis(2),
        settle: Duration::ZERO,
        runs_first: false,
        ..UpkeepConfig::default()
    };
    let stop = CancellationToken::new();
    let upkeep = tokio::spawn(Upkeep::new(on, config).run(Held::alone(stop.clone())));
    works::until(async || of_it().await.is_empty().then_some(())).await;
    stop.cancel();
    upkeep.await.unwrap().unwrap();
}
