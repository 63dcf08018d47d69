//! Every part of a complete generation has its stages running; what nobody uses any more is removed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use telesift_ports::{
    generations::{GenerationState, Part, Register},
    ledger::StageKey,
    record_log::Transaction,
};
use telesift_schemas::{Generation, Timestamp, Topic};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Line, TAKE_OVER, positions::stages_of, stage_name, take_over::stories_state_key};
use crate::{StageError, consumer::pause, decisions::rules::gate, workers::Held};

/// How long to wait before stages that could not be started are started again.
const START_AGAIN: Duration = Duration::from_secs(1);

/// How generations are kept.
#[derive(Clone, Copy, Debug)]
pub struct UpkeepConfig {
    /// A generation that is not live goes after this long; `None` = never by itself.
    pub keep_for: Option<Duration>,
    /// How often it is looked what other processes changed, and what has grown old.
    pub look_every: Duration,
    /// How long after it was given up a generation is removed: whoever still reads or fills it has noticed by then.
    pub settle: Duration,
    /// Whether the stages of the first generation are run here too; else whoever runs them asks [`Line::while_used`].
    pub runs_first: bool,
}

impl Default for UpkeepConfig {
    /// 7 days; once a second; removed 10 s after; the first generation too.
    fn default() -> Self {
        UpkeepConfig {
            keep_for: Some(Duration::from_secs(7 * 86_400)),
            look_every: Duration::from_secs(1),
            settle: Duration::from_secs(10),
            runs_first: true,
        }
    }
}

/// A part, and who made it.
type Made = (Part, Generation);

/// Runs the stages of all complete generations.
pub struct Upkeep {
    line: Arc<Line>,
    config: UpkeepConfig,
    running: HashMap<Made, CancellationToken>,
    tasks: JoinSet<(Made, Result<(), StageError>)>,
}

