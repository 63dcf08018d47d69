//! Batches whose answer was lost: each is looked for in the log by the name its writer gave it, and sent again only if it
//! is not there.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use fluvio::{Isolation, dataplane::link::ErrorCode};
use telesift_ports::record_log::Error;
use telesift_schemas::{Offset, TopicPartition};
use tokio::time::Instant;

use super::{Flight, Sent, Task};
use crate::{
    batch::BatchId,
    error::{Failure, ambiguous, offset, unavailable},
    telemetry,
};

const LOOK_BYTES: usize = 8 << 20;
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Where batches of this writer stand.
struct Found {
    bases: HashMap<i32, Offset>,
    /// What lies before this is on every replica.
    committed: Offset,
}

impl Task {
    /// Settles batches after `failure`, which the first of them met: each is acknowledged, refused, or on its way again.
    pub(super) async fn settle(
        &mut self,
        mut uncertain: VecDeque<Sent>,
        failure: Failure,
        flight: &mut Option<Flight>,
    ) {
        if let Some(error) = refusal(&failure, &self.at)
            && let Some(refused) = uncertain.pop_front()
        {
            refused.fail(error);
        }
        telemetry::retried("append", &failure);
        let mut missing = VecDeque::new();
        while !uncertain.is_empty() {
            self.connections.cluster().look_again().await;
            pause(&uncertain).await;
            let found = match self.find().await {
                Ok(found) => found,
                Err(failure) => {
                    self.give_up(&mut uncertain, &failure);
                    continue;
                }
            };
            for sent in std::mem::take(&mut uncertain) {
                match found.bases.get(&sent.id.sequence) {
                    Some(base) if base.0 + sent.n_records() as u64 <= found.committed.0 => {
                        telemetry::uncertain(&self.at, "found");
                        self.appended(sent, *base);
                    }
                    // It is there, but not on every replica yet.
                    Some(_) => uncertain.push_back(sent),
                    None => missing.push_back(sent),
                }
            }
            let pending = Failure::broken("replicas are behind");
            self.give_up(&mut uncertain, &pending);
        }
        self.resend(missing, failure, flight).await;
    }

    /// Sends what is not there, oldest first, unless it has been tried for too long.
    async fn resend(
        &mut self,
        missing: VecDeque<Sent>,
        failure: Failure,
        flight: &mut Option<Flight>,
    ) {
        for mut sent in missing {
            telemetry::uncertain(&self.at, "missing");
            let patience = self.config().retry_for;
            let until = *sent.until.get_or_insert(Instant::now() + patience);
            sent.attempts += 1;
            if Instant::now() >= until {
                sent.fail(ambiguous(&failure));
            } else {
                self.send_again(sent, flight).await;
            }
        }
    }

    /// Tells the callers of batches that have been looked for too long that nobody knows.
    fn give_up(&self, uncertain: &mut VecDeque<Sent>, failure: &Failure) {
        let patience = self.config().retry_for;
        for mut sent in std::mem::take(uncertain) {
            let until = *sent.until.get_or_insert(Instant::now() + patience);
            sent.attempts += 1;
            if Instant::now() >= until {
                telemetry::uncertain(&self.at, "unknown");
                sent.fail(ambiguous(failure));
            } else {
                uncertain.push_back(sent);
            }
        }
    }

    /// Looks through what was appended since the last acknowledgement.
    async fn find(&self) -> Result<Found, Failure> {
        let mut from = self.last.map_or(Offset::ZERO, |(end, _)| end);
        let mut found = Found {
            bases: HashMap::new(),
            committed: Offset::ZERO,
        };
        loop {
            let fetched = self
                .reader
                .fetch(&self.at, from, LOOK_BYTES, Isolation::ReadUncommitted)
                .await;
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(Failure::Code(ErrorCode::OffsetEvicted { next_available, .. })) => {
                    from = offset(next_available);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            found.committed = offset(fetched.high_watermark);
            let before = from;
            for batch in &fetched.records.batches {
                let id = BatchId::of(batch);
                if id.writer == self.writer {
                    found.bases.insert(id.sequence, offset(batch.base_offset));
                }
                from = from.max(offset(batch.computed_last_offset()));
            }
            if from == before {
                if self.reader.is_kept_alone(&self.at).await? {
                    found.committed = found.committed.max(from);
                }
                return Ok(found);
            }
        }
    }
}

impl Sent {
    fn fail(self, error: Error) {
        // One failure, several callers: each gets the same words.
        let ambiguous = error.is_ambiguous();
        let reason = error.to_string();
        let mut error = Some(error);
        for part in self.parts {
            let error = error.take().unwrap_or_else(|| Error::Unavailable {
                reason: reason.clone(),
                ambiguous,
            });
            part.failed(error);
        }
    }
}

/// Lets an SPU that was merely cut off finish what it had received: longer with every attempt.
async fn pause(uncertain: &VecDeque<Sent>) {
    let attempts = uncertain.iter().map(|s| s.attempts).max().unwrap_or(0);
    let delay = Duration::from_millis(20) * 2u32.saturating_pow(attempts.min(8));
    tokio::time::sleep(delay.min(MAX_DELAY)).await;
}

/// What an SPU refuses for good, having written nothing of it.
fn refusal(failure: &Failure, at: &TopicPartition) -> Option<Error> {
    match failure {
        Failure::Code(ErrorCode::MessageTooLarge) => Some(Error::TooLarge {
            n_bytes: crate::MAX_RECORD_BYTES,
            limit: crate::MAX_RECORD_BYTES,
        }),
        Failure::Code(ErrorCode::PartitionFull { .. }) => Some(Error::NoSpace {
            path: at.to_string(),
        }),
        Failure::Code(ErrorCode::PermissionDenied) => Some(unavailable(failure)),
        Failure::Final(Error::TopicNotFound(topic)) => Some(Error::TopicNotFound(topic.clone())),
        Failure::Final(Error::PartitionNotFound(at)) => Some(Error::PartitionNotFound(at.clone())),
        _ => None,
    }
}
