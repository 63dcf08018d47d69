//! One run of a replay that fills a generation: its stages run at the replay's pace until all of history is there.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use telesift_ports::{
    generations::{Entry, GenerationState, Part, Register, Stretch},
    ledger::{Counters, StageKey},
    message_store,
    replays::{ReplayProgress, ReplayStage},
};
use telesift_schemas::{Offset, Topic, TopicPartition};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{attempt::End, compare::Compared, order::screens_from, run::Run};
use crate::{
    StageError,
    generations::{Pace, Wanted, positions, reached, take_over_is_done},
    workers::Held,
};

/// How often it is looked how far the stages are.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often it is asked whether it was paused or cancelled: by this process it is told, by another it is not.
const ASK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Build<'a> {
    run: Run<'a>,
    /// When it was last asked whether somebody paused or cancelled it elsewhere.
    asked_at: Instant,
    /// What must be reached; found part by part, each once the part before it is there.
    wanted: Vec<(Part, Vec<Wanted>)>,
}

type Stages = Pin<Box<dyn Future<Output = Result<(), StageError>> + Send>>;

impl<'a> Build<'a> {
    /// Takes the replay up where its stages stand.
    pub(super) fn new(run: Run<'a>) -> Self {
        Build {
            run,
            asked_at: Instant::now(),
            wanted: Vec::new(),
        }
    }

    /// Runs until an end. What a cancelled or failed replay wrote is given up before this returns.
    ///
    /// # Errors
    /// If log or catalog fail, or a SmartModule hangs: the next attempt goes on from where the stages stand.
    pub(super) async fn run(mut self, held: &Held) -> Result<End, StageError> {
        let Some(entry) = self.entry().await? else {
            return Ok(End::Failed(
                "the generation it is made from is gone".to_owned(),
            ));
        };
        if entry.state == GenerationState::Ready {
            return Ok(End::Through); // the last process ended in between
        }
        self.run.parts.line.prepare(&entry).await?;
        let store = self.run.parts.line.parts.stores.of(entry.parts.store).await;
        if let Err(error @ message_store::Error::ModelMismatch { .. }) = store {
            let end = End::Failed(error.to_string()); // its model was taken out of the configuration
            self.settle(&entry, &end).await?;
            return Ok(end);
        }
        let (held, shutdown) = (held.child(), &held.stop);
        let stop = held.stop.clone();
        let (line, own) = (self.run.parts.line.clone(), entry.clone());
        let pace = Arc::new(Pace::new(self.run.config.cpu_share));
        let mut stages: Stages = Box::pin(async move {
            let parts: Vec<Part> = own.own_parts().collect();
            line.run(&own, &parts, Some(pace), held).await
        });
        let end = self.follow(&entry, &mut stages, shutdown).await;
        stop.cancel();
        let end = match end? {
            // They have ended, and must not be asked again.
            Followed::Stages(outcome) => match outcome {
                Ok(()) => End::Interrupted,
                Err(error) if error.is_retryable() || error.is_handover() => return Err(error),
                Err(error @ StageError::Hung { .. }) => return Err(error),
                Err(error) => End::Failed(error.to_string()),
            },
            Followed::End(end) => {
                stages.await?;
                end
            }
        };
        let is_screen = self.run.replay.spec.stage == ReplayStage::Screen;
        let end = match end {
            End::Through if is_screen && !self.compare(&entry, shutdown).await? => End::Interrupted,
            end => end,
        };
        self.settle(&entry, &end).await?;
        Ok(end)
    }

    /// Watches the stages until everything is there.
    async fn follow(
        &mut self,
        entry: &Entry,
        stages: &mut Stages,
        shutdown: &CancellationToken,
    ) -> Result<Followed, StageError> {
        loop {
            let is_complete = tokio::select! {
                biased;
                outcome = &mut *stages => return Ok(Followed::Stages(outcome)),
                looked = self.look(entry) => match looked {
                    Ok(is_complete) => is_complete,
                    Err(error) if error.is_retryable() => {
                        tracing::warn!(%error, "a replay cannot see how far it is");
                        false
                    }
                    Err(error) => return Err(error),
                },
            };
            if is_complete {
                return Ok(Followed::End(End::Through));
            }
            tokio::select! {
                outcome = &mut *stages => return Ok(Followed::Stages(outcome)),
                () = self.run.rest(LOOK_EVERY, shutdown) => {}
            }
            if self.run.is_over(shutdown) {
                return Ok(Followed::End(End::Interrupted));
            }
        }
    }

