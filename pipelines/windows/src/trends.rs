//! Trends: in how many messages a term or link stood within an hour, and in the hour before.

use telesift_schemas::{Trend, TrendKind};

use crate::{
    definitions::{TREND_MIN, TREND_SLIDE_S, TREND_WIDTH_S},
    panes::{ByName, Window, pane_of, start_of},
    told::Told,
};

/// Panes of a window.
const WIDTH: i64 = TREND_WIDTH_S / TREND_SLIDE_S;

/// Messages by term and link and quarter of an hour, to be filled with every message that counts; oldest first is fastest.
#[derive(Debug, Default)]
pub struct Trends {
    terms: ByName,
    links: ByName,
}

impl Trends {
    /// Counts a message.
    pub fn add(&mut self, told: &Told) {
        let Some(said) = &told.said else { return };
        let pane = pane_of(told.event_time, TREND_SLIDE_S);
        said.terms().for_each(|term| self.terms.add(term, pane));
        said.links().for_each(|link| self.links.add(link, pane));
    }

    /// The trends of the windows that end at a quarter `from..to` (numbered since the unix epoch), the latest window first;
    /// in a window by growth, messages and value.
    pub fn rows(&self, from: i64, to: i64) -> Vec<Trend> {
        let mut rows = Vec::new();
        for (kind, counted) in [
            (TrendKind::Term, &self.terms),
            (TrendKind::Link, &self.links),
        ] {
            for (value, panes) in counted.iter() {
                let asked = panes.windows(WIDTH, WIDTH).filter(|window| {
                    window.messages >= TREND_MIN && (from..to).contains(&window.end)
                });
                rows.extend(asked.map(|window| row(kind, value, window)));
            }
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

fn row(kind: TrendKind, value: &str, window: Window) -> Trend {
    let Window {
        end,
        messages,
        before: previous,
    } = window;
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
