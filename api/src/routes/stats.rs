//! Numbers: the ledger of every stage, and classes over time.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use telesift_ports::{
    generations::Part,
    leases,
    ledger::{StageKey, StageState},
    record_log,
};
use telesift_schemas::{ChatId, Class, Generation, Timestamp, Topic, TopicPartition};
use telesift_windows::{Flag, Sums};

use crate::{
    auth::{Auditor, Viewer},
    cursor::Page,
    params::Params,
    problem::{Problem, Result},
    state::App,
    visible::{Screened, Span},
};

/// The tag of the list of stages in cursors.
const LIST: &str = "stages";
/// How many of the noisiest chats are named.
const TOP: usize = 10;
/// Buckets one answer may span.
const MAX_BUCKETS: u64 = 10_000;

/// A stage on one partition. `received = emitted + skipped + dead_lettered + pending`.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StageView {
    /// The stage, such as `screen`.
    stage: String,
    /// Its input.
    topic: String,
    /// The partition of it.
    partition: u32,
    /// Inputs taken.
    received: u64,
    /// Inputs whose effect is stored.
    emitted: u64,
    /// Inputs without an effect, by reason.
    skipped: BTreeMap<String, u64>,
    /// Inputs given up on; see `/v1/dead-letters`.
    dead_lettered: u64,
    /// Inputs that succeeded after at least one retry; a part of `emitted`.
    retried_ok: u64,
    /// Inputs taken whose fate is not known yet.
    pending: u64,
    /// Records of the partition not yet taken.
    lag: u64,
    /// The worker that holds its lease; absent where one process does everything, and while nobody does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    held_since: Option<Timestamp>,
}

impl StageView {
    /// Where it stands in the list.
    fn place(&self) -> (String, String, u32) {
        (self.stage.clone(), self.topic.clone(), self.partition)
    }
}

/// The stages that take everything, with the part of the first generation that each fills.
const OF_ALL: [(&str, Topic, Part); 4] = [
    ("screen", Topic::TELEGRAM_RAW, Part::Messages),
    ("index", Topic::MESSAGES, Part::Store),
    ("stories", Topic::MESSAGES, Part::Stories),
    ("windows", Topic::MESSAGES, Part::Windows),
];

/// The states of stages that have not committed anything yet: what waits for them shows all the same.
async fn not_begun(app: &App) -> Result<BTreeMap<StageKey, StageState>> {
    let mut states = BTreeMap::new();
    let register = app.generations.now();
    for (stage, topic, part) in OF_ALL {
        if !register.is_used((part, Generation::FIRST)) {
            continue;
        }
        let partitions = match app.log.partitions(&topic).await {
            Err(record_log::Error::TopicNotFound(_)) => continue,
            partitions => partitions?,
        };
        for partition in partitions {
            let key = StageKey {
                stage: stage.to_owned(),
                input: TopicPartition::new(topic.clone(), partition.partition),
            };
            states.insert(key, StageState::default());
        }
    }
    Ok(states)
}