impl Upkeep {
    /// With the stages of `line`.
    pub fn new(line: Arc<Line>, config: UpkeepConfig) -> Self {
        Upkeep {
            line,
            config,
            running: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until `held` ends; the batches in flight are finished first.
    ///
    /// # Errors
    /// What no retry mends, of any stage.
    pub async fn run(mut self, held: Held) -> Result<(), StageError> {
        let mut changes = self.line.parts.generations.watch();
        let outcome = loop {
            let register = changes.borrow_and_update().clone();
            self.start_and_stop(&register, &held);
            if let Err(error) = self.tidy(&register).await {
                tracing::warn!(%error, "old generations are tidied up later");
            }
            tokio::select! {
                () = held.stop.cancelled() => break Ok(()),
                _ = changes.changed() => {}
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = self.ended(ended) {
                        break Err(error);
                    }
                }
                () = tokio::time::sleep(self.config.look_every) => {}
            }
        };
        for stop in self.running.values() {
            stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
        outcome
    }

    fn start_and_stop(&mut self, register: &Register, held: &Held) {
        let mut wanted = register.in_use(GenerationState::Ready);
        wanted.retain(|(part, of)| {
            Part::OF_MESSAGES.contains(part) && (self.config.runs_first || *of != Generation::FIRST)
        });
        for (made, stop) in &self.running {
            if !wanted.contains(made) {
                stop.cancel();
            }
        }
        for made in wanted {
            if self.running.contains_key(&made) {
                continue;
            }
            let Some(entry) = register.entry(made.1).cloned() else {
                continue;
            };
            let held = held.child();
            let stop = held.stop.clone();
            self.running.insert(made, stop.clone());
            let line = self.line.clone();
            self.tasks.spawn(async move {
                let outcome = match line.prepare(&entry).await {
                    Ok(()) => line.run(&entry, &[made.0], None, held).await,
                    Err(error) => Err(error),
                };
                if outcome.as_ref().is_err_and(StageError::is_retryable) {
                    pause(START_AGAIN, &stop).await;
                }
                (made, outcome)
            });
        }
    }

    /// Takes note that the stages of a part have ended.
    fn ended(
        &mut self,
        ended: Result<(Made, Result<(), StageError>), tokio::task::JoinError>,
    ) -> Result<(), StageError> {
        let unexpected = |what: String| StageError::State {
            key: "generations".to_owned(),
            reason: what,
        };
        let (made, outcome) = ended.map_err(|panic| unexpected(format!("panicked: {panic}")))?;
        let stop = self.running.remove(&made);
        match outcome {
            Ok(()) if stop.is_some_and(|s| s.is_cancelled()) => Ok(()),
            Ok(()) => Err(unexpected(format!(
                "the {} of generation {} ended by themselves",
                made.0.as_str(),
                made.1.0
            ))),
            // They may be started anew: the log or a store was out of reach.
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, part = made.0.as_str(), generation = made.1.0, "starts again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what others changed, retires what is old, removes what nobody uses.
    async fn tidy(&self, register: &Register) -> Result<(), StageError> {
        let generations = &self.line.parts.generations;
        generations.refresh().await?;
        if let Some(keep_for) = self.config.keep_for {
            let now = self.line.parts.clock.now();
            let old: Vec<Generation> = old(register, keep_for, now);
            if !old.is_empty() {
                generations.change(|r| retire_old(r, &old, now)).await?.ok();
            }
        }
        for (part, of) in register.to_be_removed() {
            let given_up = register.entry(of).and_then(|e| e.idle_since);
            let is_settled = given_up
                .is_none_or(|since| age(since, self.line.parts.clock.now()) >= self.config.settle);
            let is_busy = self.running.contains_key(&(part, of)) || self.line.busy.is((part, of));
            if is_busy || !is_settled {
                continue; // its stages are ending
            }
            self.remove(register, part, of).await?;
            let note = |r: &mut Register| {
                if let Some(entry) = r.entry_mut(of) {
                    entry.removed.push(part);
                }
                Ok::<_, ()>(())
            };
            generations.change(note).await?.ok();
            tracing::info!(part = part.as_str(), generation = of.0, "removed");
        }
        Ok(())
    }

    /// Removes a part: data first, positions last, so that it can be done again.
    async fn remove(
        &self,
        register: &Register,
        part: Part,
        of: Generation,
    ) -> Result<(), StageError> {
        let parts = &self.line.parts;
        match part {
            Part::Messages => {
                parts.log.delete_topic(&Topic::MESSAGES.of(of)).await?;
                parts.log.forget_generation(of).await?;
            }
            Part::Store => parts.stores.remove(of).await?,
            Part::Stories => {
                parts.log.delete_topic(&Topic::STORIES.of(of)).await?;
                parts.catalog.remove_stories(of).await?;
            }
            Part::Windows => parts.catalog.remove_windows(of).await?,
            Part::Knowledge => parts.catalog.remove_readings(of).await?,
        }
        let mut keys = Vec::new();
        let mut stages: Vec<&'static str> = Vec::new();
        stages.extend(
            stages_of(register, part, of)
                .into_iter()
                .map(|(stage, _)| stage),
        );
        match part {
            Part::Messages => stages.push(stage_name(TAKE_OVER, of)),
            Part::Stories => keys.push(stories_state_key(of)),
            Part::Store | Part::Windows | Part::Knowledge => {}
        }
        for stage in stages {
            parts.catalog.remove_stage_states(stage).await?;
            for prefix in [StageKey::STATE_PREFIX, gate::CLAIMS, "suspects/"] {
                let found = parts
                    .log
                    .state_with_prefix(&format!("{prefix}{stage}/"))
                    .await?;
                keys.extend(found.into_iter().map(|(key, _)| key));
            }
        }
        let mut transaction = Transaction::appends(Vec::new());
        transaction.finish = Box::new(move |_| keys.into_iter().map(|key| (key, None)).collect());
        parts.log.commit(transaction).await?;
        Ok(())
    }
}

/// Complete generations that are not live and were not used for as long as they are kept.
fn old(register: &Register, keep_for: Duration, now: Timestamp) -> Vec<Generation> {
    let is_old = |since: Timestamp| age(since, now) >= keep_for;
    let idle = register.all.iter().filter(|e| {
        e.state == GenerationState::Ready
            && e.generation != register.live
            && e.idle_since.is_some_and(is_old)
            && !register.is_base_of_building(e.generation)
    });
    idle.map(|e| e.generation).collect()
}

/// How long ago `since` was; nothing if that is to come.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    let age_ms = now.as_millisecond().saturating_sub(since.as_millisecond());
    Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
}

fn retire_old(register: &mut Register, old: &[Generation], now: Timestamp) -> Result<(), ()> {
    for generation in old {
        let is_live = register.live == *generation;
        if let Some(entry) = register.entry_mut(*generation).filter(|_| !is_live) {
            entry.state = GenerationState::Retired;
            entry.idle_since = Some(now);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_generation_never_grows_old() {
        let mut register = Register::first();
        let mut second = register.all[0].clone();
        second.generation = Generation(2);
        second.idle_since = Some(Timestamp::UNIX_EPOCH);
        register.all[0].idle_since = Some(Timestamp::UNIX_EPOCH);
        register.all.push(second);
        let week = Duration::from_secs(7 * 86_400);
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(old(&register, week, at(7 * 86_400 - 1)), []);
        assert_eq!(old(&register, week, at(7 * 86_400)), [Generation(2)]);
        register.live = Generation(2);
        assert_eq!(old(&register, week, at(7 * 86_400)), [Generation::FIRST]);
    }
}
