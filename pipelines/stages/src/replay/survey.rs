//! One run of a dry run that compares nothing: the live messages in, how many of them a stage would work on out.

use telesift_ports::{
    catalog,
    providers::KeptHere,
    record_log::{self, ReadLimits, StoredRecord},
    replays::{ReplayProgress, ReplayRange, ReplayStage, ReplayState, ReplayStatus},
};
use telesift_schemas::{Class, Message, MessageKind, Offset, TopicPartition, flags};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ReplayConfig, ReplayParts, attempt::End, order::other_embedder};
use crate::{StageError, consumer::pause, embed::kept_from, generations::Pace};

pub(super) struct Survey<'a> {
    parts: &'a ReplayParts,
    config: &'a ReplayConfig,
    id: &'a str,
    interrupted: CancellationToken,
    replay: ReplayStatus,
    progress: ReplayProgress,
    /// Offsets processed as last stored.
    stored: u64,
    /// The chats of which the model whose vectors would be made is given nothing; `None`: of all it is given what has words.
    kept: Option<KeptHere>,
}

impl<'a> Survey<'a> {
    /// Takes the replay up where it was last stored.
    pub(super) async fn begin(
        parts: &'a ReplayParts,
        config: &'a ReplayConfig,
        id: &'a str,
        interrupted: CancellationToken,
    ) -> Result<Self, StageError> {
        let replay = parts.replay(id).await?;
        let progress = replay.progress.clone();
        let kept = match replay.spec.stage {
            ReplayStage::Embed => kept(parts).await?,
            _ => None,
        };
        Ok(Survey {
            parts,
            config,
            id,
            interrupted,
            stored: progress.processed(),
            progress,
            replay,
            kept,
        })
    }

    /// Runs until an end.
    ///
    /// # Errors
    /// If log or catalog fail: the next attempt goes on from the last batch that was stored.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<End, StageError> {
        let pace = Pace::new(self.config.cpu_share);
        for i in 0..self.replay.spec.ranges.len() {
            let range = self.replay.spec.ranges[i];
            while self.progress.next[i] < range.to {
                if shutdown.is_cancelled() || self.interrupted.is_cancelled() {
                    return Ok(End::Interrupted);
                }
                let started = Instant::now();
                if !self.take(i, range).await? {
                    return Ok(End::Interrupted);
                }
                let rest = pace.rest(started.elapsed());
                tokio::select! {
                    () = self.interrupted.cancelled() => {}
                    () = pause(rest, shutdown) => {}
                }
            }
        }
        Ok(End::Through)
    }

    /// Takes the next batch of a range, and stores how far that is; `false` if somebody ended the replay.
    async fn take(&mut self, i: usize, range: ReplayRange) -> Result<bool, StageError> {
        let at = TopicPartition::new(self.replay.spec.input.clone(), range.partition);
        let limits = ReadLimits {
            max_records: self.config.batch_records.max(1),
            ..ReadLimits::default()
        };
        let from = self.progress.next[i];
        let (records, next) = match self.parts.log.read(&at, from, limits).await {
            Ok(batch) => (batch.records, batch.next.min(range.to)),
            Err(record_log::Error::Evicted { first, .. }) => (Vec::new(), first.min(range.to)),
            Err(error) => return Err(error.into()),
        };
        let mut progress = self.progress.clone();
        let records = records.iter().filter(|record| record.offset < range.to);
        let mut n_read = 0;
        for record in records {
            n_read += 1;
            self.count(&mut progress, record);
        }
        let n_lost = next.0.saturating_sub(from.0 + n_read);
        if n_lost > 0 {
            progress.result.ledger.skip("lost", n_lost);
        }
        progress.next[i] = next.max(Offset(from.0 + 1));
        self.store(progress).await
    }

    fn count(&self, progress: &mut ReplayProgress, record: &StoredRecord) {
        let result = &mut progress.result;
        let Ok(message) = serde_json::from_slice::<Message>(&record.value) else {
            return result.ledger.fail("unreadable");
        };
        match self.passed_by(&message) {
            Some(reason) => result.ledger.skip(reason, 1),
            None => {
                result.ledger.received += 1;
                result.ledger.judged += 1;
                result.cost.new.add(&message.text);
            }
        }
    }

    /// Why the stage does not work on a message.
    fn passed_by(&self, message: &Message) -> Option<&'static str> {
        let screen = message.screen.as_ref();
        let class = screen.map_or(Class::Noise, |screen| screen.class);
        let is_spam = screen.is_some_and(|screen| screen.flags.iter().any(|f| f == flags::SPAM));
        let is_gone = message.kind == MessageKind::Deleted || message.text.trim().is_empty();
        match self.replay.spec.stage {
            ReplayStage::Embed if is_gone => Some("no_text"),
            ReplayStage::Embed if !self.parts.line.embedded_classes().contains(&class) => {
                Some("noise")
            }
            ReplayStage::Embed => self.stays(message).then_some("kept_here"),
            ReplayStage::Alert if message.kind == MessageKind::Deleted => Some("deleted"),
            ReplayStage::Alert if is_spam => Some("spam"),
            ReplayStage::Alert => (class == Class::Noise).then_some("noise"),
            _ => None,
        }
    }

    fn stays(&self, message: &Message) -> bool {
        let kept = self.kept.as_ref();
        kept.is_some_and(|kept| kept.keeps(message.chat.id))
    }

    async fn store(&mut self, progress: ReplayProgress) -> Result<bool, StageError> {
        let catalog = &self.parts.catalog;
        match catalog
            .put_replay_progress(self.id, self.stored, &progress)
            .await
        {
            Ok(()) => {
                self.stored = progress.processed();
                self.progress = progress;
            }
            // Whoever ended it has the last word.
            Err(catalog::Error::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let replay = catalog.replay(self.id).await?;
        Ok(replay.is_some_and(|r| r.state == ReplayState::Running))
    }
}

/// What the other model of the configuration may not be given; all counts where none stands there yet.
async fn kept(parts: &ReplayParts) -> Result<Option<KeptHere>, StageError> {
    let (_, other) = other_embedder(parts).await?;
    match other {
        Some(other) => Ok(kept_from(&*other, &*parts.line.parts.catalog).await?),
        None => Ok(None),
    }
}
