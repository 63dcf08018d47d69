//! One run of a dry run that compares nothing: the live messages in, how many of them a stage would work on out.

use telesift_ports::{
    providers::KeptHere,
    record_log::{self, ReadLimits, StoredRecord},
    replays::{ReplayProgress, ReplayRange, ReplayStage},
};
use telesift_schemas::{Class, Message, MessageKind, Offset, TopicPartition, flags};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ReplayParts, attempt::End, order::other_embedder, run::Run};
use crate::{StageError, embed::kept_from, generations::Pace};

pub(super) struct Survey<'a> {
    run: Run<'a>,
    progress: ReplayProgress,
    /// The chats of which the model whose vectors would be made is given nothing; `None`: of all it is given what has words.
    kept: Option<KeptHere>,
}

impl<'a> Survey<'a> {
    /// # Errors
    /// If the catalog fails.
    pub(super) async fn begin(run: Run<'a>) -> Result<Self, StageError> {
        let kept = match run.replay.spec.stage {
            ReplayStage::Embed => kept(run.parts).await?,
            _ => None,
        };
        Ok(Survey {
            progress: run.replay.progress.clone(),
            run,
            kept,
        })
    }

    /// Runs until an end.
    ///
    /// # Errors
    /// If log or catalog fail: the next attempt goes on from the last batch that was stored.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<End, StageError> {
        let pace = Pace::new(self.run.config.cpu_share);
        for i in 0..self.run.replay.spec.ranges.len() {
            let range = self.run.replay.spec.ranges[i];
            while self.progress.next[i] < range.to {
                if self.run.is_over(shutdown) {
                    return Ok(End::Interrupted);
                }
                let started = Instant::now();
                if !self.take(i, range).await? {
                    return Ok(End::Interrupted);
                }
                self.run.rest(pace.rest(started.elapsed()), shutdown).await;
            }
        }
        Ok(End::Through)
    }

    /// Takes the next batch of a range, and stores how far that is; `false` if somebody ended the replay.
    async fn take(&mut self, i: usize, range: ReplayRange) -> Result<bool, StageError> {
        let at = TopicPartition::new(self.run.replay.spec.input.clone(), range.partition);
        let limits = ReadLimits {
            max_records: self.run.config.batch_records.max(1),
            ..ReadLimits::default()
        };
        let from = self.progress.next[i];
        let (records, next) = match self.run.parts.log.read(&at, from, limits).await {
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
        match self.run.replay.spec.stage {
            ReplayStage::Embed if is_gone => Some("no_text"),
            ReplayStage::Embed if !self.run.parts.line.embedded_classes().contains(&class) => {
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
        if !self.run.store(&progress).await? {
            return Ok(false);
        }
        self.progress = progress;
        self.run.is_wanted().await
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