/// List the stages' counters
///
/// Per stage and partition, as committed together with the position.
#[utoipa::path(
    get, path = "/v1/stats/pipeline", tag = "stats",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 500 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "Every stage on every partition", body = Page<StageView>, example = json!({"items": [{"stage": "screen", "topic": "telegram-raw", "partition": 0, "received": 124, "emitted": 120, "skipped": {"duplicate": 3}, "dead_lettered": 1, "retried_ok": 0, "pending": 0, "lag": 0}], "next_cursor": null})))
)]
pub(crate) async fn pipeline(
    auditor: Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<StageView>>> {
    let limit = params.limit_of_short()?;
    let after: Option<(String, String, u32)> = params.after(LIST)?;
    params.finish()?;
    let mut states = not_begun(&app).await?;
    for (key, value) in app.log.ledger(&auditor, StageKey::STATE_PREFIX).await? {
        let Some(stage) = StageKey::from_state_key(&key) else {
            return Err(Problem::internal(format!("state key `{key}` is no stage")));
        };
        let state: StageState = serde_json::from_slice(&value)
            .map_err(|e| Problem::internal(format!("state `{key}`: {e}")))?;
        // What several processes count of one source stands in rows of their own.
        states
            .entry(stage.counted_together())
            .or_default()
            .add(&state);
    }
    states.extend(app.catalog.stage_states().await?);
    let held = app.catalog.held_leases().await?;
    let units = app.catalog.unit_counts().await?;

    let mut items = Vec::with_capacity(states.len());
    for (key, state) in states {
        let lag = match app.log.bounds(&key.input).await {
            Ok(bounds) => bounds.end.0.saturating_sub(state.next.0),
            // A topic that is gone has nothing left to take.
            Err(record_log::Error::TopicNotFound(_) | record_log::Error::PartitionNotFound(_)) => 0,
            Err(error) => return Err(error.into()),
        };
        let names = leases::of_stage(&key);
        let lease = held.iter().find(|lease| names.contains(&lease.name));
        items.push(StageView {
            held_by: lease.map(|l| l.owner.clone()),
            held_since: lease.map(|l| l.since),
            pending: state.counters.pending(),
            stage: key.stage,
            topic: key.input.topic.to_string(),
            partition: key.input.partition.0,
            received: state.counters.received,
            emitted: state.counters.emitted,
            skipped: state.counters.skipped,
            dead_lettered: state.counters.dead_lettered,
            retried_ok: state.counters.retried_ok,
            lag,
        });
    }
    let n_units = units.due + units.done + units.failed;
    if n_units > 0 {
        // The stage takes units by urgency, so it has no position; what waits stands in the catalog.
        let lease = held.iter().find(|lease| lease.name == leases::KNOWLEDGE);
        items.push(StageView {
            held_by: lease.map(|l| l.owner.clone()),
            held_since: lease.map(|l| l.since),
            stage: "extract".to_owned(),
            topic: Topic::UNITS.to_string(),
            partition: 0,
            received: n_units,
            emitted: units.done.saturating_sub(units.passed_by.values().sum()),
            skipped: units.passed_by,
            dead_lettered: units.failed,
            retried_ok: 0,
            pending: units.due,
            lag: units.due,
        });
    }
    items.retain(|s| after.as_ref().is_none_or(|after| s.place() > *after));
    items.sort_by_key(StageView::place);
    Page::cut(items, limit, LIST, StageView::place).map(Json)
}

/// Classes over time, and the chats with most noise.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ScreenStats {
    /// Over all buckets.
    total: SumsView,
    /// Ascending; those without messages are left out. One bucket unless `bucket` is given.
    buckets: Vec<BucketView>,
    /// Most noise first, ten at most.
    noisiest: Vec<NoiseView>,
}

/// Messages by class, and what else screening found.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SumsView {
    noise: u64,
    weak_signal: u64,
    signal: u64,
    /// The mean of the scores, 0..1, as screened; `null` without messages.
    mean_score: Option<f64>,
    /// Messages by flag: `spam`, `service`, `edited`, `forwarded`, `auto_forward`, `time_uncertain`; those without are left
    /// out.
    flags: BTreeMap<&'static str, u64>,
}

impl From<&Sums> for SumsView {
    fn from(sums: &Sums) -> Self {
        let flags = Flag::ALL.map(|flag| (flag.as_str(), sums.with_flag(flag)));
        SumsView {
            noise: sums.of_class(Class::Noise),
            weak_signal: sums.of_class(Class::WeakSignal),
            signal: sums.of_class(Class::Signal),
            mean_score: sums.mean_score(),
            flags: flags.into_iter().filter(|(_, n)| *n > 0).collect(),
        }
    }
}

/// Messages of a time bucket, by class.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct BucketView {
    /// Start of the bucket.
    #[schema(value_type = Option<String>)]
    start: Option<Timestamp>,
    #[serde(flatten)]
    sums: SumsView,
}

/// How noisy a chat is.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct NoiseView {
    /// The chat.
    #[schema(value_type = String)]
    chat: ChatId,
    /// Its newest title.
    title: Option<String>,
    /// Its noise messages.
    noise: u64,
    /// All its messages.
    messages: u64,
}

