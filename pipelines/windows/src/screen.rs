//! Screening per chat and minute: sums that messages are added to and taken from, and the rows they make.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::AddAssign,
};

use telesift_schemas::{ChatId, Class, MessageKey, ScreenStats, Timestamp};

use crate::{
    definitions::MINUTE_S,
    panes::{pane_of, start_of},
    told::{FLAGS, Said, Told},
};

/// A flag that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the flags")]
pub enum Flag {
    Spam,
    Service,
    Edited,
    Forwarded,
    AutoForward,
    TimeUncertain,
}

impl Flag {
    /// All of them, in the order of their bits.
    pub const ALL: [Flag; 6] = [
        Flag::Spam,
        Flag::Service,
        Flag::Edited,
        Flag::Forwarded,
        Flag::AutoForward,
        Flag::TimeUncertain,
    ];

    /// The name in `screen.flags`.
    pub fn as_str(self) -> &'static str {
        FLAGS[self as usize]
    }
}

/// Sums over messages; as a change it may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// By class, in the order of [`Class::ALL`].
    pub classes: [i64; 3],
    /// Of the scores, in millionths.
    pub score_millionths: i64,
    /// By flag, in the order of [`Flag::ALL`].
    pub flags: [i64; 6],
}

impl Sums {
    /// Those of one message, taken `times` times: 1 to add it, -1 to take it away.
    pub fn of(said: &Said, times: i64) -> Self {
        let mut sums = Sums {
            score_millionths: times * i64::from(said.score_millionths),
            ..Sums::default()
        };
        sums.classes[said.class as usize] = times;
        for (bit, n) in sums.flags.iter_mut().enumerate() {
            *n = times * i64::from(said.flags >> bit & 1);
        }
        sums
    }

    /// How many messages.
    pub fn messages(&self) -> i64 {
        self.classes.iter().sum()
    }

    /// How many messages of a class.
    pub fn of_class(&self, class: Class) -> u64 {
        count(self.classes[class as usize])
    }

    /// How many messages with a flag.
    pub fn with_flag(&self, flag: Flag) -> u64 {
        count(self.flags[flag as usize])
    }

    /// The mean score, 0..1; `None` of nothing.
    pub fn mean_score(&self) -> Option<f64> {
        let n = self.messages();
        (n > 0).then(|| self.score_millionths as f64 / n as f64 / 1_000_000.0)
    }

    /// Whether it changes nothing.
    pub fn is_zero(&self) -> bool {
        *self == Sums::default()
    }
}

impl AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, other: &Sums) {
        for (sum, n) in self.classes.iter_mut().zip(other.classes) {
            *sum += n;
        }
        for (sum, n) in self.flags.iter_mut().zip(other.flags) {
            *sum += n;
        }
        self.score_millionths += other.score_millionths;
    }
}

/// What is no change is never negative.
fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// What changes in the sums of one chat and minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinuteChange {
    /// The chat.
    pub chat: ChatId,
    /// The minute since the unix epoch.
    pub minute: i64,
    /// What is added.
    pub change: Sums,
}

/// The minute a moment lies in, since the unix epoch.
pub fn minute_of(at: Timestamp) -> i64 {
    pane_of(at, MINUTE_S)
}

/// What arrivals make of the rows that are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The rows to store instead, by message.
    pub told: Vec<Told>,
    /// What changes in the minutes, by time.
    pub minutes: Vec<MinuteChange>,
    /// Arrivals that were no newer than what is stored, and change nothing.
    pub n_stale: u64,
}

/// What `arrived` makes of the rows that are stored; `known` holds the row of every message that has one. A batch delivered
/// again is without effect.
pub fn changes(mut known: HashMap<MessageKey, Told>, arrived: Vec<Told>) -> Changes {
    let mut minutes: BTreeMap<(i64, ChatId), Sums> = BTreeMap::new();
    let mut replaced: BTreeSet<MessageKey> = BTreeSet::new();
    let mut n_stale = 0;
    for told in arrived {
        let before = known.get(&told.key);
        if before.is_some_and(|before| !told.replaces(before)) {
            n_stale += 1;
            continue;
        }
        for (version, times) in [(before, -1), (Some(&told), 1)] {
            let counted = version.and_then(|v| Some((v.event_time, v.said.as_ref()?)));
            if let Some((at, said)) = counted {
                let sums = minutes.entry((minute_of(at), told.key.chat)).or_default();
                *sums += &Sums::of(said, times);
            }
        }
        replaced.insert(told.key);
        known.insert(told.key, told);
    }
    let told = replaced.iter().filter_map(|key| known.remove(key));
    let minutes = minutes.into_iter().filter(|(_, change)| !change.is_zero());
    Changes {
        told: told.collect(),
        minutes: minutes
            .map(|((minute, chat), change)| MinuteChange {
                chat,
                minute,
                change,
            })
            .collect(),
        n_stale,
    }
}

