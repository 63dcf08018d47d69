//! The live generation changes: once the other one has what it has, by one write.

use std::time::Duration;

use telesift_ports::{
    generations::{Entry, GenerationState, Part, Parts, Register},
    message_store, record_log,
    replays::{GenerationStatus, ReplayError, ReplayStatus},
};
use telesift_schemas::{Generation, Timestamp, Topic, TopicPartition};
use tokio::time::Instant;

use super::{ReplayConfig, ReplayParts};
use crate::{
    StageError,
    generations::{Wanted, positions, reached, screened, stages_of},
};

/// How often it is looked whether a generation has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Switches to the generation of `replay`.
pub(super) async fn to(
    parts: &ReplayParts,
    config: &ReplayConfig,
    replay: &ReplayStatus,
) -> Result<(), ReplayError> {
    let entry = made_by(parts, replay).await?;
    let from = parts.generations().now().live;
    if entry.generation == from {
        return Ok(());
    }
    wait(parts, config, &entry).await?;
    let now = parts.clock.now();
    change(parts, entry.generation, now, |entry, from| {
        entry.came_from = Some(from);
    })
    .await?;
    await_knowledge(parts, config).await
}

/// Switches back from the generation of `replay` to the one before.
pub(super) async fn back(
    parts: &ReplayParts,
    config: &ReplayConfig,
    replay: &ReplayStatus,
) -> Result<(), ReplayError> {
    let entry = made_by(parts, replay).await?;
    let register = parts.generations().now();
    let Some(before) = entry.came_from else {
        return Err(refused(entry.generation, "was never switched to"));
    };
    if register.live != entry.generation {
        return match register.live == before {
            true => Ok(()),
            false => Err(refused(entry.generation, "is not the live one")),
        };
    }
    let target = register
        .entry(before)
        .filter(|e| e.state == GenerationState::Ready);
    let Some(target) = target else {
        return Err(refused(
            before,
            "is retired: there is nothing to switch back to",
        ));
    };
    wait(parts, config, target).await?;
    change(parts, before, parts.clock.now(), |_, _| {}).await?;
    await_knowledge(parts, config).await
}

/// The generation of a replay, if it can be switched to or from.
async fn made_by(parts: &ReplayParts, replay: &ReplayStatus) -> Result<Entry, ReplayError> {
    if replay.spec.dry_run {
        return Err(ReplayError::NoGeneration(
            "a dry run writes nothing that could be switched to",
        ));
    }
    let register = parts.generations().refresh().await?;
    let entry = register.made_by(&replay.id);
    match entry {
        Some(entry) if entry.state == GenerationState::Ready => Ok(entry.clone()),
        Some(entry) if entry.state == GenerationState::Retired && replay.state.is_over() => {
            Err(refused(entry.generation, "is retired"))
        }
        _ => Err(ReplayError::State(replay.state)),
    }
}

/// Waits until `target` has everything the live generation has now.
async fn wait(
    parts: &ReplayParts,
    config: &ReplayConfig,
    target: &Entry,
) -> Result<(), ReplayError> {
    let stores = &parts.line.parts.stores;
    // One whose model is not at hand is not kept up to date, and could not be searched.
    match stores.of(target.parts.store).await {
        Ok(_) => {}
        Err(error @ message_store::Error::ModelMismatch { .. }) => {
            return Err(refused(
                target.generation,
                &format!("cannot be searched: {error}"),
            ));
        }
        Err(error) => return Err(failed(error.into())),
    }
    let deadline = Instant::now() + config.switch_within;
    let register = parts.generations().now();
    let live = register.live_parts();
    // Part by part: what a later one must have is known once the earlier one is there.
    for part in Part::ALL {
        if target.parts.of(part) == live.of(part) {
            continue;
        }
        let stages = stages_of(&register, part, target.parts.of(part));
        for stage in stages {
            let wanted = wanted(parts, &live, part, stage).await.map_err(failed)?;
            until_reached(parts, target, &wanted, deadline).await?;
        }
    }
    Ok(())
}