/// Count messages by class
///
/// Exact, from stored rows: an import of old history counts where it belongs, an edit replaces, and where an analyst gave
/// another class, that counts.
#[utoipa::path(
    get, path = "/v1/stats/screen", tag = "stats",
    params(
        ("since" = Option<String>, Query, description = "Sent at or after (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Sent before (RFC 3339)"),
        ("bucket" = Option<String>, Query, description = "Width of a bucket: seconds, or a number with `s`, `m`, `h`, `d`, `w`; whole minutes are quick", example = "1h"),
    ),
    responses((status = 200, description = "Counts of current, undeleted messages", body = ScreenStats, example = json!({"total": {"noise": 80, "weak_signal": 14, "signal": 6, "mean_score": 0.21, "flags": {"spam": 9}}, "buckets": [{"start": "2026-01-05T10:00:00Z", "noise": 80, "weak_signal": 14, "signal": 6, "mean_score": 0.21, "flags": {"spam": 9}}], "noisiest": [{"chat": "-1001234567890", "title": "Ops", "noise": 80, "messages": 100}]})))
)]
pub(crate) async fn screen(
    auditor: Auditor,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<ScreenStats>> {
    let (since, until) = (params.time("since")?, params.time("until")?);
    let bucket_s = params.one("bucket")?.map(|b| seconds(&b)).transpose()?;
    params.finish()?;
    if let (Some(since), Some(until), Some(width)) = (since, until, bucket_s) {
        let span = until.as_second().saturating_sub(since.as_second()).max(0) as u64;
        if span / width > MAX_BUCKETS {
            let detail = format!("that makes more than {MAX_BUCKETS} buckets; take wider ones");
            return Err(Problem::invalid("bucket", detail));
        }
    }
    let width_s = bucket_s.and_then(|s| i64::try_from(s).ok());
    let span = Span { since, until };
    let screened = app.screened(&auditor, span, width_s).await?;
    let mut total = Sums::default();
    for sums in screened.buckets.values() {
        total += sums;
    }
    let Auditor(viewer) = auditor;
    let noisiest = noisiest(&app, &viewer, &screened).await?;
    let buckets = screened
        .buckets
        .iter()
        .filter(|(_, sums)| sums.messages() > 0);
    let start = |start: Option<i64>| start.and_then(|s| Timestamp::from_second(s).ok());
    Ok(Json(ScreenStats {
        total: (&total).into(),
        buckets: buckets
            .map(|(at, sums)| BucketView {
                start: start(*at).or(screened.first),
                sums: sums.into(),
            })
            .collect(),
        noisiest,
    }))
}

/// The chats with most noise, by their newest titles.
async fn noisiest(app: &App, viewer: &Viewer, screened: &Screened) -> Result<Vec<NoiseView>> {
    let noise = |sums: &Sums| sums.of_class(Class::Noise);
    let mut noisy: Vec<(&ChatId, &Sums)> = screened
        .chats
        .iter()
        .filter(|(_, s)| noise(s) > 0)
        .collect();
    noisy.sort_by_key(|(chat, sums)| (std::cmp::Reverse(noise(sums)), **chat));
    noisy.truncate(TOP);
    if noisy.is_empty() {
        return Ok(Vec::new());
    }
    let titles = app.titles(viewer).await?;
    let shown = noisy.into_iter().map(|(chat, sums)| NoiseView {
        chat: *chat,
        title: titles.get(chat).cloned(),
        noise: noise(sums),
        messages: u64::try_from(sums.messages()).unwrap_or(0),
    });
    Ok(shown.collect())
}

/// `90`, `90s`, `15m`, `1h`, `1d`, `1w` in seconds.
fn seconds(text: &str) -> Result<u64> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some((at, 'd')) => (&text[..at], 86_400),
        Some((at, 'w')) => (&text[..at], 604_800),
        _ => (text, 1),
    };
    let parsed = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    // A century is as wide as anybody needs, and keeps the arithmetic of times in range.
    parsed
        .filter(|s| (1..=3_200_000_000).contains(s))
        .ok_or_else(|| {
            let detail =
                format!("`bucket`: expected a width such as `1h`, `1d` or seconds, found `{text}`");
            Problem::invalid("bucket", detail)
        })
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn bucket_widths_are_read() {
        for (text, expected) in [("90", 90), ("15m", 900), ("1h", 3_600), ("1d", 86_400)] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "0",
            "h",
            "-1h",
            "1y",
            "1.5h",
            "99999999999999999999d",
            "1ж",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
