//! The ends of a range, as asked for, become offsets of each partition, once.

use telesift_ports::{
    RecordLog,
    record_log::PartitionBounds,
    replays::{Bound, ReplayError, ReplayRange},
};
use telesift_schemas::{Cursor, Generation, Offset, PartitionId, Topic, TopicPartition};

/// The range from `from` to `to` of `telegram-raw`. Where one of them is a cursor, of the partitions it names.
pub(super) async fn resolve(
    log: &dyn RecordLog,
    from: &Bound,
    to: &Bound,
) -> Result<Vec<ReplayRange>, ReplayError> {
    of_topic(log, &Topic::TELEGRAM_RAW, from, to).await
}

/// The same of another topic, which no cursor names.
pub(super) async fn of_topic(
    log: &dyn RecordLog,
    topic: &Topic,
    from: &Bound,
    to: &Bound,
) -> Result<Vec<ReplayRange>, ReplayError> {
    let mut bounds = log.partitions(topic).await?;
    for (field, bound) in [("from", from), ("to", to)] {
        if let Bound::Cursor(cursor) = bound {
            check(log, &bounds, field, cursor)?;
        }
    }
    if let Some(named) = partitions_of(from, to)? {
        bounds.retain(|b| named.contains(&b.partition));
    }
    let mut ranges = Vec::with_capacity(bounds.len());
    for p in &bounds {
        let range = ReplayRange {
            partition: p.partition,
            from: offset(log, ("from", from), (topic, p)).await?,
            to: offset(log, ("to", to), (topic, p)).await?,
        };
        if range.from > range.to {
            return Err(ReplayError::Range {
                field: "from",
                reason: format!("it lies behind `to` in partition {}", p.partition),
            });
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn check(
    log: &dyn RecordLog,
    bounds: &[PartitionBounds],
    field: &'static str,
    cursor: &Cursor,
) -> Result<(), ReplayError> {
    let unknown = |reason: String| Err(ReplayError::CursorUnknown { field, reason });
    if cursor.epoch != *log.epoch() || cursor.generation != Generation::FIRST {
        return unknown("the cursor is of another history of the log".to_owned());
    }
    let is_known = |p: PartitionId| bounds.iter().any(|b| b.partition == p);
    match cursor.next.iter().find(|(p, _)| !is_known(*p)) {
        Some((p, _)) => unknown(format!(
            "the cursor names partition {p}, which there is not"
        )),
        None => Ok(()),
    }
}

/// The partitions the cursors name; `None` = all.
fn partitions_of(from: &Bound, to: &Bound) -> Result<Option<Vec<PartitionId>>, ReplayError> {
    let of = |bound: &Bound| match bound {
        Bound::Cursor(cursor) => Some(cursor.next.iter().map(|(p, _)| *p).collect::<Vec<_>>()),
        _ => None,
    };
    match (of(from), of(to)) {
        (Some(from), Some(to)) if from != to => Err(ReplayError::Range {
            field: "to",
            reason: "the cursors `from` and `to` name different partitions".to_owned(),
        }),
        (from, to) => Ok(from.or(to)),
    }
}

async fn offset(
    log: &dyn RecordLog,
    (field, bound): (&'static str, &Bound),
    (topic, p): (&Topic, &PartitionBounds),
) -> Result<Offset, ReplayError> {
    let at = TopicPartition::new(topic.clone(), p.partition);
    match bound {
        Bound::Earliest => Ok(p.bounds.start),
        Bound::Latest => Ok(p.bounds.end),
        // What was appended since the bounds were read belongs to the next replay.
        Bound::Time(time) => Ok(log.offset_at(&at, *time).await?.min(p.bounds.end)),
        Bound::Cursor(cursor) => {
            let named = cursor.next.iter().find(|(id, _)| *id == p.partition);
            let next = named.map_or(p.bounds.end, |(_, next)| *next);
            if next <= p.bounds.end {
                return Ok(next);
            }
            Err(ReplayError::CursorUnknown {
                field,
                reason: format!(
                    "offset {next} of `{at}` lies beyond the end, {}",
                    p.bounds.end
                ),
            })
        }
    }
}
