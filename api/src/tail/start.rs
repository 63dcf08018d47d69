//! Where a stream starts: `from`, `partition` and filters in, a session out.

use std::sync::Arc;

use axum::http::HeaderMap;
use telesift_ports::{
    message_store::MessageFilter,
    record_log::{self, PartitionBounds},
};
use telesift_schemas::{Cursor, Generation, Offset, PartitionId, Timestamp, Topic, TopicPartition};

use super::{
    moved::Follow,
    session::{Session, Setup, StartAt},
};
use crate::{
    auth::Viewer,
    params::{MessageQuery, Params, parse_value},
    problem::{Code, Problem, Result},
    state::App,
    visible::{Named, holds_messages},
};

/// What a client asked for.
pub(super) struct Request {
    topic: Topic,
    from: From,
    /// `None` = all.
    partition: Option<PartitionId>,
    /// Whether `partition` was given at all.
    names_partitions: bool,
    /// For topics that hold messages.
    filter: Option<MessageFilter>,
}

enum From {
    Latest,
    Earliest,
    Time(Timestamp),
    Cursor(Cursor),
}

const FROM: &str =
    "`from`: expected `latest`, `earliest`, a cursor or a time such as 2026-01-05T10:00:00Z";

impl Request {
    pub(super) fn parse(topic: String, params: &mut Params, headers: &HeaderMap) -> Result<Self> {
        let topic = Topic::new(topic);
        let asked = params.one("from")?;
        let last_event_id = headers.get("last-event-id").map(|id| {
            let text = id.to_str().ok().and_then(|text| text.parse().ok());
            text.map(From::Cursor)
                .ok_or_else(|| Problem::invalid("Last-Event-ID", "`Last-Event-ID` is not a cursor"))
        });
        let from = match (last_event_id, asked) {
            (Some(cursor), _) => cursor?,
            (None, asked) => parse_from(asked.as_deref())?,
        };
        let asked = params.one("partition")?;
        let partition = match asked.as_deref() {
            None | Some("all") => None,
            Some(number) => Some(PartitionId(parse_value(
                "partition",
                number,
                "`all` or a number",
            )?)),
        };
        let filter = match holds_messages(&topic) {
            true => Some(MessageQuery::of_tail(params)?),
            false => None,
        };
        Ok(Request {
            topic,
            from,
            partition,
            names_partitions: asked.is_some(),
            filter,
        })
    }
}

fn parse_from(text: Option<&str>) -> Result<From> {
    match text {
        None | Some("latest") => Ok(From::Latest),
        Some("earliest") => Ok(From::Earliest),
        Some(text) => {
            if let Ok(cursor) = text.parse() {
                return Ok(From::Cursor(cursor));
            }
            crate::params::parse_time("from", text)
                .map(From::Time)
                .map_err(|_| {
                    Problem::invalid("from", format!("{FROM}; found `{text}`")).with("value", text)
                })
        }
    }
}

/// Opens the session.
///
/// # Errors
/// 403 where the viewer may not read the topic, 404 where there is none, 409 for a cursor of another log.
pub(super) async fn session(app: &Arc<App>, viewer: &Viewer, request: Request) -> Result<Session> {
    // The gate: a limited key gets no topic but messages, and of those only its chats.
    app.log.open(viewer, request.topic.clone())?;
    let mut filter = request.filter.clone();
    if let Some(filter) = &mut filter {
        filter.visible_chats = viewer.visible_chats().map(<[_]>::to_vec);
    }
    let named = app.log.named(request.topic.clone());
    let (stored, generation) = opened(&named, &request.from)?;
    let bounds = match app.log.partitions(&stored).await {
        Err(record_log::Error::TopicNotFound(_)) if generation != named.generation => {
            let detail = format!(
                "the cursor is of generation {}, which is not kept any more",
                generation.0
            );
            return Err(unknown(&detail));
        }
        bounds => bounds?,
    };
    let feed = app.hub.feed(&stored, &bounds);

    let wanted = partitions(&request, &bounds)?;
    let mut starts = Vec::with_capacity(wanted.len());
    for p in wanted {
        let from = match &request.from {
            From::Latest => p.bounds.end,
            From::Earliest => p.bounds.start,
            From::Time(time) => {
                let at = TopicPartition::new(stored.clone(), p.partition);
                app.hub.log().offset_at(&at, *time).await?
            }
            From::Cursor(cursor) => {
                if cursor.epoch != *app.log.epoch() {
                    return Err(unknown("the cursor is of another history of the log"));
                }
                at_cursor(cursor, p)?
            }
        };
        starts.push(StartAt {
            partition: p.partition,
            from,
            head: p.bounds.end,
        });
    }
    let config = app.hub.config();
    Ok(Session::new(Setup {
        follow: Follow::new(app, &named),
        topic: request.topic,
        generation,
        epoch: app.log.epoch().clone(),
        filter,
        starts,
        feed,
        queue_records: config.queue_records,
        heartbeat: config.heartbeat(),
    }))
}

/// The topic to begin with, and its generation: the live one, or that of the cursor, from which the session moves on by
/// itself.
fn opened(named: &Named, from: &From) -> Result<(Topic, Generation)> {
    let From::Cursor(cursor) = from else {
        return Ok((named.stored.clone(), named.generation));
    };
    if cursor.generation == named.generation {
        return Ok((named.stored.clone(), named.generation));
    }
    if !named.follows {
        return Err(unknown("the cursor is of another generation of the topic"));
    }
    Ok((named.name.of(cursor.generation), cursor.generation))
}

/// The partitions to follow: the one named, or those of the cursor, or all.
fn partitions<'a>(
    request: &Request,
    bounds: &'a [PartitionBounds],
) -> Result<Vec<&'a PartitionBounds>> {
    if let Some(wanted) = request.partition {
        let at = TopicPartition::new(request.topic.clone(), wanted);
        let found = bounds.iter().find(|p| p.partition == wanted);
        return found
            .map(|p| vec![p])
            .ok_or_else(|| Problem::not_found("partition", at));
    }
    if let (From::Cursor(cursor), false) = (&request.from, request.names_partitions) {
        let named: Option<Vec<_>> = cursor
            .next
            .iter()
            .map(|(wanted, _)| bounds.iter().find(|p| p.partition == *wanted))
            .collect();
        return named.ok_or_else(|| unknown("the cursor names a partition this topic has not"));
    }
    Ok(bounds.iter().collect())
}

fn at_cursor(cursor: &Cursor, p: &PartitionBounds) -> Result<Offset> {
    let found = cursor.next.iter().find(|(id, _)| *id == p.partition);
    let Some((_, next)) = found else {
        let detail = format!("the cursor does not name partition {}", p.partition);
        return Err(Problem::invalid("from", detail));
    };
    if *next > p.bounds.end {
        return Err(unknown("the cursor lies beyond the end of the log")
            .with("partition", p.partition.0)
            .with("end", p.bounds.end.0));
    }
    Ok(*next)
}

fn unknown(detail: &str) -> Problem {
    Problem::new(Code::CursorUnknown, detail)
}
