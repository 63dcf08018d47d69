//! Following the end of a partition: one stream per partition and process, whoever waits, and a watchdog beside it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fluvio::dataplane::record::{RawRecords, RecordSet};
use fluvio_spu_schema::server::{
    stream_fetch::{StreamFetchRequest, StreamFetchResponse},
    update_offset::{OffsetUpdate, UpdateOffsetsRequest},
};
use telesift_ports::record_log::{Batch, Error, ReadLimits, StoredRecord};
use telesift_schemas::{Offset, Topic, TopicPartition};
use tokio::sync::watch;

use crate::{
    batch,
    connection::Connections,
    error::{Failure, offset},
    reader::{Reader, isolation},
    telemetry,
};

/// Bytes an SPU sends at once.
const STREAM_BYTES: i32 = 4 << 20;
/// Answers that may wait here unread.
const QUEUE: usize = 4;
/// How long a partition is followed after somebody last wanted to know.
const LINGER: Duration = Duration::from_secs(60);

/// The ends of partitions, kept up to date for those somebody waits for.
pub(crate) struct Followers {
    connections: Arc<Connections>,
    reader: Arc<Reader>,
    followed: Arc<Mutex<Map>>,
}

type Map = HashMap<TopicPartition, Arc<Followed>>;

/// What is known of the end of a partition. The stream goes on while somebody waits, and a little longer.
pub(crate) struct Followed {
    end: watch::Sender<Offset>,
    tail: Mutex<Tail>,
    wanted: Mutex<Instant>,
    /// Whether its topic was deleted.
    is_gone: AtomicBool,
}

/// The newest records, without a hole between them.
#[derive(Default)]
struct Tail {
    records: VecDeque<StoredRecord>,
    n_bytes: usize,
}

impl Followers {
    pub(crate) fn new(connections: Arc<Connections>, reader: Arc<Reader>) -> Self {
        Followers {
            connections,
            reader,
            followed: Arc::default(),
        }
    }

    /// Follows `at`, whose end is at least `end`.
    pub(crate) fn follow(&self, at: &TopicPartition, end: Offset) -> Arc<Followed> {
        let mut followed = self.lock();
        if let Some(known) = followed.get(at) {
            known.reached(end);
            known.want();
            return known.clone();
        }
        let new = Arc::new(Followed {
            end: watch::Sender::new(end),
            tail: Mutex::default(),
            wanted: Mutex::new(Instant::now()),
            is_gone: AtomicBool::new(false),
        });
        followed.insert(at.clone(), new.clone());
        let stream = Stream {
            connections: self.connections.clone(),
            reader: self.reader.clone(),
            at: at.clone(),
            followed: new.clone(),
            map: self.followed.clone(),
        };
        tokio::spawn(stream.run());
        new
    }

    /// What is followed already.
    pub(crate) fn get(&self, at: &TopicPartition) -> Option<Arc<Followed>> {
        self.lock().get(at).cloned()
    }

