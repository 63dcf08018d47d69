//! What the stories stage remembers: the last messages, what they may be recognised by, and their stories.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use telesift_ports::record_log::UniqueKey;
use telesift_schemas::{ChatId, MessageKey, Origin, StoryAssigned, StoryLink, Timestamp};
use telesift_text::signature::{Sketch, near};

use super::{StoriesConfig, arrival::Arrival};

mod lists;

use lists::Lists;

/// Hashes of a sketch under which a text is found: of two texts whose words are half the same, all but one pair in
/// 4,000 share one.
const SKETCH_KEYS: usize = 12;
/// Messages under one key that are compared, newest first.
const MAX_CANDIDATES: usize = 64;
/// How much a chat must repeat of its own text, in thousandths: what it posts one after the other has one form.
const NEAR_IN_ONE_CHAT: u16 = 800;

/// What became of a message.
pub(super) enum Verdict {
    /// It is in no story, or was in one before, for this reason.
    Alone(&'static str),
    /// It joins a story; where it is the second one, the first is assigned too.
    Joins {
        first: Option<StoryAssigned>,
        joined: StoryAssigned,
    },
}

/// A story's name, and the message it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoryOf {
    pub(super) id: Arc<str>,
    pub(super) first: MessageKey,
}

/// The last [`StoriesConfig::max_records`] records. A function of these records and of the stories of their messages.
pub(super) struct Window {
    config: StoriesConfig,
    /// One per record, in order of arrival; the first has the number `forgotten`.
    slots: VecDeque<Slot>,
    forgotten: u64,
    messages: HashMap<MessageKey, Known>,
    stories: HashMap<Arc<str>, Story>,
    by_text: Lists<u64>,
    by_word: Lists<u32>,
    by_forward: Lists<MessageKey>,
}

/// One version of a message, as far as others are compared with it.
struct Slot {
    /// `None` for a record that was no message.
    key: Option<MessageKey>,
    text: Option<u64>,
    sketch: Option<Sketch>,
    forwarded: Option<MessageKey>,
}

/// A message of which at least one version is remembered.
struct Known {
    n_slots: u32,
    edit: i64,
    event_time: Timestamp,
    origin: Origin,
    story: Option<StoryOf>,
}

/// A story of which at least one message is remembered.
#[derive(Default)]
struct Story {
    n_messages: usize,
    /// When its remembered messages were sent, in unix seconds, with their number, by chat.
    chats: HashMap<ChatId, BTreeMap<i64, u32>>,
}

/// Something an arrival may repeat, and how well it does.
struct Match {
    link: StoryLink,
    similarity: u16,
    with: MessageKey,
}

impl Window {
    pub(super) fn new(config: StoriesConfig) -> Self {
        Window {
            config,
            slots: VecDeque::new(),
            forgotten: 0,
            messages: HashMap::new(),
            stories: HashMap::new(),
            by_text: Lists::default(),
            by_word: Lists::default(),
            by_forward: Lists::default(),
        }
    }

    /// Decides on a message, and remembers it.
    pub(super) fn take(&mut self, arrival: Arrival) -> Verdict {
        // First, so that what it joins is not forgotten for it.
        self.make_room();
        let known = self.messages.get(&arrival.key);
        if known.is_some_and(|known| known.story.is_some()) {
            self.remember(arrival, None);
            return Verdict::Alone("assigned");
        }
        let can_match = arrival.signature.is_some() || arrival.is_forward;
        let is_forwarded = self.by_forward.newest(&arrival.key).next().is_some();
        let found = (can_match || is_forwarded)
            .then(|| self.best(&arrival))
            .flatten();
        let key = arrival.key;
        self.remember(arrival, None);
        let Some(found) = found else {
            return Verdict::Alone(if can_match { "unique" } else { "no_text" });
        };
        let Some((story, first)) = self.story_of(&found.with) else {
            return Verdict::Alone("unique");
        };
        match self.assign(key, story, found.link, found.similarity) {
            Some(joined) => Verdict::Joins { first, joined },
            None => Verdict::Alone("unique"),
        }
    }

    /// Remembers a record that is no message: it takes its place in the window.
    pub(super) fn take_unreadable(&mut self) {
        self.push(Slot {
            key: None,
            text: None,
            sketch: None,
            forwarded: None,
        });
    }

