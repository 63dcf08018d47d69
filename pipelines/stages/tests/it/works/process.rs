//! A process on the works: what runs in it, how it ends, and how it is killed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use telesift_ports::{
    Generations, MessageStore as _, RecordLog, Replays as _, RuleReader, RuleSets as _,
    generations::{Entry, GenerationState, Part},
    memory::{MemoryCatalog, MemoryRules, ScriptedExtractor},
    message_store::{ListPosition, MessageFilter},
    replays::{
        Bound, NoLabels, ReplayCatalog as _, ReplayRequest, ReplayStage, ReplayState, ReplayStatus,
        RuleText, RulesChoice,
    },
    rules::{ActivateRules, StartFrom},
};
use telesift_schemas::{Generation, Message};
use telesift_stages::{
    decisions::rules::RulesKeeper,
    extract::{ExtractConfig, ExtractParts, UnitPlanner},
    generations::{Line, LiveEmbedder, LiveStore, Upkeep},
    replay::{KeptRules, ReplayConfig, ReplayParts, ReplayRunner},
    workers::Held,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Slow, Works, until};

/// A running process.
pub(crate) struct Process {
    pub(crate) runner: Arc<ReplayRunner>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) store: LiveStore,
    pub(crate) embedder: LiveEmbedder,
    pub(crate) rules: RulesKeeper,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// The catalog, and by how many it was held before this process began.
    catalog: (Weak<MemoryCatalog>, usize),
}

/// What replays of this line stand on, and the keeper of its rules.
pub(crate) fn replay_parts(
    line: &Arc<Line>,
    catalog: &Arc<MemoryCatalog>,
    units: Arc<UnitPlanner>,
) -> (ReplayParts, RulesKeeper) {
    let on = line.parts();
    let reader: Arc<dyn RuleReader> = Arc::new(MemoryRules::default());
    let rules = RulesKeeper::new(
        on.book.clone(),
        on.log.clone(),
        catalog.clone(),
        reader.clone(),
        on.chains.clone(),
        on.clock.clone(),
    );
    let kept = KeptRules::new(
        Arc::new(rules.clone()),
        on.book.clone(),
        reader,
        on.generations.clone(),
    );
    let chains = on.chains.clone();
    let parts = ReplayParts {
        log: on.log.clone(),
        catalog: catalog.clone(),
        rules: Arc::new(kept),
        labels: Arc::new(NoLabels),
        chains: Arc::new(move |json| {
            let read = MemoryRules::default().read(telesift_ports::rules::RuleSource::Json(json));
            chains(&read.unwrap())
        }),
        clock: on.clock.clone(),
        units,
        line: line.clone(),
    };
    (parts, rules)
}

/// Looks at units of these parts for an extractor that claims what it is told to.
pub(crate) fn planner(
    line: &Line,
    catalog: &Arc<MemoryCatalog>,
    extractor: Arc<ScriptedExtractor>,
) -> Arc<UnitPlanner> {
    let on = line.parts();
    let parts = ExtractParts {
        log: on.log.clone(),
        store: Arc::new(LiveStore::new(on.stores.clone())),
        catalog: catalog.clone(),
        extractor,
        generations: on.generations.clone(),
        embedder: Arc::new(Slow::new()),
        index_lag: on.index_lag.clone(),
        clock: on.clock.clone(),
    };
    Arc::new(UnitPlanner::new(
        parts,
        Arc::default(),
        ExtractConfig::default(),
    ))
}

impl Works {
    /// A process that starts now.
    pub(crate) async fn process(&self) -> Process {
        self.process_on(self.log.clone()).await
    }

