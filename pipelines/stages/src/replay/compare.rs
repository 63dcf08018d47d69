//! The messages of two generations in, pairs of one raw record out: what a replay of `screen` changed.

use std::collections::VecDeque;

use telesift_ports::{
    RecordLog,
    record_log::{self, ReadLimits},
    replays::{ReplayProgress, ReplayRange, Twin},
};
use telesift_schemas::{Offset, Origin, Topic, TopicPartition};
use tokio::time::Instant;

use super::{
    ReplayParts,
    judge::{self, Judged},
    tally,
};
use crate::{StageError, generations::Pace};

/// Messages looked at before it is asked whether to go on.
const STEP: usize = 1_000;

/// The generations that are compared.
pub(super) struct Compared<'a> {
    pub(super) parts: &'a ReplayParts,
    /// Messages of the one it is made from, and its own.
    pub(super) topics: (Topic, Topic),
    /// The share of the time this may take.
    pub(super) cpu_share: f64,
}

impl Compared<'_> {
    /// Adds what came of the raw records of `range`; whether it got through before `is_over`.
    ///
    /// # Errors
    /// If log or catalog fail.
    pub(super) async fn count(
        &self,
        range: &ReplayRange,
        progress: &mut ReplayProgress,
        is_over: impl Fn() -> bool,
    ) -> Result<bool, StageError> {
        let pace = Pace::new(self.cpu_share);
        let (base, new) = self.topics.clone();
        let mut comparison = Comparison::new(&*self.parts.log, base, new, *range);
        loop {
            if is_over() {
                return Ok(false);
            }
            let started = Instant::now();
            let Some(pairs) = comparison.step().await? else {
                return Ok(true);
            };
            let asked: Vec<_> = pairs.iter().map(|(_, j)| (j.key, j.edit)).collect();
            let labels = self.parts.labels.labels(&asked).await?;
            for ((offset, judged), label) in pairs.iter().zip(labels) {
                let origin = Origin {
                    topic: Topic::TELEGRAM_RAW,
                    partition: range.partition,
                    offset: *offset,
                };
                tally::compare(progress, judged, &origin, label);
            }
            tokio::time::sleep(pace.rest(started.elapsed())).await;
        }
    }
}

/// One partition of two generations, in the order of the raw records their messages came from.
struct Comparison<'a> {
    base: Side<'a>,
    new: Side<'a>,
    range: ReplayRange,
}

impl<'a> Comparison<'a> {
    /// Compares the messages of `new` with those of `base` that came from the raw records of `range`.
    fn new(log: &'a dyn RecordLog, base: Topic, new: Topic, range: ReplayRange) -> Comparison<'a> {
        let side = |topic| Side {
            log,
            at: TopicPartition::new(topic, range.partition),
            next: Offset::ZERO,
            read: VecDeque::new(),
        };
        Comparison {
            base: side(base),
            new: side(new),
            range,
        }
    }

    /// The next raw records of which both have a message; `None` at the end.
    async fn step(&mut self) -> Result<Option<Vec<(Offset, Judged)>>, record_log::Error> {
        let mut pairs = Vec::new();
        for _ in 0..STEP {
            let (base, new) = (self.base.origin().await?, self.new.origin().await?);
            let (Some(base), Some(new)) = (base, new) else {
                return Ok((!pairs.is_empty()).then_some(pairs));
            };
            if base.max(new) >= self.range.to {
                return Ok((!pairs.is_empty()).then_some(pairs));
            }
            let of_base = (base <= new).then(|| self.base.read.pop_front()).flatten();
            let of_new = (new <= base).then(|| self.new.read.pop_front()).flatten();
            if let (Some((_, of_base)), Some((_, of_new))) = (of_base, of_new)
                && base >= self.range.from
            {
                let screens = Twin {
                    base: of_base.screens.base,
                    new: of_new.screens.new,
                };
                pairs.push((base, Judged { screens, ..of_base }));
            }
        }
        Ok(Some(pairs))
    }
}

/// The messages of one generation.
struct Side<'a> {
    log: &'a dyn RecordLog,
    at: TopicPartition,
    next: Offset,
    /// Read and not yet looked at, with the offset of the raw record.
    read: VecDeque<(Offset, Judged)>,
}

impl Side<'_> {
    /// The raw record that the next message came from; `None` at the end.
    async fn origin(&mut self) -> Result<Option<Offset>, record_log::Error> {
        while self.read.is_empty() {
            let batch = self.log.read(&self.at, self.next, ReadLimits::default());
            let batch = match batch.await {
                Ok(batch) if batch.next > self.next => batch,
                Ok(_) | Err(record_log::Error::TopicNotFound(_)) => return Ok(None),
                Err(record_log::Error::Evicted { first, .. }) => {
                    self.next = first;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.next = batch.next;
            let messages = batch.records.iter();
            self.read
                .extend(messages.filter_map(|r| judge::stored(&r.value)));
        }
        Ok(self.read.front().map(|(origin, _)| *origin))
    }
}
