//! Everything that writes to the message store of one generation, under one lease: the index, the vectors behind it, the
//! labels, the upkeep.

use std::{sync::Arc, time::Duration};

use telesift_ports::{MessageStore, generations::Entry, message_store};
use telesift_schemas::{Generation, Topic};
use tokio_util::sync::CancellationToken;

use super::{Line, Running, Turn, all, run};
use crate::{
    StageError,
    embed::{Embed, EmbedConfig},
    generations::stage_name,
    index::{self, Index},
    labels::{self, LabelProjection},
    workers::Held,
};

/// Decisions read at once.
const DECISIONS: usize = 1_000;

impl Line {
    /// messages ─► index ─► store ◄─ labels ◄─ decisions. Vectors that are made behind the store are those of the live one.
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
        let store = parts.stores.of(generation).await?;
        store.begin_term(held.term.clone()).await?;
        let messages = self.partitions(&entry.parts.messages_topic()).await?;
        let mut running = Running::new();

        let index = Index::new(
            parts.log.clone(),
            store.clone(),
            parts.catalog.clone(),
            parts.embedder.clone(),
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

        if let Some(config) = self.config.embed.clone() {
            let (line, store, held) = (self.clone(), store.clone(), held.clone());
            running.spawn(async move {
                let embed = |held: Held| {
                    let stage = Embed::new(
                        line.parts.log.clone(),
                        store.clone(),
                        line.parts.embedder.clone(),
                        line.parts.clock.clone(),
                        messages.clone(),
                        EmbedConfig::clone(&config),
                    );
                    stage.run(held.stop)
                };
                line.while_holds(|r| r.live_parts().store == generation, held, embed)
                    .await
            });
        }
        let every = self.config.maintain_every;
        running.spawn(maintain(store, generation, every, held.stop.clone()));
        all(running, generation, &held.stop).await
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
