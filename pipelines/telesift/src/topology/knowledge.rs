//! messages ─► units ─► extractions ─► atoms: what belongs together, what it claims, and what is known then.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use telesift_ports::{AtomIndex, Extractor, leases as lease, message_store};
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};
use telesift_stages::{
    Crew,
    atom_index::{self, AtomProjection},
    chat_settings::{self, ChatProjection},
    extract::{self, Extract, ExtractParts, UnitPlanner},
    knowledge::{self, Knowledge},
    labelled_units::{self, LabelledUnits},
    switched_units::SwitchedUnits,
    unit_catalog::{self, UnitProjection},
    units::{self, Units},
    workers::{DutyError, Held, together},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Parts, run};

/// Records one round of these stages takes: what it comes to is one transaction, which must be done within the time of a call.
const BATCH: usize = 100;

/// Adds the duties of the role `extract`: one per partition of `messages` that groups, and one for all that is known.
pub(super) async fn add(
    crew: &mut Crew,
    parts: &Parts,
    extractor: Arc<dyn Extractor>,
    index: Arc<AtomIndex>,
    news: Arc<Notify>,
) -> Result<()> {
    let messages = parts.partitions(Topic::MESSAGES).await?;
    for input in &messages {
        let (parts, input) = (parts.clone(), input.clone());
        let lease = lease::of_partition(units::STAGE, &input);
        crew.add("extract", units::STAGE, lease, move |held| {
            let config = (&parts.config.units).into();
            let (log, clock) = (parts.log.clone(), parts.clock.clone());
            let stage = Units::new(log, clock, input.clone(), config);
            let consumer = parts.consumer(units::STAGE, vec![input.clone()], 1_000, 200);
            let stage = parts.after_index(stage.under(held.fence()), &held);
            run(consumer, stage, held.stop)
        });
    }
    let of_units = parts.partitions(Topic::UNITS).await?;
    let owner = (parts.clone(), messages, of_units, extractor, index, news);
    crew.add("extract", extract::STAGE, lease::KNOWLEDGE, move |held| {
        let (parts, messages, of_units, extractor, index, news) = owner.clone();
        let asked = (extractor, index, news);
        async move { know(parts, messages, of_units, asked, held).await }
    });
    Ok(())
}

/// What looks at units before a replay asks for them anew; `news` wakes the stage.
pub(super) fn planner(
    parts: &Parts,
    extractor: Arc<dyn Extractor>,
    index: &AtomIndex,
    news: Arc<Notify>,
) -> Arc<UnitPlanner> {
    let asked_with = asked_with(parts, extractor, index);
    let config = parts.config.extract.beside(&index.embedder().model().id);
    Arc::new(UnitPlanner::new(asked_with, news, config))
}

fn asked_with(parts: &Parts, extractor: Arc<dyn Extractor>, index: &AtomIndex) -> ExtractParts {
    ExtractParts {
        log: parts.log.clone(),
        store: parts.store.clone(),
        catalog: parts.catalog.clone(),
        extractor,
        generations: parts.generations.clone(),
        embedder: index.embedder().clone(),
        index_lag: parts.index_lag.clone(),
        clock: parts.clock.clone(),
    }
}

