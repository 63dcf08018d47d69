//! Questions over time windows: what trends, what bursts, who fell silent.

use std::sync::Arc;

use axum::{Json, extract::State};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use telesift_schemas::{Burst, BurstKind, ChatId, Timestamp, Trend, TrendKind};

use crate::{
    auth::Reader,
    cursor::Page,
    params::Params,
    problem::{Problem, Result},
    state::App,
    visible::Ends,
};

/// The tags of the lists in cursors.
const TRENDS: &str = "trends";
const BURSTS: &str = "bursts";
/// Windows of so many days at most in one answer.
const MAX_DAYS: i64 = 31;

/// A term or link, and in how many messages of a window it stands.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TrendView {
    /// `term` or `link`.
    #[schema(value_type = String)]
    kind: TrendKind,
    /// The term, folded and stemmed, or the URL: equal in every window, and in the topic `trends`.
    value: String,
    /// What to show: the word that most messages of the window write for the term; of a link the URL.
    name: String,
    /// Start of the window, an hour wide.
    #[schema(value_type = String, format = DateTime)]
    window_start: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    window_end: Timestamp,
    /// Messages of the window with it.
    messages: u64,
    /// Messages of the hour before with it.
    previous: u64,
    /// `(messages - previous) / max(previous, 1)`.
    growth: f64,
}

impl TrendView {
    fn new(trend: Trend, name: Option<String>) -> Self {
        TrendView {
            kind: trend.kind,
            name: name.unwrap_or_else(|| trend.value.clone()),
            value: trend.value,
            window_start: trend.window_start,
            window_end: trend.window_end,
            messages: trend.messages,
            previous: trend.previous,
            growth: trend.growth,
        }
    }
}

/// A chat or term much louder than it was, or a chat that fell silent.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct BurstView {
    /// `chat`, `term` or `silence`.
    #[schema(value_type = String)]
    kind: BurstKind,
    /// The chat's id, or the term: equal in every window, and in the topic `bursts`.
    subject: String,
    /// What to show: the chat's newest title, or the word that most messages of the window write for the term.
    name: String,
    /// Start of the loud quarter of an hour, or of the silence of six hours.
    #[schema(value_type = String, format = DateTime)]
    window_start: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    window_end: Timestamp,
    /// Messages of the window; 0 of a silence.
    messages: u64,
    /// Messages of the two hours before; of a silence, of the day that ends with it.
    baseline: u64,
    /// How many times the mean of the quarters before; 0 of a silence.
    ratio: f64,
    /// Of a silence: the minute of the last message.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<Timestamp>,
}

impl BurstView {
    fn new(burst: Burst, name: Option<String>) -> Self {
        BurstView {
            kind: burst.kind,
            name: name.unwrap_or_else(|| burst.subject.clone()),
            subject: burst.subject,
            window_start: burst.window_start,
            window_end: burst.window_end,
            messages: burst.messages,
            baseline: burst.baseline,
            ratio: burst.ratio,
            last_seen: burst.last_seen,
        }
    }
}

/// A place in a list of windows' rows: rows of one window are told apart by kind and name.
#[derive(Serialize, Deserialize)]
struct Place {
    window_end: Timestamp,
    kind: String,
    name: String,
    /// When the list was asked for first: without `until` it ends there.
    until: Timestamp,
}