    /// The same on another view of the log.
    pub(crate) async fn process_on(&self, log: Arc<dyn RecordLog>) -> Process {
        let catalog = (
            Arc::downgrade(&self.catalog),
            Arc::strong_count(&self.catalog),
        );
        let line = self.line(log).await;
        let parts = line.parts().clone();
        let units = planner(&line, &self.catalog, Arc::default());
        let (replays, rules) = replay_parts(&line, &self.catalog, units);
        let config = ReplayConfig {
            batch_records: 4,
            checkpoint_every: Duration::ZERO,
            cpu_share: 1.0,
            ..ReplayConfig::default()
        };
        let runner = Arc::new(ReplayRunner::new(replays, config));
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        // As the binary does it: the stages of the first generation stand in the flow itself.
        for part in Part::ALL {
            let (line, held) = (line.clone(), Held::alone(stop.clone()));
            tasks.spawn(async move {
                let first = Entry::first();
                let run = |held| line.run(&first, std::slice::from_ref(&part), None, held);
                let made = (part, Generation::FIRST);
                line.while_used(made, held, run).await.unwrap();
            });
        }
        let upkeep = Upkeep::new(line, self.config);
        let token = stop.clone();
        tasks.spawn(async move {
            upkeep.run(Held::alone(token)).await.unwrap();
        });
        let (running, token) = (runner.clone(), stop.clone());
        tasks.spawn(async move {
            running.run(Held::alone(token)).await.unwrap();
        });
        Process {
            runner,
            generations: parts.generations,
            store: LiveStore::new(parts.stores.clone()),
            embedder: LiveEmbedder::new(parts.stores),
            rules,
            stop,
            tasks,
            catalog,
        }
    }
}

impl Process {
    /// Ends in order.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Dies where it stands; nothing of it is left when this returns: a task of a task may still be writing when its owner
    /// is gone, as no dead process is.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
        let (catalog, n_before) = self.catalog.clone();
        drop(self);
        until(async || (catalog.strong_count() <= n_before).then_some(())).await;
    }

    /// A replay of everything that fills a generation, by `rules` if given.
    pub(crate) fn request(rules: Option<&str>) -> ReplayRequest {
        ReplayRequest {
            stage: ReplayStage::Screen,
            dry_run: false,
            from: Bound::Earliest,
            to: Bound::Latest,
            rules: rules.map(|toml| RulesChoice::Inline(RuleText::Toml(toml.to_owned()))),
            base: None,
            reassign: false,
            by: "k".to_owned(),
        }
    }

    /// Starts a replay and follows it to its end.
    pub(crate) async fn replay(&self, works: &Works, request: ReplayRequest) -> ReplayStatus {
        let id = self.runner.start(request).await.unwrap().id;
        self.until_over(works, &id).await
    }

    pub(crate) async fn until_over(&self, works: &Works, id: &str) -> ReplayStatus {
        until(async || {
            let replay = works.catalog.replay(id).await.unwrap().unwrap();
            replay.state.is_over().then_some(replay)
        })
        .await
    }

    /// Adds and activates rules from the first record that nothing has screened.
    pub(crate) async fn activate(&self, toml: &str) {
        let new = telesift_ports::rules::NewRules {
            text: toml.to_owned(),
            is_json: false,
            by: "k".to_owned(),
            note: None,
        };
        let added = self.rules.add(new).await.unwrap();
        let asked = ActivateRules {
            asked: added.rules.version,
            from: StartFrom::Unscreened,
            by: "k".to_owned(),
            note: None,
        };
        self.rules.activate(asked).await.unwrap();
    }

    /// Until every stage of every kept generation has taken everything.
    pub(crate) async fn until_idle(&self) {
        until(async || {
            let all = self.runner.generations().await.unwrap();
            let is_idle = all.iter().all(|g| g.stages.iter().all(|s| s.lag() == 0));
            is_idle.then_some(())
        })
        .await;
    }

    /// The current versions that readers see, noise too.
    pub(crate) async fn shown(&self) -> Vec<Message> {
        let filter = MessageFilter {
            include_noise: true,
            ..MessageFilter::default()
        };
        let none: Option<&ListPosition> = None;
        self.store.list(&filter, none, 10_000).await.unwrap()
    }
}

/// Whether a replay is done and its generation complete.
pub(crate) fn is_ready(process: &Process, replay: &ReplayStatus) -> bool {
    let register = process.generations.now();
    replay.state == ReplayState::Done
        && register.made_by(&replay.id).map(|e| e.state) == Some(GenerationState::Ready)
}
