//! Search: words, vectors or both, paged through a pinned result.

use std::{collections::HashMap, sync::Arc, time::Instant};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use telesift_ports::{
    embedder::Purpose,
    message_store::{Hit, SearchMode, SearchRequest},
};
use telesift_schemas::{Message, Topic};
use telesift_text::Query;
use uuid::Uuid;

use crate::{
    auth::{Reader, Viewer},
    body::JsonObject,
    cursor,
    params::{DEFAULT_LIMIT, FilterBody, parse_closed, reject_unknown_fields, valid_limit},
    pins::{Pin, PinnedHit, Searched},
    problem::{Code, Problem, Result},
    state::App,
    view::MessageView,
};

/// The result's tag in cursors.
const LIST: &str = "search";
/// How deep one can page.
const MAX_DEPTH: usize = 10_000;
/// A pinned result grows to at least this many hits once somebody pages on.
const FIRST_DEEPENING: usize = 1_000;
/// Characters of a query that count. Longer texts are no queries, yet they are answered.
const MAX_QUERY_CHARS: usize = 4_096;

/// A search. With a `cursor` everything else may be left out.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct SearchBody {
    /// What to look for: words; `"a phrase"` must occur, `-word` must not, `a OR b` needs one of both.
    #[schema(example = "поставка OR відвантаження -реклама")]
    query: Option<String>,
    /// `hybrid` (words and vectors, unless given), `text` or `vector`.
    mode: Option<String>,
    /// Applied before ranking.
    filter: Option<FilterBody>,
    /// Hits per page, 1..=500, 50 unless given.
    limit: Option<usize>,
    /// `next_cursor` of the last page.
    cursor: Option<String>,
}

const FIELDS: &[&str] = &["query", "mode", "filter", "limit", "cursor"];

/// A page of hits.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SearchAnswer {
    /// Best first.
    hits: Vec<HitView>,
    /// For the next page; `null` at the end, and at a depth of 10,000.
    next_cursor: Option<String>,
    /// Milliseconds this took here.
    took_ms: u64,
    /// What was left out because it was unavailable: `vector` when a hybrid search went on with words only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'static str>,
    /// Present and true when only the first 4,096 characters of the query counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    query_truncated: bool,
}

/// A hit.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct HitView {
    /// What it is ranked by; comparable within one answer only.
    score: f64,
    /// BM25 score, where the text matched.
    text_score: Option<f64>,
    /// Cosine similarity, −1..1, where vectors were compared.
    vector_score: Option<f64>,
    /// What matched, ascending.
    highlights: Vec<Highlight>,
    /// The message, as it is now.
    message: MessageView,
}

/// A piece of `message.text` that matched.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Highlight {
    /// First character of it, counted in Unicode code points from 0.
    start: usize,
    /// The character after it.
    end: usize,
    /// The piece itself.
    text: String,
}