/// The row of `screen-stats` for one chat and minute; `None` of a minute without messages.
pub fn stats(chat: ChatId, minute: i64, sums: &Sums) -> Option<ScreenStats> {
    let mean_score = sums.mean_score()?;
    Some(ScreenStats {
        v: ScreenStats::VERSION,
        chat,
        window_start: start_of(minute, MINUTE_S),
        window_end: start_of(minute + 1, MINUTE_S),
        messages: count(sums.messages()),
        noise: sums.of_class(Class::Noise),
        weak_signal: sums.of_class(Class::WeakSignal),
        signal: sums.of_class(Class::Signal),
        score_millionths: count(sums.score_millionths),
        mean_score,
        spam: sums.with_flag(Flag::Spam),
        service: sums.with_flag(Flag::Service),
        edited: sums.with_flag(Flag::Edited),
        forwarded: sums.with_flag(Flag::Forwarded),
        auto_forward: sums.with_flag(Flag::AutoForward),
        time_uncertain: sums.with_flag(Flag::TimeUncertain),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: i64, edit: i64, second: i64, class: Class) -> Told {
        Told {
            key: MessageKey {
                chat: ChatId(-7),
                message_id: id,
            },
            version: (edit, 1),
            event_time: Timestamp::from_second(second).unwrap(),
            said: Some(Said {
                class,
                score_millionths: 250_000,
                flags: 0b1,
                terms: String::new(),
                words: String::new(),
                links: String::new(),
            }),
        }
    }

    #[test]
    fn an_edit_takes_back_what_it_replaces() {
        let first = told(1, 0, 61, Class::Noise);
        let Changes {
            told: rows,
            minutes,
            n_stale,
        } = changes(HashMap::new(), vec![first.clone(), first.clone()]);
        assert_eq!(n_stale, 1);
        assert_eq!(rows, std::slice::from_ref(&first));
        assert_eq!((minutes.len(), minutes[0].minute), (1, 1));
        assert_eq!(minutes[0].change.classes, [1, 0, 0]);

        let edit = told(1, 9, 61, Class::Signal);
        let known = HashMap::from([(first.key, first.clone())]);
        let Changes {
            told: rows,
            minutes,
            ..
        } = changes(known, vec![edit.clone(), first]);
        assert_eq!(rows, std::slice::from_ref(&edit));
        assert_eq!(minutes[0].change.classes, [-1, 0, 1]);
        assert_eq!(minutes[0].change.score_millionths, 0);

        let known = HashMap::from([(edit.key, edit.clone())]);
        let Changes {
            told: rows,
            minutes,
            ..
        } = changes(known, vec![edit.clone()]);
        assert_eq!((rows.len(), minutes.len()), (0, 0));

        let gone = Told {
            version: (i64::MAX, 3),
            event_time: Timestamp::from_second(900).unwrap(),
            said: None,
            ..edit.clone()
        };
        let Changes {
            told: rows,
            minutes,
            ..
        } = changes(HashMap::from([(edit.key, edit)]), vec![gone]);
        assert_eq!((rows.len(), minutes.len()), (1, 1));
        assert_eq!(
            minutes[0].minute, 1,
            "where it was counted, not when it went"
        );
        assert_eq!(minutes[0].change.classes, [0, 0, -1]);
    }

    #[test]
    fn a_row_has_the_mean_of_the_scores() {
        let mut sums = Sums::default();
        for (id, class) in [(1, Class::Noise), (2, Class::Signal)] {
            sums += &Sums::of(told(id, 0, 0, class).said.as_ref().unwrap(), 1);
        }
        let row = stats(ChatId(-7), 2, &sums).unwrap();
        assert_eq!(
            (row.messages, row.noise, row.signal, row.spam),
            (2, 1, 1, 2)
        );
        assert_eq!(row.mean_score, 0.25);
        assert_eq!(row.window_end.as_second(), 180);
        assert_eq!(stats(ChatId(-7), 2, &Sums::default()), None);
    }
}
