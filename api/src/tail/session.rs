//! One client's way through the partitions it follows: records and gaps in, frames out, at the client's own pace.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use telesift_ports::{
    message_store::MessageFilter,
    record_log::{self, Batch, Gap, GapReason, ReadLimits},
};
use telesift_schemas::{Cursor, Epoch, Generation, Offset, PartitionId, Topic};
use tokio::{sync::watch, time::Instant};

use super::{
    feed::{LiveRecord, Recent, TopicFeed, Window},
    frame::Frame,
    moved::Follow,
};
use crate::telemetry;

/// Bytes a client that is behind reads from the log at once.
const CATCH_UP_BYTES: usize = 1 << 20;
/// Pause after the log could not be read.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Pause before it is looked again whether another generation has come as far as the client.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Failed reads in a row, about half a minute, after which the client is told to come again.
const MAX_FAILURES: u32 = 60;

/// A client's place in a topic, and what it wants of it.
pub(super) struct Session {
    topic: Topic,
    generation: Generation,
    epoch: Epoch,
    filter: Option<MessageFilter>,
    lanes: Vec<Lane>,
    /// Read, and not yet given to the client. At most one batch.
    ready: VecDeque<Item>,
    feed: Arc<TopicFeed>,
    changes: watch::Receiver<()>,
    /// For topics of which another generation may become live.
    follow: Option<Follow>,
    /// Gap frames of a switch that the client has not got yet.
    switched: VecDeque<Frame>,
    queue_records: usize,
    heartbeat: Duration,
    next_heartbeat: Instant,
    caught_up: bool,
    /// Whose turn it is, so that a busy partition does not starve the others.
    turn: usize,
    failures: u32,
}

/// A partition that is followed.
struct Lane {
    partition: PartitionId,
    recent: Arc<Recent>,
    /// Next to be given to the client: the cursor.
    given: Offset,
    /// Next to be read.
    read: Offset,
    /// The end when the session was opened: history reaches up to here.
    head: Offset,
}

/// Something read, in order.
struct Item {
    lane: usize,
    what: What,
    /// Where the lane stands after it.
    next: Offset,
}

enum What {
    Record(Arc<LiveRecord>),
    Gap(Gap),
    /// Filtered out.
    Skipped,
}

/// Where a partition is read from.
pub(super) struct StartAt {
    pub(super) partition: PartitionId,
    pub(super) from: Offset,
    pub(super) head: Offset,
}

/// What a session is made of.
pub(super) struct Setup {
    pub(super) topic: Topic,
    pub(super) generation: Generation,
    pub(super) epoch: Epoch,
    pub(super) filter: Option<MessageFilter>,
    pub(super) starts: Vec<StartAt>,
    pub(super) feed: Arc<TopicFeed>,
    pub(super) follow: Option<Follow>,
    pub(super) queue_records: usize,
    pub(super) heartbeat: Duration,
}

/// Returns when another generation may have become live. Cancel-safe.
async fn any_switch(follow: &mut Option<Follow>) {
    match follow {
        Some(follow) => follow.changed().await,
        None => std::future::pending().await,
    }
}

impl Session {
    pub(super) fn new(setup: Setup) -> Session {
        let lanes: Vec<Lane> = setup
            .starts
            .into_iter()
            .filter_map(|start| {
                Some(Lane {
                    partition: start.partition,
                    recent: setup.feed.partition(start.partition)?.clone(),
                    given: start.from,
                    read: start.from,
                    head: start.head,
                })
            })
            .collect();
        Session {
            // The first frame says where the client stands; if that is the end, it says so already.
            caught_up: lanes.iter().all(|l| l.given >= l.head),
            changes: setup.feed.changes(),
            topic: setup.topic,
            generation: setup.generation,
            epoch: setup.epoch,
            filter: setup.filter,
            lanes,
            ready: VecDeque::new(),
            feed: setup.feed,
            follow: setup.follow,
            switched: VecDeque::new(),
            queue_records: setup.queue_records.max(1),
            heartbeat: setup.heartbeat,
            next_heartbeat: Instant::now(),
            turn: 0,
            failures: 0,
        }
    }