/// List what trends
///
/// Terms and links in at least five messages of an hour that are no noise, with their growth against the hour before; every
/// quarter of an hour such a window ends. By the latest window, then by growth. Exact, from stored rows: an import of old
/// history counts in the hours it belongs to, an edit replaces. A key limited to chats counts only those.
#[utoipa::path(
    get, path = "/v1/trends", tag = "stats",
    params(
        ("until" = Option<String>, Query, description = "Windows that end at this time or before (RFC 3339); now unless given"),
        ("since" = Option<String>, Query, description = "Windows that end after this time, 31 days before at most; only the latest one unless given"),
        ("kind" = Option<Vec<String>>, Query, description = "`term`, `link`; may be repeated"),
        ("chat" = Option<Vec<String>>, Query, description = "Only messages of this chat; may be repeated"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of trends", body = Page<TrendView>, example = json!({"items": [{"kind": "term", "value": "мост", "name": "міст", "window_start": "2026-01-05T09:00:00Z", "window_end": "2026-01-05T10:00:00Z", "messages": 18, "previous": 4, "growth": 3.5}], "next_cursor": null})))
)]
pub(crate) async fn trends(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<TrendView>>> {
    let asked = Asked::read(&app, &mut params, TRENDS, SignedDuration::from_mins(15))?;
    let kinds: Vec<TrendKind> = params.all_closed("kind")?;
    params.finish()?;
    let mut rows = app.trends(&viewer, &asked.ends).await?;
    rows.retain(|row| kinds.is_empty() || kinds.contains(&row.kind));
    let place = |row: &Trend| (row.window_end, row.kind.as_str(), row.value.clone());
    let page = asked.page(rows, place, TRENDS)?;
    let names = app.names_of_trends(&viewer, &asked.ends, &page.items);
    let mut names = names.await?.into_iter();
    Ok(Json(
        page.map(|row| TrendView::new(row, names.next().flatten())),
    ))
}

/// List bursts, and chats that fell silent
///
/// A chat with ten messages or more in a quarter of an hour, or a term in five that are no noise, at least three times the
/// mean of the two hours before; a chat with twelve messages or more in a day and none in its last six hours. By the latest
/// window, then chats, terms and silences, the loudest first. Exact, from stored rows. A key limited to chats counts only those.
#[utoipa::path(
    get, path = "/v1/bursts", tag = "stats",
    params(
        ("until" = Option<String>, Query, description = "Windows that end at this time or before (RFC 3339); now unless given"),
        ("since" = Option<String>, Query, description = "Windows that end after this time, 31 days before at most; a day before `until` unless given"),
        ("kind" = Option<Vec<String>>, Query, description = "`chat`, `term`, `silence`; may be repeated"),
        ("chat" = Option<Vec<String>>, Query, description = "Only messages of this chat; may be repeated"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of bursts", body = Page<BurstView>, example = json!({"items": [{"kind": "silence", "subject": "-1001234567890", "name": "Ops", "window_start": "2026-01-05T03:00:00Z", "window_end": "2026-01-05T09:00:00Z", "messages": 0, "baseline": 31, "ratio": 0.0, "last_seen": "2026-01-05T02:17:00Z"}], "next_cursor": null})))
)]
pub(crate) async fn bursts(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<BurstView>>> {
    let asked = Asked::read(&app, &mut params, BURSTS, SignedDuration::from_hours(24))?;
    let kinds: Vec<BurstKind> = params.all_closed("kind")?;
    params.finish()?;
    let rows = app.bursts(&viewer, &asked.ends, &kinds).await?;
    let place = |row: &Burst| (row.window_end, row.kind.as_str(), row.subject.clone());
    let page = asked.page(rows, place, BURSTS)?;
    let names = app.names_of_bursts(&viewer, &asked.ends, &page.items);
    let mut names = names.await?.into_iter();
    Ok(Json(
        page.map(|row| BurstView::new(row, names.next().flatten())),
    ))
}

/// What every list of windows is asked for.
struct Asked {
    ends: Ends,
    limit: usize,
    after: Option<Place>,
}

impl Asked {
    /// Windows of `default` before `until` unless `since` is given.
    fn read(app: &App, params: &mut Params, list: &str, default: SignedDuration) -> Result<Self> {
        let limit = params.limit()?;
        let after: Option<Place> = params.after(list)?;
        let until = params.time("until")?;
        let until = until.or(after.as_ref().map(|place| place.until));
        let until = until.unwrap_or_else(|| app.clock.now());
        let since = match params.time("since")? {
            Some(since) => since,
            None => until.checked_sub(default).unwrap_or(Timestamp::MIN),
        };
        let days = until.duration_since(since).as_hours() / 24;
        if days > MAX_DAYS {
            let detail = format!("that spans {days} days; one answer spans {MAX_DAYS} at most");
            return Err(Problem::invalid("since", detail));
        }
        let chats = params.all_parsed::<ChatId>("chat", "a chat id")?;
        Ok(Asked {
            ends: Ends {
                since,
                until,
                chats,
            },
            limit,
            after,
        })
    }

    /// The page of `rows`, which are in the order of the list, after the place asked for.
    fn page<T>(
        &self,
        mut rows: Vec<T>,
        place: impl Fn(&T) -> (Timestamp, &'static str, String),
        list: &str,
    ) -> Result<Page<T>> {
        if let Some(after) = &self.after {
            let is_last = |row: &T| {
                let (window_end, kind, name) = place(row);
                (window_end, kind, name.as_str()) == (after.window_end, &after.kind, &after.name)
            };
            match rows.iter().position(is_last) {
                Some(i) => drop(rows.drain(..=i)),
                // It is one no more: its window's rows may come again, none is left out.
                None => rows.retain(|row| place(row).0 <= after.window_end),
            }
        }
        Page::cut(rows, self.limit, list, |last| {
            let (window_end, kind, name) = place(last);
            Place {
                window_end,
                kind: kind.to_owned(),
                name,
                until: self.ends.until,
            }
        })
    }
}
