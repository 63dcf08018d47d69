//! The topics of the log and what is kept of them.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use telesift_ports::{generations::Parts, record_log::TopicInfo};

use crate::{
    auth::Reader, cursor::Page, params::Params, problem::Result, state::App, visible::Named,
};

/// The list's tag in cursors.
const LIST: &str = "topics";

/// A topic.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TopicView {
    /// Its name. `messages` and `stories` are those of the live generation; those of another one are called `messages-g2`.
    #[schema(example = "messages")]
    topic: String,
    /// The generation that made it; `null` for topics that have none.
    generation: Option<u32>,
    /// Whether readers of messages get this generation's.
    live: bool,
    /// Its partitions, ascending.
    partitions: Vec<PartitionView>,
    /// What may be evicted.
    retention: RetentionView,
}

/// The readable range of a partition: `start..end`.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PartitionView {
    /// From 0.
    partition: u32,
    /// The first offset still kept.
    start: u64,
    /// The offset the next record will get.
    end: u64,
}

/// What of a topic may be evicted; both `null` = nothing, ever.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RetentionView {
    /// Records appended longer ago, in seconds.
    max_age_s: Option<u64>,
    /// The oldest records of a partition while it holds more than this, in bytes.
    max_bytes: Option<u64>,
}

impl TopicView {
    fn new(info: TopicInfo, live: &Parts) -> Self {
        let (name, generation) = Named::of_stored(&info.topic, live);
        let partitions = info.partitions.iter().map(|p| PartitionView {
            partition: p.partition.0,
            start: p.bounds.start.0,
            end: p.bounds.end.0,
        });
        TopicView {
            live: match &generation {
                // The live one goes by its plain name.
                Some(_) => !name.contains("-g"),
                None => true,
            },
            topic: name,
            generation: generation.map(|g| g.0),
            partitions: partitions.collect(),
            retention: RetentionView {
                max_age_s: info.retention.max_age_s,
                max_bytes: info.retention.max_bytes,
            },
        }
    }
}

/// List topics
///
/// With the readable range of each partition. Offsets are not secret, so a limited key sees all topics.
#[utoipa::path(
    get, path = "/v1/topics", tag = "log",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 500 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "Every topic, by name", body = Page<TopicView>, example = json!({"items": [{"topic": "messages", "generation": 1, "live": true, "partitions": [{"partition": 0, "start": 0, "end": 124}], "retention": {"max_age_s": null, "max_bytes": null}}], "next_cursor": null})))
)]
pub(crate) async fn list(
    _reader: Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<TopicView>>> {
    let limit = params.limit_of_short()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let live = app.generations.live();
    let topics = app.log.topics().await?.into_iter();
    let mut items: Vec<TopicView> = topics.map(|info| TopicView::new(info, &live)).collect();
    items.retain(|t| after.as_ref().is_none_or(|after| t.topic > *after));
    items.sort_by(|a, b| a.topic.cmp(&b.topic));
    Page::cut(items, limit, LIST, |last| last.topic.clone()).map(Json)
}