    /// Remembers a message without deciding on it; `story` where it is known to have one.
    pub(super) fn remember(&mut self, arrival: Arrival, story: Option<StoryOf>) {
        let key = arrival.key;
        let known = self.messages.entry(key).or_insert_with(|| Known {
            n_slots: 0,
            edit: arrival.edit,
            event_time: arrival.event_time,
            origin: arrival.origin.clone(),
            story: None,
        });
        known.n_slots += 1;
        if known.story.is_none() {
            // What is not assigned yet is assigned as it is now.
            known.edit = arrival.edit;
            known.origin = arrival.origin;
        }
        if let Some(story) = story.filter(|_| known.story.is_none()) {
            self.enter(key, story);
        }
        let (text, sketch) = match arrival.signature {
            Some(signature) => (Some(signature.exact), Some(signature.sketch)),
            None => (None, None),
        };
        self.push(Slot {
            key: Some(key),
            text,
            sketch: sketch.filter(Sketch::is_comparable),
            forwarded: arrival.forwarded,
        });
    }

    /// The message that an arrival repeats.
    fn best(&self, arrival: &Arrival) -> Option<Match> {
        let forward = self.forwards(arrival).map(|with| Match {
            link: StoryLink::Forward,
            similarity: 1_000,
            with,
        });
        if let Some(found) = self.nearest(arrival, forward) {
            return Some(found);
        }
        let signature = arrival.signature.as_ref()?;
        let exact = self
            .slots_of(self.by_text.newest(&signature.exact).take(MAX_CANDIDATES))
            .filter_map(|slot| {
                Some(Match {
                    link: StoryLink::Exact,
                    similarity: 1_000,
                    with: slot.key?,
                })
            });
        if let Some(found) = self.nearest(arrival, exact) {
            return Some(found);
        }
        let near = self.alike(&signature.sketch).into_iter();
        self.nearest(arrival, near)
    }

    /// The message an arrival was forwarded from, others forwarded from there, and those forwarded from the arrival.
    fn forwards<'a>(&'a self, arrival: &'a Arrival) -> impl Iterator<Item = MessageKey> + 'a {
        let from = arrival.forwarded.iter();
        let siblings = from.clone().flat_map(|from| self.by_forward.newest(from));
        let copies = self.by_forward.newest(&arrival.key);
        let found = siblings.chain(copies).take(2 * MAX_CANDIDATES);
        self.slots_of(found).filter_map(|slot| slot.key).chain(
            from.copied()
                .filter(|from| self.messages.contains_key(from)),
        )
    }

    /// Texts nearly like this one.
    fn alike(&self, sketch: &Sketch) -> Vec<Match> {
        if !sketch.is_comparable() {
            return Vec::new();
        }
        let mut numbers: Vec<u64> = sketch
            .keys(SKETCH_KEYS)
            .flat_map(|key| self.by_word.newest(&key).take(MAX_CANDIDATES))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.slots_of(numbers.into_iter())
            .filter_map(|slot| {
                Some(Match {
                    link: StoryLink::Near,
                    similarity: near(slot.sketch.as_ref()?, sketch)?,
                    with: slot.key?,
                })
            })
            .collect()
    }

    /// The best of these that an arrival may follow: most alike to a tenth, then nearest in time, then the newest.
    fn nearest(&self, arrival: &Arrival, matches: impl Iterator<Item = Match>) -> Option<Match> {
        let sent = arrival.event_time.as_second();
        let allowed = matches.filter_map(|found| {
            let known = self.messages.get(&found.with)?;
            let apart = known.event_time.as_second().abs_diff(sent);
            let is_allowed = found.with != arrival.key
                && apart <= self.config.window_s.unsigned_abs()
                && self.may_join(arrival, &found, known);
            is_allowed.then_some((found.similarity / 100, std::cmp::Reverse(apart), found))
        });
        allowed
            .max_by_key(|(tenths, apart, found)| (*tenths, *apart, found.similarity, found.with))
            .map(|(_, _, found)| found)
    }

    /// Whether the alert rule lets an arrival join what it repeats. A text that the same chat sends again after
    /// [`StoriesConfig::repeat_s`] tells something new; a forward tells what it was forwarded from.
    fn may_join(&self, arrival: &Arrival, found: &Match, known: &Known) -> bool {
        if arrival.is_forward || found.link == StoryLink::Forward {
            return true;
        }
        let chat = arrival.key.chat;
        if found.with.chat == chat && found.similarity < NEAR_IN_ONE_CHAT {
            return false;
        }
        let sent = arrival.event_time.as_second();
        let soon = |other: i64| other.abs_diff(sent) <= self.config.repeat_s.unsigned_abs();
        match known.story.as_ref().and_then(|s| self.stories.get(&s.id)) {
            None => found.with.chat != chat || soon(known.event_time.as_second()),
            Some(story) => story.chats.get(&chat).is_none_or(|times| {
                let ends = [times.first_key_value(), times.last_key_value()];
                ends.into_iter().flatten().all(|(time, _)| soon(*time))
            }),
        }
    }

