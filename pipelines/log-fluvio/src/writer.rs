//! Appending to one partition: what waits is sent as one batch, several batches are on their way at a time, and a batch
//! whose answer was lost is looked for in the log before it is sent again.

mod lost;
mod pack;

use std::{collections::VecDeque, sync::Arc};

use fluvio::{
    Isolation,
    dataplane::{
        link::ErrorCode,
        record::{Batch, RawRecords, RecordSet},
    },
};
use fluvio_socket::AsyncResponse;
use fluvio_spu_schema::produce::{
    DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest, ProduceResponse,
};
use telesift_ports::record_log::{Error, NewRecord, Outcome, ReadLimits, Result};
use telesift_schemas::{Offset, Timestamp, TopicPartition};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    batch::{self, BatchId},
    connection::{Connection, Connections},
    error::{Failure, ambiguous, offset, unavailable},
    follower::Followers,
    reader::Reader,
};
use pack::{Job, Packed, Part};

/// Where callers leave their appends.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// Appends waiting for one partition, at most; further callers wait.
const QUEUE: usize = 256;

impl Writer {
    pub(crate) fn start(
        connections: Arc<Connections>,
        reader: Arc<Reader>,
        followers: Arc<Followers>,
        at: TopicPartition,
    ) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let task = Task {
            connections,
            reader,
            followers,
            at,
            waiting,
            held: None,
            outgoing: VecDeque::new(),
            writer: i64::from(rand_u32()) << 31 | i64::from(rand_u32()),
            sequence: 0,
            last: None,
        };
        tokio::spawn(task.run());
        Writer { jobs }
    }

    /// Appends `records`, in order; one outcome each. Those that fit into one batch are stored all or none.
    pub(crate) async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Outcome>> {
        let (answer, answered) = oneshot::channel();
        let job = Job::new(records, answer);
        if self.jobs.send(job).await.is_err() {
            return Err(Error::Closed);
        }
        match answered.await {
            Ok(answer) => answer,
            Err(_) => Err(ambiguous("the log was closed meanwhile")),
        }
    }
}

fn rand_u32() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0u8) as u32 & 0x7fff_ffff
}

/// The one who writes to a partition from this process.
struct Task {
    connections: Arc<Connections>,
    reader: Arc<Reader>,
    followers: Arc<Followers>,
    at: TopicPartition,
    waiting: mpsc::Receiver<Job>,
    /// Taken from the queue, but too large for the batch it would have joined.
    held: Option<Job>,
    /// To be sent, as soon as there are few enough on their way.
    outgoing: VecDeque<Packed>,
    writer: i64,
    sequence: i32,
    /// The end of the partition as this writer knows it, and when the last record was appended.
    last: Option<(Offset, Timestamp)>,
}

/// A batch on its way, and whose records are in it.
struct Sent {
    id: BatchId,
    appended_at: Timestamp,
    batch: Batch<RawRecords>,
    n_bytes: usize,
    parts: Vec<Part>,
    /// From when on it is given up; set when it first failed.
    until: Option<Instant>,
    attempts: u32,
}

/// Batches on their way, and the connection they went by.
struct Flight {
    connection: Connection,
    batches: VecDeque<OnItsWay>,
}

struct OnItsWay {
    sent: Sent,
    answer: AsyncResponse<DefaultProduceRequest>,
    deadline: Instant,
}

impl Task {
    async fn run(mut self) {
        let max_in_flight = self.config().max_in_flight.max(1);
        let mut flight: Option<Flight> = None;
        let mut is_over = false;
        loop {
            let n_in_flight = flight.as_ref().map_or(0, |f| f.batches.len());
            if n_in_flight < max_in_flight
                && let Some(packed) = self.outgoing.pop_front()
            {
                self.send(packed, &mut flight).await;
                continue;
            }
            if is_over && n_in_flight == 0 {
                return; // nobody is left who could ask
            }
            let takes_more = n_in_flight < max_in_flight && !is_over;
            tokio::select! {
                biased;
                answer = next_answer(&mut flight), if n_in_flight > 0 => match answer {
                    Ok(response) => self.answered(response, &mut flight).await,
                    Err(failure) => self.lost(failure, &mut flight).await,
                },
                job = next_job(&mut self.held, &mut self.waiting), if takes_more => match job {
                    Some(job) => self.pack(job).await,
                    None => is_over = true,
                },
            }
        }
    }

    fn config(&self) -> &crate::FluvioLogConfig {
        self.connections.cluster().config()
    }

    /// Packs `job` and what waits behind it, as far as one batch takes it; a job larger than that into several batches.
    async fn pack(&mut self, job: Job) {
        if let Err(error) = self.learn_end().await {
            return job.fail(error);
        }
        let max_bytes = self.config().max_batch_bytes;
        let mut packed = job.pack(max_bytes);
        if let [together] = packed.as_mut_slice() {
            while let Ok(next) = self.waiting.try_recv() {
                match together.join(next, max_bytes) {
                    None => {}
                    held => {
                        self.held = held;
                        break;
                    }
                }
            }
        }
        self.outgoing.extend(packed);
    }

    /// Encodes and sends a batch.
    async fn send(&mut self, packed: Packed, flight: &mut Option<Flight>) {
        let id = BatchId {
            writer: self.writer,
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1) & i32::MAX;
        let now = self.config().clock.now().as_millisecond();
        let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let (end, last) = self.last.unwrap_or((Offset::ZERO, now));
        let appended_at = now.max(last);
        self.last = Some((end, appended_at));
        let batch = match batch::encode(&packed.records, id, appended_at) {
            Ok(batch) => batch,
            Err(failure) => return packed.fail(|| unavailable(&failure)),
        };
        let sent = Sent {
            id,
            appended_at,
            batch,
            n_bytes: packed.n_value_bytes(),
            parts: packed.parts,
            until: None,
            attempts: 0,
        };
        self.send_again(sent, flight).await;
    }