    /// Ends what waits for a topic that was deleted.
    pub(crate) fn forget(&self, topic: &Topic) {
        let mut followed = self.lock();
        for (_, gone) in followed.extract_if(|at, _| at.topic == *topic) {
            gone.mark_gone();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    /// Tells whoever waits that the end is at least `end`.
    pub(crate) fn reached(&self, end: Offset) {
        self.end.send_if_modified(|known| {
            let is_news = end > *known;
            *known = end.max(*known);
            is_news
        });
    }

    fn mark_gone(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
        self.end.send_modify(|_| {});
    }

    fn want(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn end(&self) -> Offset {
        *self.end.borrow()
    }

    /// Waits until the end lies beyond `position`; `None` once the topic is deleted.
    pub(crate) async fn beyond(&self, position: Offset) -> Option<Offset> {
        let mut ends = self.end.subscribe();
        loop {
            let end = *ends.borrow_and_update();
            if self.is_gone.load(Ordering::SeqCst) {
                return None;
            }
            // The sender lives in `self`, so that waiting cannot fail.
            if end > position || ends.changed().await.is_err() {
                self.want();
                return Some(end);
            }
        }
    }

    /// A read answered from the newest records, if they reach back to `from`.
    pub(crate) fn read(&self, from: Offset, limits: ReadLimits) -> Option<Batch> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let first = tail.records.front()?.offset;
        let skip = usize::try_from(from.0.checked_sub(first.0)?).ok()?;
        let mut records = Vec::new();
        let mut n_bytes = 0;
        for record in tail.records.iter().skip(skip) {
            n_bytes += record.key.len() + record.value.len();
            let is_full = records.len() >= limits.max_records || n_bytes > limits.max_bytes;
            if is_full && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        let next = records.last()?.offset.next();
        Some(Batch {
            records,
            gaps: Vec::new(),
            next,
            end: self.end().max(next),
        })
    }

    fn keep(&self, records: Vec<StoredRecord>, max_bytes: usize) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            match tail.records.back() {
                Some(last) if record.offset <= last.offset => continue,
                Some(last) if record.offset > last.offset.next() => *tail = Tail::default(),
                _ => {}
            }
            tail.n_bytes += record.key.len() + record.value.len();
            tail.records.push_back(record);
        }
        while tail.n_bytes > max_bytes {
            let Some(oldest) = tail.records.pop_front() else {
                break;
            };
            tail.n_bytes -= oldest.key.len() + oldest.value.len();
        }
    }
}

/// The task that follows one partition.
struct Stream {
    connections: Arc<Connections>,
    reader: Arc<Reader>,
    at: TopicPartition,
    followed: Arc<Followed>,
    map: Arc<Mutex<Map>>,
}

impl Stream {
    /// Until nobody has wanted to know for a while.
    async fn run(self) {
        const MAX_DELAY: Duration = Duration::from_secs(1);
        let mut delay = Duration::from_millis(20);
        while !self.retire() {
            let before = self.followed.end();
            let why = self.follow().await;
            if self.followed.end() > before {
                delay = Duration::from_millis(20);
            }
            match why {
                Ok(Ended::Unwanted) => return,
                _ if self.followed.is_gone.load(Ordering::SeqCst) => return,
                Err(Failure::Final(Error::TopicNotFound(_))) => {
                    let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
                    map.remove(&self.at);
                    self.followed.mark_gone();
                    return;
                }
                Ok(Ended::Silent) => telemetry::stream_reopened(&self.at, "silent"),
                Err(Failure::Final(error)) => {
                    tracing::warn!(partition = %self.at, %error, "cannot be followed");
                }
                Err(failure) => {
                    tracing::debug!(partition = %self.at, %failure, "the stream broke");
                    telemetry::stream_reopened(&self.at, "broken");
                    self.connections.cluster().look_again().await;
                }
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(MAX_DELAY);
        }
    }

    /// Whether it is over: nobody waits, and nobody can begin to.
    fn retire(&self) -> bool {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = *self
            .followed
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The map holds one and this task holds one.
        let is_over = Arc::strong_count(&self.followed) <= 2 && wanted.elapsed() > LINGER;
        if is_over {
            map.remove(&self.at);
        }
        is_over
    }

    /// One stream, from the end as it is known.
    async fn follow(&self) -> Result<Ended, Failure> {
        let config = self.connections.cluster().config();
        let bounds = self.reader.try_bounds(&self.at).await?;
        let from = self.followed.end().max(bounds.start);
        self.followed.reached(bounds.end);
        let is_kept_alone = self.reader.is_kept_alone(&self.at).await?;
        let connection = self.connections.own(&self.at, "streams").await?;
        let request = StreamFetchRequest::<RecordSet<RawRecords>>::builder()
            .topic(config.name_of(&self.at.topic))
            .partition(self.at.partition.0)
            .fetch_offset(i64::try_from(from.0).unwrap_or(i64::MAX))
            .max_bytes(STREAM_BYTES)
            .isolation(isolation(is_kept_alone))
            .build()
            .map_err(Failure::broken)?;
        let mut answers = connection.stream(request, QUEUE).await?;
        let mut check = tokio::time::interval(config.watchdog_interval);
        check.reset();
        let (mut delivered, mut due) = (from, from);
        loop {
            let answer = tokio::select! {
                answer = futures::StreamExt::next(&mut answers) => answer,
                _ = check.tick() => {
                    if self.retire() {
                        return Ok(Ended::Unwanted);
                    }
                    // What was there a whole interval ago must have come.
                    if due > delivered {
                        return Ok(Ended::Silent);
                    }
                    due = self.reader.try_bounds(&self.at).await?.end;
                    self.followed.reached(due);
                    continue;
                }
            };
            let response: StreamFetchResponse<_> = match answer {
                Some(Ok(response)) => response,
                Some(Err(e)) => return Err(Failure::broken(e)),
                None => return Err(Failure::broken("the stream was closed")),
            };
            if let Some(next) = self.take(&response, is_kept_alone)? {
                delivered = delivered.max(next);
                check.reset();
                // Until it is told so, an SPU sends no more.
                let update = OffsetUpdate {
                    offset: i64::try_from(next.0).unwrap_or(i64::MAX),
                    session_id: response.stream_id,
                };
                connection
                    .call(UpdateOffsetsRequest::new(vec![update]))
                    .await?;
            }
        }
    }

    /// Keeps what an answer holds; the offset after it.
    fn take(
        &self,
        response: &StreamFetchResponse<RecordSet<RawRecords>>,
        is_kept_alone: bool,
    ) -> Result<Option<Offset>, Failure> {
        let found = &response.partition;
        if found.error_code.is_error() {
            return Err(Failure::Code(found.error_code.clone()));
        }
        let mut records = Vec::new();
        for batch in &found.records.batches {
            records.extend(batch::decode(batch)?);
        }
        let next = records.last().map(|r| r.offset.next());
        let mut end = offset(found.high_watermark);
        if is_kept_alone {
            end = end.max(next.unwrap_or_default());
        }
        records.retain(|r| r.offset < end);
        let max_bytes = self.connections.cluster().config().tail_bytes;
        self.followed.keep(records, max_bytes);
        self.followed.reached(end);
        Ok(next)
    }
}

/// Why a stream ended that did not break.
enum Ended {
    /// Nobody waits any more.
    Unwanted,
    /// It gave nothing although the end moved on.
    Silent,
}
