//! A switch, as a client meets it: its place in one generation becomes its place in another.

use std::sync::Arc;

use telesift_ports::{
    generations::{Register, moved},
    record_log,
};
use telesift_schemas::{Generation, Offset, PartitionId, Topic, TopicPartition};
use tokio::sync::watch;

use super::feed::TopicFeed;
use crate::{state::App, visible::Named};

/// Follows the live generation of a topic.
pub(super) struct Follow {
    app: Arc<App>,
    /// `messages` or `stories`.
    name: Topic,
    changes: watch::Receiver<Arc<Register>>,
}

/// A topic in its new generation.
pub(super) struct Moved {
    pub(super) generation: Generation,
    pub(super) feed: Arc<TopicFeed>,
    /// New places, in the order of the old ones, with the ends of the partitions.
    pub(super) places: Vec<(PartitionId, Offset, Offset)>,
}

impl Follow {
    /// `None` for names that always mean the same topic.
    pub(super) fn new(app: &Arc<App>, named: &Named) -> Option<Self> {
        named.follows.then(|| Follow {
            app: app.clone(),
            name: named.name.clone(),
            changes: app.generations.watch(),
        })
    }

    /// Whether another generation than `current` is live.
    pub(super) fn is_due(&mut self, current: Generation) -> bool {
        let register = self.changes.borrow_and_update().clone();
        let live = register.live_parts();
        let of = match self.name == Topic::STORIES {
            true => live.stories,
            false => live.messages,
        };
        of != current
    }

    /// Returns when the register has changed. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The places in the live generation of a client at `places` in `current`; `None` while one of them is not there yet.
    pub(super) async fn go(
        &self,
        current: Generation,
        places: &[(PartitionId, Offset)],
    ) -> record_log::Result<Option<Moved>> {
        let app = &self.app;
        let named = app.log.named(self.name.clone());
        let mut starts = Vec::with_capacity(places.len());
        for (partition, next) in places {
            let to = (current, named.generation);
            match place(app, &self.name, to, *partition, *next).await? {
                Some(start) => starts.push((*partition, start)),
                None => return Ok(None),
            }
        }
        let bounds = app.log.partitions(&named.stored).await?;
        let end = |partition| {
            let found = bounds.iter().find(|b| b.partition == partition);
            found.map_or(Offset::ZERO, |b| b.bounds.end)
        };
        Ok(Some(Moved {
            generation: named.generation,
            places: starts
                .into_iter()
                .map(|(p, start)| (p, start, end(p)))
                .collect(),
            feed: app.hub.feed(&named.stored, &bounds),
        }))
    }
}

/// Where one partition goes on. Messages by their origins; stories are told anew, from the first one: they may be others.
pub(crate) async fn place(
    app: &App,
    name: &Topic,
    generations: (Generation, Generation),
    partition: PartitionId,
    next: Offset,
) -> record_log::Result<Option<Offset>> {
    let log = &**app.hub.log();
    if *name == Topic::STORIES {
        let at = TopicPartition::new(Topic::STORIES.of(generations.1), partition);
        return Ok(Some(log.bounds(&at).await?.start));
    }
    moved(log, generations, partition, next).await
}
