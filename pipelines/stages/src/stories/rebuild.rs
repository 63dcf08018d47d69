//! What the stage remembers, read back from the log: the last records of `messages`, and their stories.

use std::collections::{HashMap, VecDeque};

use telesift_ports::{
    RecordLog,
    record_log::{Error, ReadLimits, StoredRecord},
};
use telesift_schemas::{
    Generation, MessageKey, Offset, PartitionId, StoryAssigned, Timestamp, TopicPartition,
};

use super::{
    StoriesConfig,
    arrival::Arrival,
    window::{StoryOf, Window},
};
use crate::consumer::StageError;

/// Clocks of a log's brokers may differ by this much, in seconds.
const CLOCK_SKEW_S: i64 = 600;

/// The window as it stood when the stage had taken everything before `positions`.
pub(super) async fn window(
    log: &dyn RecordLog,
    generation: Generation,
    inputs: &[TopicPartition],
    positions: &[Offset],
    config: StoriesConfig,
) -> Result<Window, StageError> {
    let mut tails = Vec::new();
    for (at, to) in inputs.iter().zip(positions) {
        let start = log.bounds(at).await?.start;
        // The last n records of all lie among the last n of each.
        let from = Offset(to.0.saturating_sub(config.max_records as u64)).max(start);
        let mut tail = Tail {
            at,
            next: from,
            to: *to,
            records: VecDeque::new(),
        };
        tail.fill(log).await?;
        tails.push(tail);
    }
    let oldest = tails.iter().filter_map(|t| Some(t.place()?.0)).min();
    let mut window = Window::new(config);
    let Some(oldest) = oldest else {
        return Ok(window);
    };
    let stories = stories_since(log, generation, oldest).await?;
    while let Some(tail) = tails
        .iter_mut()
        .filter(|tail| !tail.records.is_empty())
        .min_by_key(|tail| tail.place())
    {
        if let Some(record) = tail.records.pop_front() {
            match Arrival::read(tail.at, &record) {
                Ok(arrival) => {
                    let story = stories.get(&arrival.key).cloned();
                    window.remember(arrival, story);
                }
                Err(_) => window.take_unreadable(),
            }
        }
        tail.fill(log).await?;
    }
    Ok(window)
}

/// The end of one partition, read piece by piece.
struct Tail<'a> {
    at: &'a TopicPartition,
    next: Offset,
    to: Offset,
    records: VecDeque<StoredRecord>,
}

impl Tail<'_> {
    async fn fill(&mut self, log: &dyn RecordLog) -> Result<(), StageError> {
        while self.records.is_empty() && self.next < self.to {
            let Some((records, next)) = read(log, self.at, self.next).await? else {
                break;
            };
            self.next = next;
            let to = self.to;
            self.records
                .extend(records.into_iter().filter(|r| r.offset < to));
        }
        Ok(())
    }

    fn place(&self) -> Option<(Timestamp, PartitionId)> {
        let record = self.records.front()?;
        Some((record.appended_at, self.at.partition))
    }
}

/// The assignments recorded since the first of the remembered messages was appended.
async fn stories_since(
    log: &dyn RecordLog,
    generation: Generation,
    oldest: Timestamp,
) -> Result<HashMap<MessageKey, StoryOf>, StageError> {
    let at = super::topic_of(generation);
    let since = Timestamp::from_second(oldest.as_second() - CLOCK_SKEW_S).unwrap_or(oldest);
    let mut next = log.offset_at(&at, since).await?;
    let mut stories = HashMap::new();
    while let Some((records, then)) = read(log, &at, next).await? {
        for record in records {
            // What this version cannot read it did not write.
            if let Ok(assigned) = serde_json::from_slice::<StoryAssigned>(&record.value) {
                let story = StoryOf {
                    id: assigned.story.as_str().into(),
                    first: assigned.first,
                };
                stories.insert(assigned.message, story);
            }
        }
        next = then;
    }
    Ok(stories)
}

/// The next records and where to go on; `None` at the end.
async fn read(
    log: &dyn RecordLog,
    at: &TopicPartition,
    from: Offset,
) -> Result<Option<(Vec<StoredRecord>, Offset)>, StageError> {
    match log.read(at, from, ReadLimits::default()).await {
        Ok(batch) if batch.next == from => Ok(None),
        Ok(batch) => Ok(Some((batch.records, batch.next))),
        // Evicted meanwhile.
        Err(Error::Evicted { first, .. }) => Ok(Some((Vec::new(), first))),
        Err(error) => Err(error.into()),
    }
}
