//! Rules decisions come in, the book that says which rules hold at which raw offset leaves; screens and API share it.

pub(crate) mod gate;
mod keeper;
mod positions;
mod projection;
mod timeline;

use std::{sync::Arc, time::Duration};

use telesift_ports::{
    RecordLog, RuleReader,
    generations::Stretch,
    record_log::{self, ReadLimits},
    rules::{RuleSet, RuleSource, RulesError, RulesInfo},
};
use telesift_schemas::{Decision, DecisionKind, Offset, PartitionId, Topic, TopicPartition};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

pub use keeper::RulesKeeper;
pub use projection::{RulesProjection, STAGE};
pub use timeline::Section;
use timeline::Timeline;

/// Which rules hold where, as decided on the topic `decisions`.
///
/// A screen [holds](RulesBook::hold) the book while a batch is in flight; an activation takes it for itself. So when rules
/// are activated nothing is in flight here, the committed positions are what was screened, and everything from there on
/// follows the new decision. What is in flight in other processes is kept apart by `gate`.
pub struct RulesBook {
    log: Arc<dyn RecordLog>,
    reader: Arc<dyn RuleReader>,
    pages: Arc<RwLock<Pages>>,
}

/// What the book knows.
struct Pages {
    timeline: Timeline,
    /// The next decision to read.
    next: Offset,
    /// Whether a decision may stand on the topic that was not read yet.
    is_stale: bool,
}

/// The book, held open: it does not change until this is dropped.
pub struct Held(OwnedRwLockReadGuard<Pages>);

impl Held {
    /// The rules that hold at `offset` of a partition of `telegram-raw`.
    pub fn section(&self, partition: PartitionId, offset: Offset) -> Section {
        self.0.timeline.section(partition, offset)
    }

    /// The same where `stretches` go by rules of their own.
    pub fn section_in(
        &self,
        stretches: &[Stretch],
        partition: PartitionId,
        offset: Offset,
    ) -> Section {
        let (stretch, until) = Stretch::at(stretches, partition, offset);
        match stretch {
            Some(stretch) => Section {
                rules: self.0.timeline.named(&stretch.rules, stretch.shipped),
                until,
            },
            None => {
                let section = self.section(partition, offset);
                let ends = section.until.into_iter().chain(until);
                Section {
                    until: ends.min(),
                    ..section
                }
            }
        }
    }
}

impl RulesBook {
    /// Reads every rules decision there is.
    ///
    /// # Errors
    /// [`RulesError::Unreadable`] for a rules decision this version cannot read; whatever the log says.
    pub async fn load(
        log: Arc<dyn RecordLog>,
        reader: Arc<dyn RuleReader>,
    ) -> Result<Self, RulesError> {
        let pages = Pages {
            timeline: Timeline::new(reader.shipped()),
            next: Offset::ZERO,
            is_stale: true,
        };
        let book = RulesBook {
            log,
            reader,
            pages: Arc::new(RwLock::new(pages)),
        };
        drop(book.hold().await?);
        Ok(book)
    }

    /// Holds the book open for reading.
    ///
    /// # Errors
    /// When there are decisions that cannot be read now.
    pub async fn hold(&self) -> Result<Held, RulesError> {
        loop {
            let pages = self.pages.clone().read_owned().await;
            // Other processes decide too.
            if !pages.is_stale && self.log.bounds(&decisions()).await?.end <= pages.next {
                return Ok(Held(pages));
            }
            drop(pages);
            let mut pages = self.pages.clone().write_owned().await;
            self.catch_up(&mut pages).await?;
        }
    }

    /// Takes the book for oneself, once every batch in flight has ended, with every decision read.
    async fn take(&self, within: Duration) -> Result<OwnedRwLockWriteGuard<Pages>, RulesError> {
        let taken = tokio::time::timeout(within, self.pages.clone().write_owned()).await;
        let mut pages = taken.map_err(|_| RulesError::Busy)?;
        self.catch_up(&mut pages).await?;
        Ok(pages)
    }

    /// Reads what was decided since. May be called again after any failure.
    async fn catch_up(&self, pages: &mut Pages) -> Result<(), RulesError> {
        let at = decisions();
        loop {
            let batch = match self.log.read(&at, pages.next, ReadLimits::default()).await {
                Err(record_log::Error::Evicted { first, .. }) => {
                    tracing::warn!(%first, "decisions were evicted: rules activated before are forgotten");
                    pages.next = first;
                    continue;
                }
                batch => batch?,
            };
            for gap in &batch.gaps {
                tracing::error!(from = %gap.from, to = %gap.to, reason = ?gap.reason, "decisions cannot be read");
            }
            for record in &batch.records {
                if !timeline::is_decision(&record.value) {
                    // It can decide nothing, about rules neither; the projections make it a dead letter.
                    tracing::error!(offset = %record.offset, "a record of `decisions` is no decision");
                    continue;
                }
                let unreadable = |reason: String| RulesError::Unreadable {
                    offset: record.offset,
                    reason,
                };
                if let Some(decision) =
                    timeline::read(&record.value).map_err(|e| unreadable(e.to_string()))?
                {
                    let reader = &*self.reader;
                    pages
                        .timeline
                        .apply(record.offset, decision, reader)
                        .map_err(unreadable)?;
                }
                pages.next = record.offset.next();
            }
            pages.next = batch.next;
            if pages.next >= batch.end {
                pages.is_stale = false;
                return Ok(());
            }
        }
    }

    /// A set with its data, as this build reads it.
    ///
    /// # Errors
    /// [`RulesError::Refused`] if this build cannot read it.
    pub async fn rule_set(&self, info: &RulesInfo) -> Result<RuleSet, RulesError> {
        let Some(made) = &info.added else {
            return Ok(self.reader.shipped());
        };
        let (data, _) = self.added(made.decision).await?;
        let set = self.reader.read(RuleSource::Json(&data));
        set.map_err(|e| RulesError::Refused {
            version: info.version.clone(),
            reason: e.to_string(),
        })
    }

    /// Data and source of the set that was added by the decision at `offset`.
    async fn added(&self, offset: Offset) -> Result<(String, String), RulesError> {
        let unreadable = |reason: &str| RulesError::Unreadable {
            offset,
            reason: reason.to_owned(),
        };
        let one = ReadLimits {
            max_records: 1,
            ..ReadLimits::default()
        };
        let batch = self.log.read(&decisions(), offset, one).await?;
        let record = batch.records.first().filter(|r| r.offset == offset);
        let record = record.ok_or_else(|| unreadable("it is not there any more"))?;
        let decision: Decision =
            serde_json::from_slice(&record.value).map_err(|e| unreadable(&e.to_string()))?;
        match decision.decision {
            DecisionKind::RulesAdded { data, source, .. } => Ok((data, source)),
            _ => Err(unreadable("it adds no rules")),
        }
    }
}

/// The one partition of `decisions`.
fn decisions() -> TopicPartition {
    TopicPartition::new(Topic::DECISIONS, PartitionId(0))
}
