//! The golden answers: all questions over some rows, and their lines.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;
use telesift_schemas::{
    Burst, ChatId, ScreenStats, StoryAssigned, StoryLink, StorySpread, Timestamp, Topic, Trend,
};

use crate::{
    Changes, Panes, Sums, Told,
    bursts::{self, Hours, Terms},
    changes,
    definitions::{BURST_WIDTH_S, MINUTE_S, SILENCE_STEP_S, SPREAD_SLIDE_S, TREND_SLIDE_S},
    panes::pane_of,
    screen::stats,
    spread::Tellings,
    trends::Trends,
};

/// Every row of every question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Of `screen-stats`.
    pub screen_stats: Vec<ScreenStats>,
    /// Of `trends`.
    pub trends: Vec<Trend>,
    /// Of `bursts`.
    pub bursts: Vec<Burst>,
    /// Of `story-spread`.
    pub story_spread: Vec<StorySpread>,
}

/// A question, by the topic of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub enum Question {
    ScreenStats,
    Trends,
    Bursts,
    StorySpread,
}

impl Question {
    /// All of them.
    pub const ALL: [Question; 4] = [
        Question::ScreenStats,
        Question::Trends,
        Question::Bursts,
        Question::StorySpread,
    ];

    /// The topic of its answers.
    pub fn topic(self) -> Topic {
        match self {
            Question::ScreenStats => Topic::SCREEN_STATS,
            Question::Trends => Topic::TRENDS,
            Question::Bursts => Topic::BURSTS,
            Question::StorySpread => Topic::STORY_SPREAD,
        }
    }
}

impl Answers {
    /// The lines of a question's rows, sorted.
    pub fn lines(&self, question: Question) -> Vec<String> {
        match question {
            Question::ScreenStats => lines(&self.screen_stats),
            Question::Trends => lines(&self.trends),
            Question::Bursts => lines(&self.bursts),
            Question::StorySpread => lines(&self.story_spread),
        }
    }
}

/// Rows as lines of tab-separated values, sorted. What follows from the rest (record version, end of the window) is left out;
/// the columns are in the order of their names.
pub fn lines<T: Serialize>(rows: &[T]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

fn line<T: Serialize>(row: &T) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(row) else {
        return String::new();
    };
    let fields: BTreeMap<String, Value> = fields.into_iter().collect();
    let shown = fields
        .iter()
        .filter(|(name, _)| !["v", "window_end"].contains(&name.as_str()));
    let shown = shown.map(|(_, value)| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    shown.collect::<Vec<_>>().join("\t")
}

/// The answers of all questions in windows that end at `until` or before, from messages and the records of `stories`.
pub fn answers(messages: Vec<Told>, stories: &[StoryAssigned], until: Timestamp) -> Answers {
    let closed = |width_s| pane_of(until, width_s) + 1;
    let Changes { told, minutes, .. } = changes(HashMap::new(), messages);
    let (mut trends, mut terms) = (Trends::default(), Terms::default());
    for told in &told {
        trends.add(told);
        terms.add(told);
    }
    let mut answers = Answers {
        trends: trends.rows(i64::MIN, closed(TREND_SLIDE_S)),
        bursts: terms.bursts(i64::MIN, closed(BURST_WIDTH_S)),
        ..Answers::default()
    };
    let mut chats: BTreeMap<ChatId, (Panes, Hours)> = BTreeMap::new();
    for changed in minutes {
        let n = Sums::messages(&changed.change).max(0) as u64;
        let (panes, hours) = chats.entry(changed.chat).or_default();
        panes.add(changed.minute.div_euclid(BURST_WIDTH_S / MINUTE_S), n);
        hours.add(changed.minute, n);
        if changed.minute < closed(MINUTE_S) - 1 {
            let row = stats(changed.chat, changed.minute, &changed.change);
            answers.screen_stats.extend(row);
        }
    }
    for (chat, (panes, hours)) in &chats {
        let loud = bursts::of_chat(*chat, panes, i64::MIN, closed(BURST_WIDTH_S));
        answers.bursts.extend(loud);
        let silent = hours.silences(*chat, i64::MIN, closed(SILENCE_STEP_S));
        answers.bursts.extend(silent);
    }
    answers.bursts.sort_by(bursts::order);
    answers.story_spread = spread(stories, closed(SPREAD_SLIDE_S));
    answers
}

/// A story as told: when its first message was sent, then when and where it was told again.
type ToldAgain = (Timestamp, Vec<(Timestamp, ChatId)>);

fn spread(stories: &[StoryAssigned], to: i64) -> Vec<StorySpread> {
    let mut told: BTreeMap<&str, ToldAgain> = BTreeMap::new();
    for assigned in stories.iter().filter(|s| s.how != StoryLink::First) {
        let first = assigned.first_time.unwrap_or(assigned.event_time);
        let at = assigned.joined_time.unwrap_or(assigned.event_time);
        let (_, tellings) = told.entry(&assigned.story).or_insert((first, Vec::new()));
        tellings.push((at, assigned.message.chat));
    }
    let rows = told.into_iter().flat_map(|(story, (first, tellings))| {
        Tellings::new(tellings).rows(story, first, i64::MIN, to)
    });
    rows.collect()
}