    /// Counts how its messages differ from those of the generation it is made from; whether it got through.
    async fn compare(
        &mut self,
        entry: &Entry,
        shutdown: &CancellationToken,
    ) -> Result<bool, StageError> {
        let register = self.run.parts.generations().now();
        let base = entry.base.and_then(|base| register.entry(base));
        let base = base.map(|base| base.parts.messages_topic());
        let mut progress = self.progress(entry).await?;
        progress.forget_comparison(); // an earlier attempt may have ended between it and the mark
        if let Some(base) = base {
            let compared = Compared {
                parts: self.run.parts,
                topics: (base, entry.parts.messages_topic()),
                cpu_share: self.run.config.cpu_share,
            };
            for range in &self.run.replay.spec.screens {
                let is_over = || self.run.is_over(shutdown);
                if !compared.count(range, &mut progress, is_over).await? {
                    return Ok(false);
                }
            }
        }
        self.run.store(&progress).await
    }

    /// Marks the generation as complete, or gives it up.
    pub(super) async fn settle(&self, entry: &Entry, end: &End) -> Result<(), StageError> {
        let state = match end {
            End::Through => GenerationState::Ready,
            End::Failed(_) | End::Hung(_) => GenerationState::Retired,
            End::Interrupted => {
                let replay = self.run.parts.catalog.replay(self.run.id).await?;
                match replay.is_none_or(|r| r.state.is_over()) {
                    true => GenerationState::Retired,
                    false => return Ok(()),
                }
            }
        };
        let now = self.run.parts.clock.now();
        let number = entry.generation;
        let mark = |register: &mut Register| {
            if let Some(entry) = register.entry_mut(number) {
                entry.state = state;
                entry.idle_since = Some(now);
            }
            Ok::<_, ()>(())
        };
        self.run.parts.generations().change(mark).await?.ok();
        Ok(())
    }

    /// The generation this replay fills: that of an earlier attempt, or a new one.
    pub(super) async fn entry(&self) -> Result<Option<Entry>, StageError> {
        let (spec, now) = (&self.run.replay.spec, self.run.parts.clock.now());
        let own = spec.stage.own_parts();
        let model = self.model(own).await?;
        let make = |register: &mut Register| {
            if let Some(entry) = register.made_by(self.run.id) {
                return Ok::<_, ()>(entry.clone());
            }
            let base = spec.base_generation.and_then(|base| register.entry(base));
            let base = base.filter(|e| e.is_kept()).ok_or(())?;
            let generation = register.next_number();
            let entry = Entry {
                generation,
                parts: base.parts.with(own, generation),
                state: GenerationState::Building,
                replay: Some(self.run.id.to_owned()),
                base: Some(base.generation),
                stretches: self.stretches(base),
                screens_from: screens_from(spec),
                reassign: spec.reassign,
                model: model.clone(),
                embeds: spec.model.is_some(),
                created_at: now,
                idle_since: None,
                came_from: None,
                removed: Vec::new(),
            };
            register.all.push(entry.clone());
            Ok(entry)
        };
        Ok(self.run.parts.generations().change(make).await?.ok())
    }

    /// Whose vectors its own store holds: those asked for, else those of the store it is made beside.
    async fn model(&self, own: &[Part]) -> Result<Option<String>, StageError> {
        let spec = &self.run.replay.spec;
        if !own.contains(&Part::Store) || spec.model.is_some() {
            return Ok(spec.model.clone());
        }
        let register = self.run.parts.generations().now();
        let Some(base) = spec.base_generation.and_then(|base| register.entry(base)) else {
            return Ok(None);
        };
        let embedder = self
            .run
            .parts
            .line
            .parts
            .stores
            .embedder_of(base.parts.store);
        Ok(Some(embedder.await?.model().name()))
    }

    fn stretches(&self, base: &Entry) -> Vec<Stretch> {
        let spec = &self.run.replay.spec;
        let Some((rules, shipped)) = &spec.rules_kept else {
            return base.stretches.clone();
        };
        let over: Vec<Stretch> = spec
            .screens
            .iter()
            .map(|range| Stretch {
                partition: range.partition,
                from: range.from,
                to: range.to,
                rules: rules.clone(),
                shipped: *shipped,
            })
            .collect();
        Stretch::overlay(&base.stretches, &over)
    }

    /// Stores how far it is; whether everything is there.
    async fn look(&mut self, entry: &Entry) -> Result<bool, StageError> {
        // Asked first, so that what is stored at the end is all of it.
        let is_complete = self.is_complete(entry).await?;
        let progress = self.progress(entry).await?;
        if self.run.is_new(&progress) && !self.run.store(&progress).await? {
            self.run.interrupted.cancel(); // it is over; who ended it also interrupts this
            return Ok(false);
        }
        if self.asked_at.elapsed() >= ASK_EVERY {
            self.asked_at = Instant::now();
            if !self.run.is_wanted().await? {
                self.run.interrupted.cancel();
            }
        }
        Ok(is_complete)
    }

