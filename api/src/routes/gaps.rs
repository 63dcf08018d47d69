//! Gaps: holes in the message ids of a chat, and what they can mean.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use telesift_schemas::ChatId;

use crate::{
    auth::Reader,
    cursor::Page,
    params::{Params, path_value},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "gaps";

/// What holes mean where a chat counts its own messages.
const OWN_IDS: &str = "This chat counts its own messages, so a hole is a message that never came here: one deleted before, one sent while nobody listened, or one the source does not show (a bot sees no history, no messages of other bots, and with privacy mode on only what is meant for it).";
/// What they mean elsewhere.
const SHARED_IDS: &str = "In private chats and basic groups an account counts the messages of all such chats together, so holes are natural and say nothing about missing messages.";

/// The holes of a chat.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GapsView {
    /// The chat.
    #[schema(value_type = String)]
    chat: ChatId,
    /// Whether a hole is a message that never came here; false for private chats and basic groups, whose ids have holes by
    /// nature.
    conclusive: bool,
    /// That in words.
    note: &'static str,
    /// The lowest id known; nothing is said of what lies before.
    first: i64,
    /// The highest id known.
    last: i64,
    /// Ids known between them, both included.
    n_known: u64,
    /// Ids between them that are not known.
    n_missing: u64,
    /// The holes, ascending.
    #[serde(flatten)]
    page: Page<GapView>,
}

/// A hole: no message with an id from `from` to `to` is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct GapView {
    /// First missing id.
    from: i64,
    /// Last missing id.
    to: i64,
    /// How many.
    n: u64,
}

/// List the holes in a chat's message ids
///
/// Between the lowest and the highest id known; tombstones count as known.
#[utoipa::path(
    get, path = "/v1/chats/{id}/gaps", tag = "messages",
    params(
        ("id" = String, Path, description = "The chat", example = "-1001234567890"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "The holes", body = GapsView, example = json!({"chat": "-1001234567890", "conclusive": true, "note": OWN_IDS, "first": 3, "last": 120, "n_known": 116, "n_missing": 2, "items": [{"from": 17, "to": 18, "n": 2}], "next_cursor": null})))
)]
pub(crate) async fn list(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<GapsView>> {
    let chat: ChatId = path_value("id", &id)?;
    let limit = params.limit()?;
    let after: Option<i64> = params.after(LIST)?;
    params.finish()?;
    let ids = app.store.seen_by(&viewer).message_ids(chat).await?;
    let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
        return Err(Problem::not_found("chat", chat));
    };
    let holes = holes(&ids);
    let n_missing = holes.iter().map(|hole| hole.n).sum();
    let later = holes.into_iter();
    let later = later.filter(|hole| after.is_none_or(|after| hole.from > after));
    let conclusive = chat.channel_id().is_some();
    Ok(Json(GapsView {
        chat,
        conclusive,
        note: if conclusive { OWN_IDS } else { SHARED_IDS },
        first,
        last,
        n_known: ids.len() as u64,
        n_missing,
        page: Page::cut(later.take(limit + 1).collect(), limit, LIST, |last| {
            last.from
        })?,
    }))
}

/// The holes between ascending ids.
fn holes(ids: &[i64]) -> Vec<GapView> {
    let pairs = ids.windows(2).filter_map(|pair| {
        let (from, to) = (pair[0].checked_add(1)?, pair[1].checked_sub(1)?);
        (from <= to).then(|| GapView {
            from,
            to,
            n: to.abs_diff(from).saturating_add(1),
        })
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_lie_between_known_ids() {
        let hole = |from, to, n| GapView { from, to, n };
        assert_eq!(holes(&[3, 4, 7, 8, 10]), [hole(5, 6, 2), hole(9, 9, 1)]);
        assert_eq!(holes(&[5]), []);
        let widest = holes(&[i64::MIN, i64::MAX]);
        assert_eq!(widest, [hole(i64::MIN + 1, i64::MAX - 1, u64::MAX - 1)]);
    }
}
