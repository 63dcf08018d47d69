//! What an arrival repeats, of all that is remembered.

use telesift_schemas::{MessageKey, StoryLink};
use telesift_text::signature::{Sketch, near};

use super::{Known, SKETCH_KEYS, Window};
use crate::stories::arrival::Arrival;

/// Messages under one key that are looked at, newest first.
const MAX_CANDIDATES: usize = 64;
/// Of them, so many are compared: those with most keys in common, the newest first. A flood of copies of one text has them
/// all in common, and one of them is as good as the next.
const MAX_COMPARED: usize = 48;
/// How much a chat must repeat of its own text, in thousandths: what it posts one after the other has one form.
const NEAR_IN_ONE_CHAT: u16 = 800;

/// Something an arrival may repeat, and how well it does.
pub(super) struct Match {
    pub(super) link: StoryLink,
    pub(super) similarity: u16,
    pub(super) with: MessageKey,
}

impl Window {
    /// The message that an arrival repeats.
    pub(super) fn best(&self, arrival: &Arrival) -> Option<Match> {
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
        let mut shared: Vec<(usize, u64)> = numbers
            .chunk_by(|a, b| a == b)
            .map(|same| (same.len(), same[0]))
            .collect();
        if shared.len() > MAX_COMPARED {
            shared.select_nth_unstable_by(MAX_COMPARED, |a, b| b.cmp(a));
            shared.truncate(MAX_COMPARED);
        }
        self.slots_of(shared.into_iter().map(|(_, n)| n))
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
}