/// Search messages
///
/// Any text is answered. The first page pins the result for 15 minutes: its cursors page through the very same hits,
/// whatever arrives meanwhile; after that they are a 410 `cursor_expired`.
#[utoipa::path(
    post, path = "/v1/search", tag = "search",
    request_body(content = SearchBody, example = json!({"query": "\"нова версія\" -реклама", "mode": "hybrid", "filter": {"langs": ["uk"], "classes": ["signal"]}, "limit": 10})),
    responses((status = 200, description = "A page of hits", body = SearchAnswer, example = json!({"hits": [{"score": 0.032, "text_score": 7.4, "vector_score": 0.61, "highlights": [{"start": 0, "end": 4, "text": "Нова"}], "message": crate::openapi::message_example()}], "next_cursor": null, "took_ms": 12})))
)]
pub(crate) async fn search(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Json<SearchAnswer>> {
    let started = Instant::now();
    match body.0.get("filter") {
        None | Some(Value::Null) => {}
        Some(Value::Object(filter)) => reject_unknown_fields(filter, FilterBody::FIELDS)?,
        Some(_) => return Err(Problem::invalid("filter", "`filter` is a JSON object")),
    }
    let body: SearchBody = body.into(FIELDS)?;
    let limit = valid_limit(body.limit.unwrap_or(DEFAULT_LIMIT))?;
    let mut answer = match &body.cursor {
        None => first_page(&app, &viewer, body, limit).await?,
        Some(_) => next_page(&app, &viewer, body, limit).await?,
    };
    answer.took_ms = started.elapsed().as_millis() as u64;
    Ok(Json(answer))
}

/// The parts of the body that say what is searched for, and whether the query was cut.
fn searched(body: SearchBody) -> Result<(Searched, bool)> {
    let mut text = body.query.unwrap_or_default();
    let cut = text.char_indices().nth(MAX_QUERY_CHARS).map(|(at, _)| at);
    if let Some(at) = cut {
        text.truncate(at);
    }
    let mode = match &body.mode {
        None => SearchMode::Hybrid,
        Some(name) => parse_closed("mode", name)?,
    };
    let query = body.filter.unwrap_or_default().into_query()?;
    Ok((Searched { text, mode, query }, cut.is_some()))
}

async fn first_page(
    app: &App,
    viewer: &Viewer,
    body: SearchBody,
    limit: usize,
) -> Result<SearchAnswer> {
    let (searched, query_truncated) = searched(body)?;
    // The horizon is taken before the search, so that a deeper search later on adds nothing newer.
    let horizon = horizon(app).await?;
    let found = find(app, viewer, &searched, limit + 1).await?;
    let goes_on = found.hits.len() > limit;
    let query = Query::parse(&searched.text);
    let pinned = found.hits.iter().map(PinnedHit::from).collect();
    let next_cursor = if goes_on {
        let id = app.pins.put(Pin {
            owner: viewer.key.id.clone(),
            searched,
            horizon: Arc::new(horizon),
            hits: pinned,
            complete: false,
        });
        Some(cursor::encode(LIST, (id.simple().to_string(), limit))?)
    } else {
        None
    };
    let page = found.hits.into_iter().take(limit);
    let page = page.map(|h| (PinnedHit::from(&h), h.message)).collect();
    Ok(SearchAnswer {
        hits: show(app, viewer, page, &query).await?,
        next_cursor,
        took_ms: 0,
        degraded: found.degraded,
        query_truncated,
    })
}

async fn next_page(
    app: &App,
    viewer: &Viewer,
    body: SearchBody,
    limit: usize,
) -> Result<SearchAnswer> {
    let text = body.cursor.as_deref().unwrap_or_default();
    let (id, from): (String, usize) = cursor::decode(LIST, text)?;
    let id =
        Uuid::try_parse(&id).map_err(|_| Problem::new(Code::InvalidCursor, "this is no cursor"))?;
    let mut pin = app.pins.get(id, &viewer.key.id)?;
    let repeats_search = body.query.is_some() || body.mode.is_some() || body.filter.is_some();
    if repeats_search && searched(body)?.0 != pin.searched {
        return Err(Problem::new(
            Code::InvalidCursor,
            "this cursor belongs to another search; send the cursor alone, or the same search with it",
        ));
    }
    let mut degraded = Vec::new();
    let wanted = from.saturating_add(limit).saturating_add(1).min(MAX_DEPTH);
    if pin.hits.len() < wanted && !pin.complete {
        let depth = (wanted * 4).clamp(FIRST_DEEPENING, MAX_DEPTH);
        let found = find(app, viewer, &pin.searched, depth).await?;
        let mut deeper = Pin::clone(&pin);
        deeper.deepen(&found.hits, MAX_DEPTH, found.hits.len() < depth);
        app.pins.replace(id, deeper.clone());
        degraded = found.degraded;
        pin = Arc::new(deeper);
    }

    let page: Vec<PinnedHit> = pin.hits.iter().skip(from).take(limit).copied().collect();
    let keys: Vec<_> = page.iter().map(|h| h.key).collect();
    let messages = app.store.seen_by(viewer).get_many(&keys).await?;
    let mut messages: HashMap<_, _> = messages.into_iter().map(|m| (m.id, m)).collect();
    let query = Query::parse(&pin.searched.text);
    let page = page
        .into_iter()
        .filter_map(|hit| Some((hit, messages.remove(&hit.key)?)))
        .collect();
    let hits = show(app, viewer, page, &query).await?;
    let to = from.saturating_add(limit);
    let goes_on = pin.hits.len() > to;
    Ok(SearchAnswer {
        hits,
        next_cursor: goes_on
            .then(|| cursor::encode(LIST, (id.simple().to_string(), to)))
            .transpose()?,
        took_ms: 0,
        degraded,
        query_truncated: false,
    })
}

/// What the store found.
#[derive(Default)]
struct Found {
    hits: Vec<Hit>,
    degraded: Vec<&'static str>,
}

/// How often a search is made anew because the live generation changed meanwhile.
const MAX_SWITCHES: usize = 3;

/// Asks the live store by a vector of its own model: both are looked up in turn, so that a switch in between, which may
/// change the model, makes it ask again.
async fn find(app: &App, viewer: &Viewer, searched: &Searched, limit: usize) -> Result<Found> {
    for _ in 0..MAX_SWITCHES {
        let store = app.generations.live().store;
        let found = find_once(app, viewer, searched, limit).await;
        if app.generations.live().store == store {
            return found;
        }
    }
    find_once(app, viewer, searched, limit).await
}

async fn find_once(app: &App, viewer: &Viewer, searched: &Searched, limit: usize) -> Result<Found> {
    let Some(filter) = app.on_subjects(viewer, &searched.query).await? else {
        return Ok(Found::default());
    };
    let query = Query::parse(&searched.text);
    let (vector, degraded) = match searched.mode {
        SearchMode::Text => (None, Vec::new()),
        SearchMode::Vector => (query_vector(app, &searched.text).await?, Vec::new()),
        SearchMode::Hybrid => match query_vector(app, &searched.text).await {
            Ok(vector) => (vector, Vec::new()),
            Err(problem) => {
                tracing::warn!(
                    cause = problem.cause,
                    "hybrid search goes on without vectors"
                );
                (None, vec!["vector"])
            }
        },
    };
    let has_words = !query.ranked.is_empty() || !query.required.is_empty();
    let nothing_to_look_for = match searched.mode {
        SearchMode::Vector => vector.is_none(),
        _ => vector.is_none() && !has_words,
    };
    if nothing_to_look_for {
        return Ok(Found {
            hits: Vec::new(),
            degraded,
        });
    }
    let mode = match (&searched.mode, &vector) {
        (SearchMode::Hybrid, None) => SearchMode::Text,
        (mode, _) => *mode,
    };
    let request = SearchRequest {
        query,
        vector,
        mode,
        filter,
        limit: limit.min(MAX_DEPTH),
    };
    let hits = app.store.seen_by(viewer).search(request).await?;
    Ok(Found { hits, degraded })
}

/// The query's vector; `None` for a text the model finds nothing in.
async fn query_vector(app: &App, text: &str) -> Result<Option<Vec<f32>>> {
    let timeout = std::time::Duration::from_millis(app.config.embed_timeout_ms);
    let texts = [text];
    let vectors = tokio::time::timeout(timeout, app.embedder.embed(&texts, Purpose::Query))
        .await
        .map_err(|_| Problem::unavailable("the embedding model", "it did not answer in time"))??;
    let vector = vectors.into_iter().next();
    Ok(vector.filter(|v| v.iter().any(|x| *x != 0.0)))
}

async fn horizon(
    app: &App,
) -> Result<HashMap<telesift_schemas::PartitionId, telesift_schemas::Offset>> {
    match app.log.partitions(&Topic::TELEGRAM_RAW).await {
        Ok(partitions) => Ok(partitions
            .iter()
            .map(|p| (p.partition, p.bounds.end))
            .collect()),
        Err(telesift_ports::record_log::Error::TopicNotFound(_)) => Ok(HashMap::new()),
        Err(error) => Err(error.into()),
    }
}

async fn show(
    app: &App,
    viewer: &Viewer,
    page: Vec<(PinnedHit, Message)>,
    query: &Query,
) -> Result<Vec<HitView>> {
    let (hits, messages): (Vec<_>, Vec<_>) = page.into_iter().unzip();
    let highlighted: Vec<_> = messages
        .iter()
        .map(|m| highlights(query, &m.text))
        .collect();
    let messages = app.show(viewer, messages).await?;
    let parts = hits.into_iter().zip(highlighted).zip(messages);
    Ok(parts
        .map(|((hit, highlights), message)| HitView {
            score: hit.score,
            text_score: hit.text_score,
            vector_score: hit.vector_score,
            highlights,
            message,
        })
        .collect())
}

/// Byte ranges to code points, in one pass.
fn highlights(query: &Query, text: &str) -> Vec<Highlight> {
    let (mut byte, mut chars) = (0, 0);
    let mut chars_before = |to: usize| {
        chars += text.get(byte..to).map_or(0, |s| s.chars().count());
        byte = to;
        chars
    };
    query
        .highlights(text)
        .into_iter()
        .map(|range| Highlight {
            start: chars_before(range.start),
            end: chars_before(range.end),
            text: text.get(range).unwrap_or_default().to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highlights_count_code_points() {
        let found = highlights(&Query::parse("версія"), "👍 Нова версія!");
        let version = Highlight {
            start: 7,
            end: 13,
            text: "версія".into(),
        };
        assert_eq!(found, [version]);
    }
}
