//! The golden input: messages and stories in the order in which they arrive.

use std::collections::BTreeMap;

use telesift_schemas::{
    Chat, ChatId, ChatKind, Class, Message, MessageKind, Offset, Origin, PartitionId, Screen,
    StoryAssigned, StoryLink, Timestamp, Topic,
};

use super::{
    CLOSING_S, N_MESSAGES, START_S,
    words::{COMMON, TOPICS},
};
use crate::panes::at_s;

/// A record of `messages` as it arrives, with the records of `stories` it causes.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The message.
    pub message: Message,
    /// Whether it comes hours after its time, or takes the place of a message that came in time.
    pub is_late: bool,
    /// It joins a story; where it is the second one, the first is assigned too.
    pub stories: Vec<StoryAssigned>,
}

const N_CHATS: u64 = 10;
const N_LATE: usize = 100;
/// One in so many is late, once so many times as many have come.
const LATE_EVERY: usize = 178;
const LATE_FROM: usize = 11;
const DAY_S: i64 = 86_400;
/// Of these a message is late, by hours.
const LATE_HOURS: (i64, i64) = (4, 9);

/// The whole input.
pub fn input() -> Vec<Arrival> {
    let mut making = Making {
        random: Random(0x7e1e_51f7),
        common: COMMON.split_whitespace().collect(),
        ids: BTreeMap::new(),
        stories: Vec::new(),
        n_stories: 0,
        done: Vec::with_capacity(N_MESSAGES),
    };
    let in_time = making.in_time(N_MESSAGES - N_LATE - 1);
    for (i, (arrives_us, message)) in in_time.into_iter().enumerate() {
        making.arrive(message);
        let n_late = (i / LATE_EVERY).saturating_sub(LATE_FROM);
        if i % LATE_EVERY == LATE_EVERY / 2 && i / LATE_EVERY >= LATE_FROM && n_late < N_LATE {
            making.late(arrives_us, n_late);
        }
    }
    making.close();
    making.done
}

/// A small generator of numbers (splitmix64), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `from` to before `to`.
    fn within(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from).max(1) as u64) as i64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

struct Making {
    random: Random,
    common: Vec<&'static str>,
    /// The last message id of each chat.
    ids: BTreeMap<ChatId, i64>,
    /// Stories that are still told: name, first message, when it was sent, whether it is assigned, until when.
    stories: Vec<Open>,
    n_stories: u64,
    done: Vec<Arrival>,
}

struct Open {
    name: String,
    first: Message,
    is_assigned: bool,
    until_s: i64,
}

impl Making {
    /// Messages in the order of arrival, with the time of it: sessions of a few messages within one minute of one chat.
    fn in_time(&mut self, n: usize) -> Vec<(i64, Message)> {
        let mut sent: Vec<(i64, ChatId)> = Vec::with_capacity(n);
        while sent.len() < n {
            let minute = START_S / 60 + self.random.within(0, 3 * DAY_S / 60);
            let chat = self.chat_at(minute);
            for _ in 0..self.random.within(4, 11).min((n - sent.len()) as i64) {
                let us = minute * 60_000_000 + self.random.within(0, 60_000) * 1_000;
                sent.push((us, chat));
            }
        }
        sent.sort();
        let mut messages: Vec<(i64, Message)> = Vec::with_capacity(n);
        for (us, chat) in sent {
            let arrives_us = us + self.random.within(0, 1_900_000);
            let message = self.message(chat, us);
            messages.push((arrives_us, message));
        }
        messages.sort_by_key(|(arrives_us, m)| (*arrives_us, m.id));
        messages
    }

    /// Who talks in this minute: one chat raves for half an hour each day, one leaves after the first day, two go quiet
    /// for most of the second.
    fn chat_at(&mut self, minute: i64) -> ChatId {
        let of_day = minute % 1_440;
        let day = (minute - START_S / 60) / 1_440;
        let raves = (840..870).contains(&of_day) && !self.random.one_in(8);
        let mut n = if raves {
            3
        } else {
            self.random.next() % N_CHATS
        };
        let is_quiet = (n == 8 && day > 0) || ([5, 7].contains(&n) && day == 1 && of_day > 200);
        if is_quiet {
            n %= 5;
        }
        ChatId(-1_001_700_000_001 - n as i64)
    }

    fn message(&mut self, chat: ChatId, sent_us: i64) -> Message {
        let id = self.ids.entry(chat).or_insert(0);
        *id += 1;
        let message_id = *id;
        let (class, range) = match self.random.within(0, 10) {
            0..5 => (Class::Noise, (0, 300_000)),
            5..8 => (Class::WeakSignal, (300_000, 650_000)),
            _ => (Class::Signal, (650_000, 1_000_000)),
        };
        let score = self.random.within(range.0, range.1) as f64 / 1_000_003.0;
        let (text, links) = self.text(sent_us);
        let mut flags = Vec::new();
        for (name, one_in) in [("forwarded", 6), ("spam", 9), ("time_uncertain", 40)] {
            if self.random.one_in(one_in) {
                flags.push(name.to_owned());
            }
        }
        let screen = Screen {
            class,
            score,
            factors: BTreeMap::new(),
            flags,
            spam_score: None,
            rules: "golden@1+0".to_owned(),
        };
        record(chat, message_id, sent_us, text, links, screen)
    }

