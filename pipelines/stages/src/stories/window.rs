//! What the stories stage remembers: the last messages, what they may be recognised by, and their stories.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use telesift_schemas::{
    ChatId, Generation, MessageKey, Origin, StoryAssigned, StoryLink, Timestamp,
};
use telesift_text::signature::Sketch;

use super::{StoriesConfig, arrival::Arrival};
use crate::identities;

mod lists;
mod matching;

use lists::Lists;

/// Hashes of a sketch under which a text is found: of two texts whose words are half the same, all but one pair in
/// 4,000 share one.
const SKETCH_KEYS: usize = 12;

/// What became of a message.
pub(super) enum Verdict {
    /// It is in no story, or was in one before, for this reason.
    Alone(&'static str),
    /// It joins a story; where it is the second one, the first is assigned too.
    Joins {
        first: Option<Box<StoryAssigned>>,
        joined: Box<StoryAssigned>,
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
            Some(joined) => Verdict::Joins {
                first: first.map(Box::new),
                joined: Box::new(joined),
            },
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

    /// The story of a message, begun with it if it has none; then also its own assignment.
    fn story_of(&mut self, key: &MessageKey) -> Option<(StoryOf, Option<StoryAssigned>)> {
        let known = self.messages.get(key)?;
        if let Some(story) = &known.story {
            return Some((story.clone(), None));
        }
        // The same in every generation.
        let name = identities::of_story(Generation::FIRST, key);
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
