//! `screen-stats`, `trends`, `bursts`, `story-spread`: answers to questions over time windows, one record per row.
//!
//! What each means is said once, in the crate `telesift-windows` and docs/windows.md. Windows are half-open, aligned to the
//! unix epoch, in event time. Arroyo writes times without a zone, which are UTC: both spellings are read.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{ChatId, Timestamp};

/// A record of `screen-stats`: what screening made of the messages one chat sent in one minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ScreenStats {
    /// Record version: 1.
    pub v: u32,
    /// The chat.
    pub chat: ChatId,
    /// Start of the minute.
    #[serde(deserialize_with = "utc")]
    pub window_start: Timestamp,
    /// Its end.
    #[serde(deserialize_with = "utc")]
    pub window_end: Timestamp,
    /// Messages sent in it.
    pub messages: u64,
    /// Of these noise.
    pub noise: u64,
    /// Of these weak signals.
    pub weak_signal: u64,
    /// Of these signals.
    pub signal: u64,
    /// The sum of their scores in millionths, each rounded: sums of integers are exact in any order.
    pub score_millionths: u64,
    /// That sum by the number of messages, 0..1.
    pub mean_score: f64,
    /// Messages with the flag `spam`.
    pub spam: u64,
    /// With the flag `service`.
    pub service: u64,
    /// With the flag `edited`.
    pub edited: u64,
    /// With the flag `forwarded`.
    pub forwarded: u64,
    /// With the flag `auto_forward`.
    pub auto_forward: u64,
    /// With the flag `time_uncertain`.
    pub time_uncertain: u64,
}

/// A record of `trends`: in how many messages a term or link stood in a window, and in the window before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Trend {
    /// Record version: 1.
    pub v: u32,
    /// Whether a term or a link.
    pub kind: TrendKind,
    /// The term, folded and stemmed, or the URL.
    pub value: String,
    /// Start of the window.
    #[serde(deserialize_with = "utc")]
    pub window_start: Timestamp,
    /// Its end.
    #[serde(deserialize_with = "utc")]
    pub window_end: Timestamp,
    /// Messages of the window with it.
    pub messages: u64,
    /// Messages of the window before, as wide, with it.
    pub previous: u64,
    /// `(messages - previous) / max(previous, 1)`.
    pub growth: f64,
}

/// What trends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrendKind {
    /// A word, tag or mention of the texts.
    Term,
    /// A URL.
    Link,
}

impl TrendKind {
    /// All kinds.
    pub const ALL: [TrendKind; 2] = [TrendKind::Term, TrendKind::Link];

    /// The name in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            TrendKind::Term => "term",
            TrendKind::Link => "link",
        }
    }
}

/// A record of `bursts`: a chat or term that is much louder than it was, or a chat that fell silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Burst {
    /// Record version: 1.
    pub v: u32,
    /// What happened to what.
    pub kind: BurstKind,
    /// The chat's id, or the term.
    pub subject: String,
    /// Start of the loud window, or of the silence that was waited for.
    #[serde(deserialize_with = "utc")]
    pub window_start: Timestamp,
    /// Its end.
    #[serde(deserialize_with = "utc")]
    pub window_end: Timestamp,
    /// Messages of the window; 0 of a silence.
    pub messages: u64,
    /// Messages of all the windows before it that it is compared with; of a silence, of the day that ends with it.
    pub baseline: u64,
    /// How many times the mean of the windows before (`messages` times their number by `max(baseline, 1)`); 0 of a silence.
    pub ratio: f64,
    /// Of a silence: the minute of the last message.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "maybe_utc"
    )]
    pub last_seen: Option<Timestamp>,
}

/// Kinds of bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BurstKind {
    /// A chat became loud.
    Chat,
    /// A term did.
    Term,
    /// A chat fell silent.
    Silence,
}

impl BurstKind {
    /// All kinds.
    pub const ALL: [BurstKind; 3] = [BurstKind::Chat, BurstKind::Term, BurstKind::Silence];

    /// The name in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            BurstKind::Chat => "chat",
            BurstKind::Term => "term",
            BurstKind::Silence => "silence",
        }
    }
}

/// A record of `story-spread`: how a story was told again within an hour. Its first message is not counted, which was told
/// before there was a story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct StorySpread {
    /// Record version: 1.
    pub v: u32,
    /// The story.
    pub story: String,
    /// Start of the window.
    #[serde(deserialize_with = "utc")]
    pub window_start: Timestamp,
    /// Its end.
    #[serde(deserialize_with = "utc")]
    pub window_end: Timestamp,
    /// Messages that told it again in the window.
    pub messages: u64,
    /// In how many chats.
    pub chats: u64,
    /// When its first message was sent.
    #[serde(deserialize_with = "utc")]
    pub first_seen: Timestamp,
    /// When the last message of the window was sent.
    #[serde(deserialize_with = "utc")]
    pub last_seen: Timestamp,
    /// Its speed: chats per hour in the window.
    pub chats_per_hour: f64,
}

impl ScreenStats {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

impl Trend {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

impl Burst {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

impl StorySpread {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// A time with its zone, or without: then it is UTC.
fn utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let zoned = text.parse().or_else(|_| format!("{text}Z").parse());
    zoned.map_err(|_| D::Error::custom("not a time in RFC 3339, with a zone or without"))
}

fn maybe_utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Time(#[serde(deserialize_with = "utc")] Timestamp);
    let time = Option::<Time>::deserialize(deserializer)?;
    Ok(time.map(|Time(time)| time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_a_zone_are_utc() {
        let text = r#"{"v":1,"kind":"silence","subject":"-1","window_start":"2026-01-05T08:00:00","window_end":"2026-01-05T14:00:00Z",
            "messages":0,"baseline":12,"ratio":0.0,"last_seen":"2026-01-05T07:59:00"}"#;
        let burst: Burst = serde_json::from_str(text).unwrap();
        assert_eq!(burst.window_start, "2026-01-05T08:00:00Z".parse().unwrap());
        assert_eq!(burst.last_seen, "2026-01-05T07:59:00Z".parse().ok());
        let without = text.replace(r#""2026-01-05T07:59:00""#, "null");
        let burst: Burst = serde_json::from_str(&without).unwrap();
        assert_eq!(burst.last_seen, None);
        assert!(serde_json::from_str::<Burst>(&text.replace("14:00:00Z", "soon")).is_err());
    }
}