    /// A few common words, and those of the topic that the hour has.
    fn text(&mut self, sent_us: i64) -> (String, Vec<String>) {
        let mut words: Vec<String> = (0..self.random.within(3, 7))
            .map(|_| self.random.next() as usize)
            .map(|i| format!("{}{}", self.common[i % self.common.len()], i / 1_000 % 10))
            .collect();
        let mut links = Vec::new();
        let hour = (sent_us / 1_000_000 - START_S) / 3_600;
        let topic = TOPICS[hour as usize / 3 % TOPICS.len()];
        if hour % 5 < 2 && self.random.one_in(3) {
            words.extend(topic.0.split(' ').map(str::to_owned));
            if self.random.one_in(2) {
                links.push(topic.1.to_owned());
            }
        }
        let mut text = words.join(" ");
        if let Some(link) = links.first() {
            text = format!("{text} {link}");
        }
        (text, links)
    }

    fn arrive(&mut self, message: Message) {
        let stories = self.tell(&message);
        self.done.push(Arrival {
            message,
            is_late: false,
            stories,
        });
    }

    /// Now and then a message begins a story, and others tell it again within three hours.
    fn tell(&mut self, message: &Message) -> Vec<StoryAssigned> {
        let sent_s = message.event_time.as_second();
        self.stories.retain(|story| story.until_s > sent_s);
        if self.random.one_in(60) {
            self.n_stories += 1;
            self.stories.push(Open {
                name: format!("{:032x}", self.n_stories),
                first: message.clone(),
                is_assigned: false,
                until_s: sent_s + self.random.within(600, 10_800),
            });
            return Vec::new();
        }
        if self.stories.is_empty() || !self.random.one_in(8) {
            return Vec::new();
        }
        let n = self.random.next() as usize % self.stories.len();
        self.join(n, message)
    }

    fn join(&mut self, n: usize, message: &Message) -> Vec<StoryAssigned> {
        let story = &mut self.stories[n];
        let mut assigned = Vec::new();
        if !story.is_assigned {
            story.is_assigned = true;
            assigned.push(assignment(story, &story.first, message, StoryLink::First));
        }
        assigned.push(assignment(story, message, message, StoryLink::Near));
        assigned
    }

    /// A message hours after its time, or what an edit or a deletion makes of one that came in time.
    fn late(&mut self, arrives_us: i64, n_late: usize) {
        let behind = self
            .random
            .within(LATE_HOURS.0 * 3_600, LATE_HOURS.1 * 3_600);
        let sent_us = arrives_us - behind * 1_000_000;
        let old = self.done.iter().rev().find(|a| {
            let is_old = a.message.event_time.as_microsecond() < sent_us;
            is_old && !a.is_late
        });
        let old = old.map(|a| a.message.clone());
        let mut stories = Vec::new();
        let message = match (old, n_late % 8) {
            (Some(old), 5 | 6) => self.edited(old, arrives_us),
            (Some(old), 7) => deleted(old, arrives_us),
            _ => {
                let chat = self.chat_at(sent_us / 60_000_000);
                let message = self.message(chat, sent_us);
                if n_late % 8 == 1 && !self.stories.is_empty() {
                    stories = self.join(0, &message);
                }
                message
            }
        };
        self.done.push(Arrival {
            message,
            is_late: true,
            stories,
        });
    }

    fn edited(&mut self, mut old: Message, arrives_us: i64) -> Message {
        old.edit = arrives_us / 1_000_000;
        old.text = format!("{} eclipse telescope", old.text);
        if let Some(screen) = &mut old.screen {
            screen.class = Class::Signal;
            screen.score = 0.75;
            screen.flags.push("edited".to_owned());
        }
        old
    }

    /// The closing record, and one of a story.
    fn close(&mut self) {
        let chat = ChatId(-1_001_700_000_001);
        let closing = self.message(chat, CLOSING_S * 1_000_000);
        self.stories = vec![Open {
            name: "closing".to_owned(),
            first: closing.clone(),
            is_assigned: true,
            until_s: CLOSING_S,
        }];
        let stories = self.join(0, &closing);
        self.done.push(Arrival {
            message: closing,
            is_late: false,
            stories,
        });
        for (offset, arrival) in self.done.iter_mut().enumerate() {
            let origin = Origin {
                topic: Topic::TELEGRAM_RAW,
                partition: PartitionId(0),
                offset: Offset(offset as u64),
            };
            arrival.message.origin = Some(origin.clone());
            for assigned in &mut arrival.stories {
                assigned.origin = origin.clone();
            }
        }
    }
}

fn deleted(mut old: Message, arrives_us: i64) -> Message {
    old.kind = MessageKind::Deleted;
    old.edit = arrives_us / 1_000_000;
    old.deleted_at = Some(at_s(old.edit));
    old.text = String::new();
    old.links = Vec::new();
    old
}

fn record(
    chat: ChatId,
    message_id: i64,
    sent_us: i64,
    text: String,
    links: Vec<String>,
    screen: Screen,
) -> Message {
    let at = Timestamp::from_microsecond(sent_us).unwrap_or(Timestamp::UNIX_EPOCH);
    let chat = Chat {
        id: chat,
        title: Some(format!("Golden {}", -chat.0 % 100)),
        kind: ChatKind::Channel,
        username: None,
    };
    Message {
        text,
        links,
        screen: Some(screen),
        ..Message::blank(chat, message_id, at)
    }
}

/// `message` tells the story; `joins` is the message that made it one.
fn assignment(story: &Open, message: &Message, joins: &Message, how: StoryLink) -> StoryAssigned {
    StoryAssigned {
        v: StoryAssigned::VERSION,
        message: message.id,
        edit: message.edit,
        story: story.name.clone(),
        first: story.first.id,
        how,
        similarity: 1.0,
        event_time: message.event_time,
        first_time: Some(story.first.event_time),
        joined_time: Some(joins.event_time),
        origin: Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(0),
        },
    }
}
