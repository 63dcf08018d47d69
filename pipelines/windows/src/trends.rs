//! Trends: in how many messages a term or link stood within an hour, and in the hour before.

use std::collections::{BTreeSet, HashMap};

use telesift_schemas::{Trend, TrendKind};

use crate::{
    definitions::{TREND_MIN, TREND_SLIDE_S, TREND_WIDTH_S},
    panes::{Panes, pane_of, start_of},
    told::Told,
};

/// Panes of a window.
const WIDTH: i64 = TREND_WIDTH_S / TREND_SLIDE_S;

/// Messages by term and link and quarter of an hour, to be filled with every message that counts.
#[derive(Debug, Default)]
pub struct Trends(HashMap<(TrendKind, String), Panes>);

impl Trends {
    /// Counts a message.
    pub fn add(&mut self, told: &Told) {
        let Some(said) = &told.said else { return };
        let pane = pane_of(told.event_time, TREND_SLIDE_S);
        let terms = said.terms().map(|term| (TrendKind::Term, term));
        let links = said.links().map(|link| (TrendKind::Link, link));
        for (kind, value) in terms.chain(links) {
            let panes = self.0.entry((kind, value.to_owned())).or_default();
            panes.add(pane, 1);
        }
    }

    /// The trends of the windows that end at a quarter `from..to` (numbered since the unix epoch), the latest window first;
    /// in a window by growth, messages and value.
    pub fn rows(&self, from: i64, to: i64) -> Vec<Trend> {
        let mut rows = Vec::new();
        for ((kind, value), panes) in &self.0 {
            let ends = panes.iter().flat_map(|(pane, _)| pane + 1..=pane + WIDTH);
            let ends: BTreeSet<i64> = ends.filter(|end| (from..to).contains(end)).collect();
            rows.extend(ends.into_iter().filter_map(|end| {
                let messages = panes.sum(end - WIDTH, end);
                let previous = panes.sum(end - 2 * WIDTH, end - WIDTH);
                (messages >= TREND_MIN).then(|| row(*kind, value, end, messages, previous))
            }));
        }
        rows.sort_by(order);
        rows
    }
}

/// The order of [`Trends::rows`].
pub fn order(a: &Trend, b: &Trend) -> std::cmp::Ordering {
    let newest = b.window_end.cmp(&a.window_end);
    newest
        .then(b.growth.total_cmp(&a.growth))
        .then(b.messages.cmp(&a.messages))
        .then_with(|| (a.kind, &a.value).cmp(&(b.kind, &b.value)))
}

fn row(kind: TrendKind, value: &str, end: i64, messages: u64, previous: u64) -> Trend {
    Trend {
        v: Trend::VERSION,
        kind,
        value: value.to_owned(),
        window_start: start_of(end - WIDTH, TREND_SLIDE_S),
        window_end: start_of(end, TREND_SLIDE_S),
        messages,
        previous,
        growth: (messages as f64 - previous as f64) / previous.max(1) as f64,
    }
}
