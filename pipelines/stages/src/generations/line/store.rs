//! Everything that writes to the message store of one generation, under one lease: the index, the vectors behind it, the
//! labels, the upkeep.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use telesift_ports::{
    Embedder, MessageStore,
    embedder::EmbeddingCost,
    generations::{Entry, Register},
    message_store,
};
use telesift_schemas::{Class, Generation, Topic};
use tokio_util::sync::CancellationToken;

use super::{Line, Running, Turn, all, run};
use crate::{
    StageError,
    embed::{Embed, kept_from},
    generations::stage_name,
    index::{self, Index},
    labels::{self, LabelProjection},
    workers::Held,
};

/// Decisions read at once.
const DECISIONS: usize = 1_000;

impl Line {
    /// messages ─► index ─► store ◄─ labels ◄─ decisions. Vectors that are made behind the store are those of the live one, and
    /// of one that was made for their sake.
    ///
    /// # Errors
    /// What no retry mends, of any of them; the others have stopped by then.
    pub async fn store(
        self: &Arc<Self>,
        entry: &Entry,
        pace: Turn,
        held: Held,
    ) -> Result<(), StageError> {
        let (parts, generation, held) = (&self.parts, entry.generation, held.child());
        let Some((store, embedder)) = self.opened(generation, &held).await? else {
            return Ok(());
        };
        store.begin_term(held.term.clone()).await?;
        let messages = self.partitions(&entry.parts.messages_topic()).await?;
        let mut running = Running::new();

        let index = Index::new(
            parts.log.clone(),
            store.clone(),
            parts.catalog.clone(),
            embedder.clone(),
            parts.clock.clone(),
            messages.clone(),
        )
        .of(generation)
        .under(held.fence());
        let name = stage_name(index::STAGE, generation);
        let (n, interval) = (self.config.index_records, self.config.index_interval);
        let consumer = self.consumer(name, messages.clone(), n, interval);
        running.spawn(run(consumer, index, pace.clone(), held.stop.clone()));

        for input in self.partitions(&Topic::DECISIONS).await? {
            let labels = LabelProjection::new(
                parts.log.clone(),
                parts.catalog.clone(),
                store.clone(),
                parts.clock.clone(),
                input.clone(),
            )
            .of(generation)
            .under(held.fence());
            let name = stage_name(labels::STAGE, generation);
            let consumer = self.consumer(name, vec![input], DECISIONS, Duration::ZERO);
            running.spawn(run(consumer, labels, pace.clone(), held.stop.clone()));
        }

        if embedder.cost() != EmbeddingCost::Negligible {
            let (line, store, held) = (self.clone(), store.clone(), held.clone());
            running.spawn(async move {
                let embed = |held: Held| {
                    let parts = &line.parts;
                    let stage = Embed::new(
                        parts.log.clone(),
                        store.clone(),
                        embedder.clone(),
                        parts.catalog.clone(),
                        parts.clock.clone(),
                        messages.clone(),
                        line.config.embed.clone(),
                    );
                    stage
                        .of(generation)
                        .at_pace(pace.clone())
                        .counting(line.refused_in(generation))
                        .run(held.stop)
                };
                let wants = |register: &Register| {
                    register.live_parts().store == generation
                        || register.entry(generation).is_some_and(|e| e.embeds)
                };
                line.while_holds(wants, held, embed).await
            });
        }
        let every = self.config.maintain_every;
        running.spawn(maintain(store, generation, every, held.stop.clone()));
        all(running, generation, &held.stop).await
    }
}

impl Line {
    /// The store of a generation, and what makes its vectors. `None` for one that is not live and whose model is not at hand any
    /// more: it stays as it is until `held` ends.
    async fn opened(
        &self,
        generation: Generation,
        held: &Held,
    ) -> Result<Option<(Arc<dyn MessageStore>, Arc<dyn Embedder>)>, StageError> {
        let stores = &self.parts.stores;
        let store = match stores.of(generation).await {
            Ok(store) => store,
            Err(error @ message_store::Error::ModelMismatch { .. })
                if self.parts.generations.live().store != generation =>
            {
                tracing::warn!(%error, generation = generation.0, "the store is not kept up to date");
                held.stop.cancelled().await;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some((store, stores.embedder_of(generation).await?)))
    }

    /// The classes whose messages get vectors.
    pub(crate) fn embedded_classes(&self) -> &[Class] {
        &self.config.embed.classes
    }

    fn refused_in(&self, generation: Generation) -> Arc<AtomicU64> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.entry(generation).or_default().clone()
    }

    /// How many messages of a store that was made for its vectors still lack theirs, but for those the model refuses.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn lacking(&self, entry: &Entry) -> Result<u64, StageError> {
        let (stores, generation) = (&self.parts.stores, entry.generation);
        if !entry.embeds {
            return Ok(0);
        }
        let embedder = stores.embedder_of(generation).await?;
        if embedder.cost() == EmbeddingCost::Negligible {
            return Ok(0);
        }
        let kept = kept_from(&*embedder, &*self.parts.catalog).await?;
        // Asked first: what is refused from then on only makes it come later.
        let refused = self.refused_in(generation).load(Ordering::SeqCst);
        let store = stores.of(generation).await?;
        let lacking = store
            .count_without_vector(&self.config.embed.classes, kept.as_ref())
            .await?;
        Ok(lacking.saturating_sub(refused))
    }
}

/// Compacts and extends the indexes now and then; a failure is logged and tried again next time.
async fn maintain(
    store: Arc<dyn MessageStore>,
    generation: Generation,
    every: Duration,
    stop: CancellationToken,
) -> Result<(), StageError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        match store.maintain().await {
            Err(lost @ message_store::Error::LeaseLost { .. }) => return Err(lost.into()),
            Err(error) => {
                let again_s = every.as_secs();
                tracing::warn!(%error, generation = generation.0, "store maintenance failed; it runs again in {again_s} s");
            }
            Ok(()) => {}
        }
    }
}
