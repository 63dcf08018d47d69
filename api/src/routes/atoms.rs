//! Atoms: listed, searched, one by one with their versions, and reviewed.

mod reviews;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use telesift_ports::{
    embedder::Purpose,
    knowledge::{AtomFilter, AtomPosition, AtomSearch},
    message_store::SearchMode,
};
use telesift_text::Query;

use crate::{
    auth::{Reader, Viewer},
    cursor::Page,
    knowledge::AtomView,
    openapi::AtomBody,
    params::Params,
    problem::{Problem, Result},
    state::App,
};

pub(crate) use reviews::{__path_review, __path_review_many, review, review_many, worded};

/// The list's tag in cursors.
const LIST: &str = "atoms";
/// Hits of a search among atoms, before the filter.
const MAX_HITS: usize = 500;

const A_CHAT: &str = "a chat id such as -1001234567890";

/// List atoms, those with the latest evidence first
///
/// Claims with the words they stand on. Rejected and retracted ones are left out unless `status` asks for them. With `query`
/// the best matches come first, in one page. Different parameters are AND; one repeated is OR. A key limited to chats sees an
/// atom only if all its evidence stands there.
#[utoipa::path(
    get, path = "/v1/atoms", tag = "knowledge",
    params(
        ("kind" = Option<Vec<String>>, Query, description = "`problem`, `solution`, `decision`, `question`, `insight`, `pattern`, `requirement`, `task`"),
        ("status" = Option<Vec<String>>, Query, description = "`needs_review`, `approved`, `rejected`, `retracted`; the first two unless given"),
        ("subject" = Option<Vec<String>>, Query, description = "On this subject, by id"),
        ("chat" = Option<Vec<String>>, Query, description = "With evidence, or a further source, in this chat"),
        ("since" = Option<String>, Query, description = "With evidence sent at or after (RFC 3339)"),
        ("until" = Option<String>, Query, description = "With evidence sent before (RFC 3339)"),
        ("query" = Option<String>, Query, description = "About this: words, a phrase in quotes, `-word`, `OR`"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of atoms", body = Page<AtomBody>))
)]
pub(crate) async fn list(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<AtomView>>> {
    let subjects = params.all("subject");
    let filter = AtomFilter {
        kinds: params.all_closed("kind")?,
        statuses: params.all_closed("status")?,
        subjects: app.subject_ids(&subjects).await?,
        chats: params.all_parsed("chat", A_CHAT)?,
        since: params.time("since")?,
        until: params.time("until")?,
        visible_chats: None,
    };
    let query = params.one("query")?;
    let limit = params.limit()?;
    let after: Option<AtomPosition> = params.after(LIST)?;
    params.finish()?;
    if let Some(query) = query.filter(|q| !q.trim().is_empty()) {
        if after.is_some() {
            let detail = "`cursor` goes with the list, not with a `query`";
            return Err(Problem::invalid("cursor", detail));
        }
        let items = search(&app, &viewer, &filter, &query, limit).await?;
        return Ok(Json(Page {
            items,
            next_cursor: None,
        }));
    }
    let found = app
        .atoms(&viewer, &filter, after.as_ref(), limit + 1)
        .await?;
    let page = Page::cut(found, limit, LIST, |last| AtomPosition::from(last))?;
    Ok(Json(Page {
        items: app.show_atoms(&viewer, page.items).await?,
        next_cursor: page.next_cursor,
    }))
}

/// Get an atom
///
/// `?history=true` adds `versions`, oldest first. One that was merged says into which.
#[utoipa::path(
    get, path = "/v1/atoms/{id}", tag = "knowledge",
    params(
        ("id" = String, Path, description = "Its id", example = "a-3c9d2b7a10e4f586"),
        ("history" = Option<bool>, Query, description = "Every version too"),
    ),
    responses((status = 200, description = "The atom", body = AtomBody))
)]
pub(crate) async fn one(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<AtomView>> {
    let history = params.flag("history")?;
    params.finish()?;
    let stored = app.atom(&viewer, &id).await?;
    let view = app.show_atom(&viewer, stored).await?;
    Ok(Json(match history {
        true => view.with_versions(app.atom_versions(&viewer, &id).await?),
        false => view,
    }))
}

async fn search(
    app: &App,
    viewer: &Viewer,
    filter: &AtomFilter,
    text: &str,
    limit: usize,
) -> Result<Vec<AtomView>> {
    let query = Query::parse(text);
    let vectors = app.atom_index.embedder();
    let vectors = vectors.embed(&[text], Purpose::Query).await;
    let vector = vectors.ok().and_then(|v| v.into_iter().next());
    let vector = vector.filter(|v| v.iter().any(|x| *x != 0.0));
    let has_words = !query.ranked.is_empty() || !query.required.is_empty();
    if !has_words && vector.is_none() {
        return Ok(Vec::new());
    }
    let search = AtomSearch {
        mode: match vector.is_some() {
            true => SearchMode::Hybrid,
            false => SearchMode::Text,
        },
        query,
        vector,
        kinds: filter.kinds.clone(),
        chats: viewer.visible_chats().map(<[_]>::to_vec),
        include_gone: !filter.statuses.is_empty(),
        limit: MAX_HITS,
    };
    let hits = app.atom_index.search(search).await?;
    let ids: Vec<String> = hits.into_iter().map(|hit| hit.id).collect();
    let mut found = app.atoms_by_id(viewer, &ids).await?;
    found.retain(|stored| filter.matches(stored));
    found.truncate(limit);
    app.show_atoms(viewer, found).await
}