    /// The story of a message, begun with it if it has none; then also its own assignment.
    fn story_of(&mut self, key: &MessageKey) -> Option<(StoryOf, Option<StoryAssigned>)> {
        let known = self.messages.get(key)?;
        if let Some(story) = &known.story {
            return Some((story.clone(), None));
        }
        let name = UniqueKey::new("story", &[&key.to_string()]);
        let id = name
            .0
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        let story = StoryOf {
            id: id.into(),
            first: *key,
        };
        let first = self.assign(*key, story.clone(), StoryLink::First, 1_000);
        Some((story, first))
    }

    fn assign(
        &mut self,
        key: MessageKey,
        story: StoryOf,
        how: StoryLink,
        similarity: u16,
    ) -> Option<StoryAssigned> {
        let known = self.messages.get(&key)?;
        let assigned = StoryAssigned {
            v: StoryAssigned::VERSION,
            message: key,
            edit: known.edit,
            story: story.id.to_string(),
            first: story.first,
            how,
            similarity: f64::from(similarity) / 1_000.0,
            event_time: known.event_time,
            origin: known.origin.clone(),
        };
        self.enter(key, story);
        Some(assigned)
    }

    fn enter(&mut self, key: MessageKey, story: StoryOf) {
        let Some(known) = self.messages.get_mut(&key) else {
            return;
        };
        let entry = self.stories.entry(story.id.clone()).or_default();
        entry.n_messages += 1;
        let times = entry.chats.entry(key.chat).or_default();
        *times.entry(known.event_time.as_second()).or_default() += 1;
        known.story = Some(story);
    }

    fn slots_of<'a>(
        &'a self,
        numbers: impl Iterator<Item = u64> + 'a,
    ) -> impl Iterator<Item = &'a Slot> + 'a {
        numbers.filter_map(|n| self.slots.get(usize::try_from(n - self.forgotten).ok()?))
    }

    fn push(&mut self, slot: Slot) {
        self.make_room();
        let n = self.forgotten + self.slots.len() as u64;
        if let Some(text) = slot.text {
            self.by_text.push(text, n);
        }
        for word in slot.sketch.iter().flat_map(|s| s.keys(SKETCH_KEYS)) {
            self.by_word.push(word, n);
        }
        if let Some(from) = slot.forwarded {
            self.by_forward.push(from, n);
        }
        self.slots.push_back(slot);
    }

    /// Forgets the oldest records until there is room for one more.
    fn make_room(&mut self) {
        while self.slots.len() >= self.config.max_records.max(1) {
            self.forget();
        }
    }

    /// Forgets the oldest record.
    fn forget(&mut self) {
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        if let Some(text) = &slot.text {
            self.by_text.pop(text);
        }
        for word in slot.sketch.iter().flat_map(|s| s.keys(SKETCH_KEYS)) {
            self.by_word.pop(&word);
        }
        if let Some(from) = &slot.forwarded {
            self.by_forward.pop(from);
        }
        self.forgotten += 1;
        let Some(key) = slot.key else { return };
        let Entry::Occupied(mut known) = self.messages.entry(key) else {
            return;
        };
        known.get_mut().n_slots -= 1;
        if known.get().n_slots == 0 {
            let known = known.remove();
            self.leave(key, &known);
        }
    }

    fn leave(&mut self, key: MessageKey, known: &Known) {
        let Some(id) = known.story.as_ref().map(|story| &story.id) else {
            return;
        };
        let Some(story) = self.stories.get_mut(id) else {
            return;
        };
        story.n_messages -= 1;
        if story.n_messages == 0 {
            self.stories.remove(id);
            return;
        }
        let time = known.event_time.as_second();
        if let Some(times) = story.chats.get_mut(&key.chat) {
            if let Some(n) = times.get_mut(&time) {
                *n -= 1;
                if *n == 0 {
                    times.remove(&time);
                }
            }
            if times.is_empty() {
                story.chats.remove(&key.chat);
            }
        }
    }
}