async fn wanted(
    parts: &ReplayParts,
    live: &Parts,
    part: Part,
    (stage, topic): (&'static str, Topic),
) -> Result<Vec<Wanted>, StageError> {
    let mut wanted = Vec::new();
    for p in parts.log.partitions(&topic).await? {
        let next = match part {
            Part::Messages => {
                screened(&*parts.log, live.messages, p.partition)
                    .await?
                    .next
            }
            Part::Store | Part::Stories | Part::Windows | Part::Knowledge => p.bounds.end,
        };
        let input = TopicPartition::new(topic.clone(), p.partition);
        wanted.push(Wanted { stage, input, next });
    }
    Ok(wanted)
}

async fn until_reached(
    parts: &ReplayParts,
    target: &Entry,
    wanted: &[Wanted],
    deadline: Instant,
) -> Result<(), ReplayError> {
    loop {
        let catalog = &*parts.line.parts.catalog;
        let missing = reached(&*parts.log, catalog, wanted)
            .await
            .map_err(failed)?;
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let say =
                |(w, n): &(Wanted, u64)| format!("{} lacks {n} records of {}", w.stage, w.input);
            return Err(ReplayError::NotCaughtUp {
                generation: target.generation.0,
                missing: missing.iter().map(say).collect(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The one write: `to` is live from then on.
async fn change(
    parts: &ReplayParts,
    to: Generation,
    now: Timestamp,
    note: impl Fn(&mut Entry, Generation) + Send + Sync,
) -> Result<(), ReplayError> {
    let switch = |register: &mut Register| {
        let from = register.live;
        let Some(entry) = register
            .entry_mut(to)
            .filter(|e| e.state == GenerationState::Ready)
        else {
            return Err(refused(to, "was retired meanwhile"));
        };
        if from == to {
            return Ok(from);
        }
        note(entry, from);
        entry.idle_since = None;
        if let Some(left) = register.entry_mut(from) {
            left.idle_since = Some(now);
        }
        register.live = to;
        Ok(from)
    };
    let from = parts.generations().change(switch).await??;
    tracing::info!(from = from.0, to = to.0, "switched the live generation");
    Ok(())
}

/// Waits until the readings of the live generation count. What is known follows the switch, in one transaction of its own: where
/// that takes longer it is told, and comes.
async fn await_knowledge(parts: &ReplayParts, config: &ReplayConfig) -> Result<(), ReplayError> {
    let deadline = Instant::now() + config.switch_within;
    let register = parts.generations().now();
    let wanted = register.readings(register.live_parts().knowledge);
    while parts.line.parts.catalog.readings_in_force().await? != wanted {
        if Instant::now() >= deadline {
            tracing::warn!("what is known follows the switch later: `extract` has more to do");
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Every generation and how far its stages are.
pub(super) async fn list(parts: &ReplayParts) -> Result<Vec<GenerationStatus>, ReplayError> {
    let register = parts.generations().refresh().await?;
    let mut all = Vec::new();
    for entry in &register.all {
        let used: Vec<(Part, Generation)> = match entry.is_kept() {
            true => Part::ALL.map(|part| (part, entry.parts.of(part))).to_vec(),
            false => Vec::new(),
        };
        let (log, catalog) = (&*parts.log, &*parts.line.parts.catalog);
        let model = match entry.is_kept() {
            true => parts
                .line
                .parts
                .stores
                .embedder_of(entry.parts.store)
                .await
                .ok(),
            false => None,
        };
        all.push(GenerationStatus {
            model: model.map(|embedder| embedder.model().name()),
            stages: positions(log, catalog, &register, &used)
                .await
                .map_err(failed)?,
            entry: entry.clone(),
            is_live: entry.generation == register.live,
        });
    }
    Ok(all)
}

/// Gives a generation up.
pub(super) async fn retire(
    parts: &ReplayParts,
    generation: Generation,
) -> Result<bool, ReplayError> {
    let now = parts.clock.now();
    let give_up = |register: &mut Register| {
        if register.live == generation {
            return Err(refused(
                generation,
                "is the live one: switch to another first",
            ));
        }
        if register.is_base_of_building(generation) {
            return Err(refused(
                generation,
                "is being read by a replay: cancel that first",
            ));
        }
        let Some(entry) = register.entry_mut(generation) else {
            return Ok(false);
        };
        match entry.state {
            GenerationState::Building => Err(refused(
                generation,
                "is being filled: cancel its replay instead",
            )),
            GenerationState::Ready => {
                entry.state = GenerationState::Retired;
                entry.idle_since = Some(now);
                Ok(true)
            }
            GenerationState::Retired => Ok(true),
        }
    };
    parts.generations().change(give_up).await?
}

fn refused(generation: Generation, reason: &str) -> ReplayError {
    ReplayError::Generation {
        generation: generation.0,
        reason: reason.to_owned(),
    }
}

pub(super) fn failed(error: StageError) -> ReplayError {
    match error {
        StageError::Log(error) => error.into(),
        StageError::Catalog(error) => error.into(),
        StageError::Generations(error) => error.into(),
        other => ReplayError::Log(record_log::Error::Unavailable {
            reason: other.to_string(),
            ambiguous: false,
        }),
    }
}
