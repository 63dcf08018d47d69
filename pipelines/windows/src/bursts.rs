//! Bursts: chats and terms much louder than they were, and chats that fell silent.

use std::collections::BTreeMap;

use telesift_schemas::{Burst, BurstKind, ChatId, Timestamp};

use crate::{
    definitions::{
        BURST_BASELINE, BURST_FACTOR, BURST_WIDTH_S, CHAT_BURST_MIN, MINUTE_S, SILENCE_AFTER_S,
        SILENCE_DAY_S, SILENCE_MIN, SILENCE_STEP_S, TERM_BURST_MIN,
    },
    panes::{ByName, Panes, Window, pane_of, start_of},
    told::Told,
};

/// Messages by term and quarter of an hour, to be filled with every message that counts; oldest first is fastest.
#[derive(Debug, Default)]
pub struct Terms(ByName);

impl Terms {
    /// Counts a message.
    pub fn add(&mut self, told: &Told) {
        let Some(said) = &told.said else { return };
        let pane = pane_of(told.event_time, BURST_WIDTH_S);
        said.terms().for_each(|term| self.0.add(term, pane));
    }

    /// The bursts of the windows that end at a quarter `from..to`, numbered since the unix epoch.
    pub fn bursts(&self, from: i64, to: i64) -> Vec<Burst> {
        let found = self.0.iter().flat_map(|(term, panes)| {
            loud(panes, TERM_BURST_MIN, from, to).map(|found| burst(BurstKind::Term, term, found))
        });
        found.collect()
    }
}

/// The bursts of a chat, whose messages stand in quarters of an hour, in windows that end at a quarter `from..to`.
pub fn of_chat(chat: ChatId, panes: &Panes, from: i64, to: i64) -> Vec<Burst> {
    let subject = chat.to_string();
    loud(panes, CHAT_BURST_MIN, from, to)
        .map(|found| burst(BurstKind::Chat, &subject, found))
        .collect()
}

fn loud(panes: &Panes, min: u64, from: i64, to: i64) -> impl Iterator<Item = Window> {
    let found = panes.windows(1, BURST_BASELINE);
    found.filter(move |window| {
        let is_loud = window.messages * BURST_BASELINE as u64 >= BURST_FACTOR * window.before;
        window.messages >= min && is_loud && (from..to).contains(&window.end)
    })
}

fn burst(kind: BurstKind, subject: &str, window: Window) -> Burst {
    let Window {
        end,
        messages,
        before: baseline,
    } = window;
    Burst {
        v: Burst::VERSION,
        kind,
        subject: subject.to_owned(),
        window_start: start_of(end - 1, BURST_WIDTH_S),
        window_end: start_of(end, BURST_WIDTH_S),
        messages,
        baseline,
        ratio: (messages * BURST_BASELINE as u64) as f64 / baseline.max(1) as f64,
        last_seen: None,
    }
}

/// Hours of silence, and of the day that ends with it.
const AFTER: i64 = SILENCE_AFTER_S / SILENCE_STEP_S;
const DAY: i64 = SILENCE_DAY_S / SILENCE_STEP_S;

/// What a chat sent, by hour.
#[derive(Clone, Debug, Default)]
pub struct Hours {
    messages: Panes,
    /// The last minute of the hour in which anything was sent.
    last_minutes: BTreeMap<i64, i64>,
}

impl Hours {
    /// Counts `n` messages, the last of them sent in `minute` (since the unix epoch).
    pub fn add(&mut self, minute: i64, n: u64) {
        if n == 0 {
            return;
        }
        let hour = minute.div_euclid(SILENCE_STEP_S / MINUTE_S);
        self.messages.add(hour, n);
        let last = self.last_minutes.entry(hour).or_insert(minute);
        *last = (*last).max(minute);
    }

    /// When `chat` fell silent, if noticed at an hour `from..to` since the unix epoch.
    pub fn silences(&self, chat: ChatId, from: i64, to: i64) -> Vec<Burst> {
        let found = self.last_minutes.iter().filter_map(|(hour, minute)| {
            let end = hour + 1 + AFTER;
            let is_silent = self.messages.sum(hour + 1, end) == 0;
            let baseline = self.messages.sum(end - DAY, end);
            let is_noticed = (from..to).contains(&end) && is_silent && baseline >= SILENCE_MIN;
            is_noticed.then(|| silence(chat, end, *minute, baseline))
        });
        found.collect()
    }
}

fn silence(chat: ChatId, end: i64, minute: i64, baseline: u64) -> Burst {
    Burst {
        v: Burst::VERSION,
        kind: BurstKind::Silence,
        subject: chat.to_string(),
        window_start: start_of(end - AFTER, SILENCE_STEP_S),
        window_end: start_of(end, SILENCE_STEP_S),
        messages: 0,
        baseline,
        ratio: 0.0,
        last_seen: Some(start_of(minute, MINUTE_S)),
    }
}

/// The order in which bursts are told: the latest first, then by kind, the loudest, and subject.
pub fn order(a: &Burst, b: &Burst) -> std::cmp::Ordering {
    let newest = b.window_end.cmp(&a.window_end);
    newest
        .then(a.kind.cmp(&b.kind))
        .then(b.ratio.total_cmp(&a.ratio))
        .then(b.messages.cmp(&a.messages))
        .then_with(|| a.subject.cmp(&b.subject))
}

/// The number of the first quarter of an hour that starts at `at` or later.
pub fn quarter_from(at: Timestamp) -> i64 {
    at_or_after(at, BURST_WIDTH_S)
}

/// The number of the first hour that starts at `at` or later.
pub fn hour_from(at: Timestamp) -> i64 {
    at_or_after(at, SILENCE_STEP_S)
}

fn at_or_after(at: Timestamp, width_s: i64) -> i64 {
    let us = width_s * 1_000_000;
    let at = at.as_microsecond();
    at.div_euclid(us) + i64::from(at.rem_euclid(us) != 0)
}