    /// The next frame; waits for it. Cancel-safe.
    ///
    /// # Errors
    /// When the log is closed, or could not be read for long.
    pub(super) async fn next(&mut self) -> record_log::Result<Frame> {
        loop {
            if Instant::now() >= self.next_heartbeat {
                return Ok(self.beat());
            }
            if let Some(frame) = self.switched.pop_front() {
                return Ok(frame);
            }
            if self.is_switch_due() {
                match self.switch().await {
                    Ok(true) => self.failures = 0,
                    Ok(false) => self.sleep(LOOK_AGAIN).await,
                    Err(error) => self.failed(error).await?,
                }
                continue;
            }
            if let Some(frame) = self.ready() {
                return Ok(frame);
            }
            // Seen as unchanged before looking, so that nothing appended in between is slept through.
            self.changes.mark_unchanged();
            match self.fill().await {
                Ok(true) => {
                    self.failures = 0;
                    // A client whose filter drops nearly all must not hold its thread for the whole history.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(false) => self.failures = 0,
                Err(error) => {
                    self.failed(error).await?;
                    continue;
                }
            }
            if !self.caught_up && self.lanes.iter().all(|l| l.given >= l.head) {
                return Ok(self.beat());
            }
            tokio::select! {
                // The sender lives in the readers; when they end, heartbeats go on until the stream is ended.
                Ok(()) = self.changes.changed() => {}
                () = any_switch(&mut self.follow) => {}
                () = tokio::time::sleep_until(self.next_heartbeat) => {}
            }
        }
    }

    /// Takes note of a failed read, and waits a little.
    ///
    /// # Errors
    /// When the log is closed, or has failed too often.
    async fn failed(&mut self, error: record_log::Error) -> record_log::Result<()> {
        self.failures += 1;
        if matches!(error, record_log::Error::Closed) || self.failures > MAX_FAILURES {
            return Err(error);
        }
        tracing::warn!(topic = %self.topic, %error, "a stream cannot read the log; trying again");
        self.sleep(RETRY_AFTER).await;
        Ok(())
    }

    async fn sleep(&self, time: Duration) {
        let soon = Instant::now() + time;
        tokio::time::sleep_until(soon.min(self.next_heartbeat)).await;
    }

    fn is_switch_due(&mut self) -> bool {
        let current = self.generation;
        self.follow.as_mut().is_some_and(|f| f.is_due(current))
    }

    /// Goes over to the live generation: a gap frame per partition, each with the whole new cursor, so that a client that
    /// leaves between two of them comes back to the right place. `false` while the live generation has not come as far.
    async fn switch(&mut self) -> record_log::Result<bool> {
        let Some(follow) = &self.follow else {
            return Ok(true);
        };
        let places: Vec<_> = self.lanes.iter().map(|l| (l.partition, l.given)).collect();
        let Some(moved) = follow.go(self.generation, &places).await? else {
            return Ok(false);
        };
        // What was read of the old generation and not given is read again from the new one.
        self.ready.clear();
        self.generation = moved.generation;
        let new = moved
            .places
            .into_iter()
            .filter_map(|(partition, start, head)| {
                Some(Lane {
                    partition,
                    recent: moved.feed.partition(partition)?.clone(),
                    given: start,
                    read: start,
                    head,
                })
            });
        self.lanes = new.collect();
        self.changes = moved.feed.changes();
        self.feed = moved.feed;
        self.caught_up = false;
        let cursor = self.cursor_by(|l| l.given);
        for ((partition, from), lane) in places.into_iter().zip(&self.lanes) {
            let gap = Gap {
                from,
                to: lane.given,
                reason: GapReason::Switched,
            };
            self.switched
                .push_back(Frame::gap(partition, &gap, &cursor));
        }
        Ok(true)
    }

    /// The next frame if it is read already; no heartbeat.
    pub(super) fn ready(&mut self) -> Option<Frame> {
        while let Some(item) = self.ready.pop_front() {
            if let Some(frame) = self.give(item) {
                return Some(frame);
            }
        }
        None
    }

    fn beat(&mut self) -> Frame {
        self.next_heartbeat = Instant::now() + self.heartbeat;
        self.caught_up |= self.lanes.iter().all(|l| l.given >= l.head);
        let ends = |l: &Lane| l.recent.end().max(l.head).max(l.given);
        let head = self.cursor_by(ends);
        Frame::heartbeat(&self.cursor_by(|l| l.given), &head)
    }

    fn cursor_by(&self, offset: impl Fn(&Lane) -> Offset) -> Cursor {
        Cursor {
            generation: self.generation,
            epoch: self.epoch.clone(),
            next: self
                .lanes
                .iter()
                .map(|l| (l.partition, offset(l)))
                .collect(),
        }
    }

    fn give(&mut self, item: Item) -> Option<Frame> {
        let lane = self.lanes.get_mut(item.lane)?;
        lane.given = item.next;
        let partition = lane.partition;
        match item.what {
            What::Skipped => None,
            What::Gap(gap) => Some(Frame::gap(partition, &gap, &self.cursor_by(|l| l.given))),
            What::Record(record) => {
                let cursor = self.cursor_by(|l| l.given);
                Some(Frame::record(&self.topic, partition, &record, &cursor))
            }
        }
    }

    /// Reads one batch of the next lane that has something; `false` if none has.
    async fn fill(&mut self) -> record_log::Result<bool> {
        for _ in 0..self.lanes.len() {
            let lane = self.turn % self.lanes.len();
            self.turn = lane + 1;
            let Lane {
                recent,
                read: from,
                partition,
                ..
            } = &self.lanes[lane];
            let (from, partition) = (*from, *partition);
            match recent.window(from, self.queue_records) {
                Window::AtEnd => {}
                Window::Records(records) => {
                    for record in records {
                        self.take_record(lane, record);
                    }
                    return Ok(true);
                }
                Window::Behind => {
                    metrics::counter!(telemetry::TAIL_CATCH_UP_READS).increment(1);
                    let limits = ReadLimits {
                        max_records: self.queue_records,
                        max_bytes: CATCH_UP_BYTES,
                    };
                    match self.feed.read(partition, from, limits).await {
                        Ok(batch) => self.take_batch(lane, batch),
                        Err(record_log::Error::Evicted { first, .. }) if first > from => {
                            let reason = GapReason::Evicted;
                            self.take_gap(
                                lane,
                                Gap {
                                    from,
                                    to: first,
                                    reason,
                                },
                            );
                        }
                        Err(error) => return Err(error),
                    }
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn take_batch(&mut self, lane: usize, batch: Batch) {
        let mut gaps = batch.gaps.into_iter().peekable();
        for record in batch.records {
            while let Some(gap) = gaps.next_if(|gap| gap.from < record.offset) {
                self.take_gap(lane, gap);
            }
            self.take_record(lane, LiveRecord::new(record));
        }
        for gap in gaps {
            self.take_gap(lane, gap);
        }
        let Some(Lane { read, .. }) = self.lanes.get_mut(lane) else {
            return;
        };
        if *read < batch.next {
            *read = batch.next;
            let what = What::Skipped;
            let next = batch.next;
            self.ready.push_back(Item { lane, what, next });
        }
    }

    fn take_gap(&mut self, lane: usize, gap: Gap) {
        self.take(lane, What::Gap(gap), gap.to);
    }

    fn take_record(&mut self, lane: usize, record: Arc<LiveRecord>) {
        let offset = record.stored.offset;
        let what = match &self.filter {
            None => What::Record(record),
            Some(filter) => match record.message() {
                Some(message) if filter.matches_live(message) => What::Record(record),
                Some(_) => What::Skipped,
                // A record nobody can filter is named, never dropped in silence.
                None => What::Gap(Gap {
                    from: offset,
                    to: offset.next(),
                    reason: GapReason::Corrupt,
                }),
            },
        };
        self.take(lane, what, offset.next());
    }

    fn take(&mut self, lane: usize, what: What, next: Offset) {
        if let Some(l) = self.lanes.get_mut(lane) {
            l.read = next;
        }
        // A run of what is filtered out is one step of the cursor.
        if matches!(what, What::Skipped)
            && let Some(last) = self.ready.back_mut()
            && last.lane == lane
            && matches!(last.what, What::Skipped)
        {
            last.next = next;
            return;
        }
        self.ready.push_back(Item { lane, what, next });
    }
}