    async fn send_again(&mut self, sent: Sent, flight: &mut Option<Flight>) {
        let deadline = Instant::now() + self.config().request_timeout;
        let failure = match self.try_send(&sent, flight).await {
            Ok(answer) => {
                if let Some(flight) = flight {
                    flight.batches.push_back(OnItsWay {
                        sent,
                        answer,
                        deadline,
                    });
                }
                return;
            }
            Err(failure) => failure,
        };
        // It may have gone out before the connection failed.
        let mut uncertain = uncertain(flight.take());
        uncertain.push_back(sent);
        Box::pin(self.settle(uncertain, failure, flight)).await;
    }

    async fn try_send(
        &self,
        sent: &Sent,
        flight: &mut Option<Flight>,
    ) -> std::result::Result<AsyncResponse<DefaultProduceRequest>, Failure> {
        let flight = match flight {
            Some(flight) => flight,
            None => flight.insert(Flight {
                connection: self.connections.own(&self.at, "appends").await?,
                batches: VecDeque::new(),
            }),
        };
        flight.connection.send(self.request(sent)).await
    }

    fn request(&self, sent: &Sent) -> DefaultProduceRequest {
        let config = self.config();
        let records = RecordSet {
            batches: vec![sent.batch.clone()],
        };
        DefaultProduceRequest {
            isolation: Isolation::ReadCommitted,
            timeout: config.request_timeout.mul_f32(0.8),
            topics: vec![DefaultTopicRequest {
                name: config.name_of(&self.at.topic),
                partitions: vec![DefaultPartitionRequest {
                    partition_index: self.at.partition.0,
                    records,
                }],
                ..DefaultTopicRequest::default()
            }],
            ..DefaultProduceRequest::default()
        }
    }

    /// The answer to the oldest batch on its way.
    async fn answered(&mut self, response: ProduceResponse, flight: &mut Option<Flight>) {
        let mut partitions = response.responses.into_iter().flat_map(|t| t.partitions);
        let failure = match partitions.next() {
            Some(found) if found.error_code == ErrorCode::None => {
                let oldest = flight.as_mut().and_then(|f| f.batches.pop_front());
                if let Some(oldest) = oldest {
                    self.appended(oldest.sent, offset(found.base_offset));
                }
                return;
            }
            Some(found) => Failure::Code(found.error_code),
            None => Failure::broken("an answer without the partition"),
        };
        self.lost(failure, flight).await;
    }

    /// The oldest batch failed, and what followed it by the same connection is uncertain.
    async fn lost(&mut self, failure: Failure, flight: &mut Option<Flight>) {
        let uncertain = uncertain(flight.take());
        self.settle(uncertain, failure, flight).await;
    }

    /// A batch is in the log from `base` on.
    fn appended(&mut self, sent: Sent, base: Offset) {
        let n_records = sent.n_records();
        crate::telemetry::appended(n_records, sent.n_bytes);
        let end = Offset(base.0 + n_records as u64);
        let last = self.last.map_or(sent.appended_at, |(_, last)| last);
        self.last = Some((end, last));
        // Whoever is told may read it at once, and followers are told first.
        if let Some(followed) = self.followers.get(&self.at) {
            followed.reached(end);
        }
        let mut next = base;
        for part in sent.parts {
            let after = Offset(next.0 + part.n_records as u64);
            part.appended(next, sent.appended_at);
            next = after;
        }
    }

    /// Reads the end of the partition once, so that what is appended is no older than what stands there.
    async fn learn_end(&mut self) -> Result<()> {
        if self.last.is_some() {
            return Ok(());
        }
        let bounds = self.reader.bounds(&self.at).await?;
        let one = ReadLimits {
            max_records: 1,
            max_bytes: 0,
        };
        let mut last = Timestamp::UNIX_EPOCH;
        if bounds.start < bounds.end {
            let newest = Offset(bounds.end.0 - 1);
            let batch = self.reader.read(&self.at, newest, one).await?;
            last = batch.records.last().map_or(last, |r| r.appended_at);
        }
        self.last = Some((bounds.end, last));
        Ok(())
    }
}

impl Sent {
    fn n_records(&self) -> usize {
        self.parts.iter().map(|part| part.n_records).sum()
    }
}

/// The batches on their way by a connection that is given up.
fn uncertain(flight: Option<Flight>) -> VecDeque<Sent> {
    let batches = flight.map(|f| f.batches).unwrap_or_default();
    batches.into_iter().map(|b| b.sent).collect()
}

async fn next_job(held: &mut Option<Job>, waiting: &mut mpsc::Receiver<Job>) -> Option<Job> {
    match held.take() {
        Some(job) => Some(job),
        None => waiting.recv().await,
    }
}

async fn next_answer(flight: &mut Option<Flight>) -> std::result::Result<ProduceResponse, Failure> {
    let Some(flight) = flight else {
        return std::future::pending().await;
    };
    match flight.batches.front_mut() {
        Some(oldest) => {
            let answer = &mut oldest.answer;
            flight.connection.answer(answer, oldest.deadline).await
        }
        None => std::future::pending().await,
    }
}