    /// Part by part: the ends that one part must reach are those of the part before it once that was there.
    async fn is_complete(&mut self, entry: &Entry) -> Result<bool, StageError> {
        let (log, catalog) = (&*self.run.parts.log, &*self.run.parts.line.parts.catalog);
        for part in entry.own_parts() {
            if part == Part::Stories
                && !entry.reassign
                && !take_over_is_done(log, entry.generation).await?
            {
                return Ok(false);
            }
            if !self.wanted.iter().any(|(p, _)| *p == part) {
                let wanted = self.wanted_of(entry, part).await?;
                self.wanted.push((part, wanted));
            }
            let wanted = self.wanted.iter().find(|(p, _)| *p == part);
            let wanted = wanted.map_or(&[][..], |(_, wanted)| wanted);
            // One after the other, so that the later ones are fixed when the earlier are there.
            if !reached(log, catalog, wanted).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(self.run.parts.line.lacking(entry).await? == 0)
    }

    async fn wanted_of(&self, entry: &Entry, part: Part) -> Result<Vec<Wanted>, StageError> {
        let mut wanted = Vec::new();
        let register = self.run.parts.generations().now();
        for (stage, topic) in positions_of(&register, part, entry) {
            for p in self.run.parts.log.partitions(&topic).await? {
                let screened = self.run.replay.spec.ranges.iter();
                let to = match part {
                    Part::Messages => screened
                        .filter(|r| r.partition == p.partition)
                        .map(|r| r.to)
                        .next()
                        .unwrap_or(p.bounds.end),
                    Part::Store | Part::Stories | Part::Windows | Part::Knowledge => p.bounds.end,
                };
                wanted.push(Wanted {
                    stage,
                    input: TopicPartition::new(topic.clone(), p.partition),
                    next: to,
                });
            }
        }
        Ok(wanted)
    }

    /// What the ledger of its stages says of the replay's ranges.
    async fn progress(&self, entry: &Entry) -> Result<ReplayProgress, StageError> {
        let spec = &self.run.replay.spec;
        let first = entry.own_parts().next().unwrap_or(Part::Messages);
        let register = self.run.parts.generations().now();
        let mut next: BTreeMap<_, Offset> =
            spec.ranges.iter().map(|r| (r.partition, r.from)).collect();
        let mut counters = Counters::default();
        let stages = positions(
            &*self.run.parts.log,
            &*self.run.parts.line.parts.catalog,
            &register,
            &[(first, entry.generation)],
        )
        .await?;
        for position in stages.iter().filter(|p| p.input.topic == spec.input) {
            let key = StageKey {
                stage: position.stage.clone(),
                input: position.input.clone(),
            };
            if let Some(at) = next.get_mut(&position.input.partition) {
                *at = (*at).max(position.next);
            }
            counters += &self.counters(&key).await?;
        }
        let mut progress = self.run.replay.progress.clone();
        let ranges = spec.ranges.iter();
        progress.next = ranges.map(|r| next[&r.partition].min(r.to)).collect();
        let passed = spec.ranges.iter().zip(&progress.next);
        let ledger = &mut progress.result.ledger;
        ledger.received = passed
            .map(|(r, next)| next.0.saturating_sub(r.from.0))
            .sum();
        ledger.judged = counters.emitted;
        // Those whose vectors are made behind the store are not through before they have them.
        let lacking = self.run.parts.line.lacking(entry).await?;
        ledger.received = ledger.received.saturating_sub(lacking);
        ledger.judged = ledger.judged.saturating_sub(lacking);
        ledger.skipped = counters.skipped;
        ledger.failed = BTreeMap::new();
        if counters.dead_lettered > 0 {
            ledger
                .failed
                .insert("dead_lettered".to_owned(), counters.dead_lettered);
        }
        Ok(progress)
    }

    async fn counters(&self, key: &StageKey) -> Result<Counters, StageError> {
        let state = crate::generations::state_of(&*self.run.parts.log, &key.state_key()).await?;
        let state = match state {
            Some(state) => Some(state),
            None => self.run.parts.line.parts.catalog.stage_state(key).await?,
        };
        Ok(state.map(|s| s.counters).unwrap_or_default())
    }
}

fn positions_of(register: &Register, part: Part, entry: &Entry) -> Vec<(&'static str, Topic)> {
    crate::generations::stages_of(register, part, entry.generation)
}

/// How watching ended.
enum Followed {
    /// For this reason; the stages still run.
    End(End),
    /// The stages have ended.
    Stages(Result<(), StageError>),
}