/// Everything that writes what is known, under one lease.
async fn know(
    parts: Parts,
    messages: Vec<TopicPartition>,
    of_units: Vec<TopicPartition>,
    (extractor, index, news): (Arc<dyn Extractor>, Arc<AtomIndex>, Arc<Notify>),
    held: Held,
) -> Result<(), DutyError> {
    index.begin_term(held.term.clone()).await?;
    let (log, catalog, clock) = (&parts.log, &parts.catalog, &parts.clock);
    let waiting = UnitProjection::new(
        log.clone(),
        catalog.clone(),
        clock.clone(),
        of_units.clone(),
        news.clone(),
    );
    let decisions = TopicPartition::new(Topic::DECISIONS, PartitionId(0));
    let settings = ChatProjection::new(
        log.clone(),
        catalog.clone(),
        catalog.clone(),
        clock.clone(),
        decisions.clone(),
    );
    let labelled = LabelledUnits::new(
        log.clone(),
        catalog.clone(),
        parts.store.clone(),
        clock.clone(),
        decisions.clone(),
    );
    let switched = SwitchedUnits::new(
        log.clone(),
        catalog.clone(),
        parts.store.clone(),
        clock.clone(),
        parts.generations.clone(),
    );
    let switched = switched.under(held.fence());
    let (tell, applied) = watch::channel(Offset::ZERO);
    let known = Knowledge::new(log.clone(), catalog.clone(), clock.clone(), tell)
        .following(parts.generations.clone());
    let indexed = AtomProjection::new(
        log.clone(),
        catalog.clone(),
        index.clone(),
        index.embedder().clone(),
        clock.clone(),
    );
    let asking = Extract::new(
        asked_with(&parts, extractor, &index),
        messages,
        news,
        applied,
        parts.config.extract.beside(&index.embedder().model().id),
    );
    let asking = asking.under(held.fence());
    let (stop, walking) = (held.stop.clone(), held.stop.clone());
    let every = Duration::from_secs(parts.config.index.maintain_every_s.max(1));
    together(vec![
        run(
            parts.consumer(unit_catalog::STAGE, of_units, BATCH, 0),
            waiting.under(held.fence()),
            stop.clone(),
        ),
        run(
            parts.consumer(knowledge::STAGE, Knowledge::inputs().to_vec(), BATCH, 0),
            known.under(held.fence()),
            stop.clone(),
        ),
        run(
            parts.consumer(atom_index::STAGE, vec![AtomProjection::input()], BATCH, 500),
            indexed.under(held.fence()),
            stop.clone(),
        ),
        run(
            parts.consumer(chat_settings::STAGE, vec![decisions.clone()], BATCH, 0),
            settings.under(held.fence()),
            stop.clone(),
        ),
        run(
            parts.consumer(labelled_units::STAGE, vec![decisions], BATCH, 0),
            labelled.under(held.fence()),
            stop.clone(),
        ),
        Box::pin(async move { Ok(switched.run(walking).await?) }),
        Box::pin(async move { Ok(asking.run(stop).await?) }),
        Box::pin(maintain(index, every, held.stop.clone())),
        Box::pin(forget(parts.clone(), held.stop)),
    ])
    .await
}

/// Forgets answers and calls of language models that are older than the configuration says; a failure is logged and tried
/// again next time.
async fn forget(parts: Parts, stop: CancellationToken) -> Result<(), DutyError> {
    const EVERY: Duration = Duration::from_secs(3_600);
    loop {
        let now = parts.clock.now();
        let kept = parts.config.enrich.kept_since(now);
        let catalog = &parts.catalog;
        let forgotten = async {
            let answers = match kept.answers {
                Some(before) => catalog.forget_answers(before).await?,
                None => 0,
            };
            let calls = match kept.calls {
                Some(before) => catalog.forget_calls(before).await?,
                None => 0,
            };
            Ok::<_, telesift_ports::catalog::Error>((answers, calls))
        };
        match forgotten.await {
            Ok((0, 0)) => {}
            Ok((answers, calls)) => tracing::info!(answers, calls, "forgotten by age"),
            Err(error) => tracing::warn!(%error, "old answers and calls are not forgotten yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Keeps the index of atoms fast; a failure is logged and tried again next time.
async fn maintain(
    index: Arc<AtomIndex>,
    every: Duration,
    stop: CancellationToken,
) -> Result<(), DutyError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        match index.maintain().await {
            Err(lost @ message_store::Error::LeaseLost { .. }) => return Err(lost.into()),
            Err(error) => {
                tracing::warn!(%error, "maintenance of the index of atoms failed; it runs again")
            }
            Ok(()) => {}
        }
    }
}
