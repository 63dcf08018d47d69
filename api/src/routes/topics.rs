//! The topics of the log and what is kept of them.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use telesift_ports::record_log::TopicInfo;

use crate::{auth::Reader, cursor::Page, params::Params, problem::Result, state::App};

/// A topic.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TopicView {
    /// Its name.
    #[schema(example = "messages")]
    topic: String,
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

impl From<TopicInfo> for TopicView {
    fn from(info: TopicInfo) -> Self {
        let partitions = info.partitions.iter().map(|p| PartitionView {
            partition: p.partition.0,
            start: p.bounds.start.0,
            end: p.bounds.end.0,
        });
        TopicView {
            topic: info.topic.to_string(),
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
    responses((status = 200, description = "Every topic, by name", body = Page<TopicView>, example = json!({"items": [{"topic": "messages", "partitions": [{"partition": 0, "start": 0, "end": 124}], "retention": {"max_age_s": null, "max_bytes": null}}], "next_cursor": null})))
)]
pub(crate) async fn list(
    _reader: Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<Page<TopicView>>> {
    params.finish()?;
    let topics = app.log.topics().await?;
    Ok(Json(Page {
        items: topics.into_iter().map(TopicView::from).collect(),
        next_cursor: None,
    }))
}
