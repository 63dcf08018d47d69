//! The spread of a story: when it was first told, by how many messages and chats again, and how fast.

use std::collections::{BTreeMap, BTreeSet};

use telesift_schemas::{ChatId, StorySpread, Timestamp};

use crate::{
    definitions::{SPREAD_SLIDE_S, SPREAD_WIDTH_S},
    panes::{pane_of, start_of},
};

/// Panes of a window.
const WIDTH: i64 = SPREAD_WIDTH_S / SPREAD_SLIDE_S;

/// Who tells a story: each message's chat and time, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Tellings(Vec<(Timestamp, ChatId)>);

/// A story's spread over all its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// When its oldest message was sent.
    pub first_seen: Timestamp,
    /// When its newest was.
    pub last_seen: Timestamp,
    /// How many messages tell it.
    pub messages: u64,
    /// In how many chats.
    pub chats: u64,
    /// Chats per hour between the oldest message and the last chat's first; `None` where it stands in one chat, or in
    /// all from the first moment on.
    pub chats_per_hour: Option<f64>,
    /// The most chats that told it again within an hour, in windows as `story-spread` has them.
    pub peak_chats_per_hour: f64,
    /// Each chat with its first telling, in the order it came there.
    pub path: Vec<(ChatId, Timestamp)>,
}

impl Tellings {
    /// In any order.
    pub fn new(tellings: impl IntoIterator<Item = (Timestamp, ChatId)>) -> Self {
        let mut tellings: Vec<_> = tellings.into_iter().collect();
        tellings.sort();
        Tellings(tellings)
    }

    /// The whole spread; `None` of no telling.
    pub fn spread(&self) -> Option<Spread> {
        let (first_seen, _) = *self.0.first()?;
        let (last_seen, _) = *self.0.last()?;
        let mut seen = BTreeSet::new();
        let path = self.0.iter().filter(|(_, chat)| seen.insert(*chat));
        let path: Vec<_> = path.map(|(at, chat)| (*chat, *at)).collect();
        let reached = path.last().map_or(first_seen, |(_, at)| *at);
        let hours = (reached.as_microsecond() - first_seen.as_microsecond()) as f64 / 3.6e9;
        let again = Tellings(self.0[1..].to_vec());
        let rows = again.rows("", first_seen, i64::MIN, i64::MAX);
        let peak = rows.iter().map(|row| row.chats_per_hour);
        Some(Spread {
            first_seen,
            last_seen,
            messages: self.0.len() as u64,
            chats: path.len() as u64,
            chats_per_hour: (hours > 0.0).then(|| path.len() as f64 / hours),
            peak_chats_per_hour: peak.fold(0.0, f64::max),
            path,
        })
    }

    /// The rows of `story-spread` of these tellings, all but the first message's, whose windows end at a quarter
    /// `from..to` since the unix epoch.
    pub fn rows(&self, story: &str, first_seen: Timestamp, from: i64, to: i64) -> Vec<StorySpread> {
        let mut windows: BTreeMap<i64, Vec<(Timestamp, ChatId)>> = BTreeMap::new();
        for telling in &self.0 {
            let pane = pane_of(telling.0, SPREAD_SLIDE_S);
            for end in pane + 1..=pane + WIDTH {
                if (from..to).contains(&end) {
                    windows.entry(end).or_default().push(*telling);
                }
            }
        }
        let rows = windows.into_iter().filter_map(|(end, tellings)| {
            let (last_seen, _) = *tellings.last()?;
            let chats: BTreeSet<ChatId> = tellings.iter().map(|(_, chat)| *chat).collect();
            let hours = SPREAD_WIDTH_S as f64 / 3_600.0;
            Some(StorySpread {
                v: StorySpread::VERSION,
                story: story.to_owned(),
                window_start: start_of(end - WIDTH, SPREAD_SLIDE_S),
                window_end: start_of(end, SPREAD_SLIDE_S),
                messages: tellings.len() as u64,
                chats: chats.len() as u64,
                first_seen,
                last_seen,
                chats_per_hour: chats.len() as f64 / hours,
            })
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_767_607_200 + 60 * minute).unwrap()
    }

    #[test]
    fn a_spread_counts_chats_once_and_knows_its_speed() {
        let (a, b, c) = (ChatId(-1), ChatId(-2), ChatId(-3));
        let told = [
            (at(90), c),
            (at(0), a),
            (at(30), b),
            (at(60), a),
            (at(300), b),
        ];
        let spread = Tellings::new(told).spread().unwrap();
        assert_eq!((spread.messages, spread.chats), (5, 3));
        assert_eq!((spread.first_seen, spread.last_seen), (at(0), at(300)));
        assert_eq!(spread.chats_per_hour, Some(2.0));
        assert_eq!(spread.path, [(a, at(0)), (b, at(30)), (c, at(90))]);
        assert_eq!(spread.peak_chats_per_hour, 2.0);
        let alone = Tellings::new([(at(0), a), (at(9), a)]).spread().unwrap();
        assert_eq!((alone.chats, alone.chats_per_hour), (1, None));
        assert_eq!(Tellings::default().spread(), None);
    }
}
