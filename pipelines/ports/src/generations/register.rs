//! The list of all generations, as stored: what may be changed of it, and what follows from it. Pure.

use serde::{Deserialize, Serialize};
use telesift_schemas::{Generation, Offset, PartitionId};

use super::{Entry, GenerationState, Part, Parts, Stretch};

/// The state of the log that holds it.
pub const STATE_KEY: &str = "generations";

/// Every generation there was, and which one is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Version of this record: 1.
    pub v: u32,
    /// The live one.
    pub live: Generation,
    /// Ascending; numbers are never given again.
    pub all: Vec<Entry>,
}

impl Register {
    /// A fresh log: the first generation, live.
    pub fn first() -> Self {
        Register {
            v: 1,
            live: Generation::FIRST,
            all: vec![Entry::first()],
        }
    }

    /// A generation by number.
    pub fn entry(&self, generation: Generation) -> Option<&Entry> {
        self.all.iter().find(|e| e.generation == generation)
    }

    /// The same, to be changed.
    pub fn entry_mut(&mut self, generation: Generation) -> Option<&mut Entry> {
        self.all.iter_mut().find(|e| e.generation == generation)
    }

    /// The generation that a replay made.
    pub fn made_by(&self, replay: &str) -> Option<&Entry> {
        let is_its = |e: &&Entry| e.replay.as_deref() == Some(replay);
        self.all.iter().find(is_its)
    }

    /// What the live generation is made of.
    pub fn live_parts(&self) -> Parts {
        self.entry(self.live)
            .map_or(Parts::all_of(self.live), |e| e.parts)
    }

    /// Whose readings of conversations count where the knowledge is that of `of`: of the first of these that has one. None: what
    /// was read for all counts.
    pub fn readings(&self, of: Generation) -> Vec<Generation> {
        let (mut found, mut next) = (Vec::new(), of);
        while next != Generation::FIRST && !found.contains(&next) {
            found.push(next);
            let base = self.entry(next).and_then(|e| self.entry(e.base?));
            next = base.map_or(Generation::FIRST, |base| base.parts.knowledge);
        }
        found
    }

    /// The number of the next generation.
    pub fn next_number(&self) -> Generation {
        let highest = self.all.iter().map(|e| e.generation.0).max();
        Generation(highest.unwrap_or(0) + 1)
    }

    /// Parts that are in use, by who made them: `ready` of complete generations, which are kept up to date; `building` of
    /// those that a replay fills (and not of complete ones).
    pub fn in_use(&self, state: GenerationState) -> Vec<(Part, Generation)> {
        let mut used: Vec<(Part, Generation)> = Vec::new();
        for entry in self.all.iter().filter(|e| e.state == state) {
            used.extend(Part::ALL.map(|part| (part, entry.parts.of(part))));
        }
        used.sort_unstable();
        used.dedup();
        used
    }

    /// Whether a generation that is kept is made of that part. The messages of the first one are in use for ever: stages
    /// that have no generations read them, and what is still to come is the same in every generation.
    pub fn is_used(&self, (part, of): (Part, Generation)) -> bool {
        if (part, of) == (Part::Messages, Generation::FIRST) {
            return true;
        }
        let mut kept = self.all.iter().filter(|e| e.is_kept());
        kept.any(|e| match part {
            Part::Knowledge => {
                e.parts.knowledge == of || self.readings(e.parts.knowledge).contains(&of)
            }
            part => e.parts.of(part) == of,
        })
    }

    /// Parts of retired generations that nobody uses and that are not removed yet.
    pub fn to_be_removed(&self) -> Vec<(Part, Generation)> {
        let mut found = Vec::new();
        for entry in self.all.iter().filter(|e| !e.is_kept()) {
            for part in entry.own_parts() {
                if !entry.removed.contains(&part) && !self.is_used((part, entry.generation)) {
                    found.push((part, entry.generation));
                }
            }
        }
        found
    }

    /// Whether the messages of that number are there.
    pub fn has_messages(&self, of: Generation) -> bool {
        self.entry(of)
            .is_some_and(|e| e.parts.messages == of && !e.removed.contains(&Part::Messages))
    }

    /// The generations a part of which is to be read by `generation` while it is filled: none of them may go.
    pub fn is_base_of_building(&self, generation: Generation) -> bool {
        let mut building = self
            .all
            .iter()
            .filter(|e| e.state == GenerationState::Building);
        building.any(|e| e.base == Some(generation))
    }

    /// By which rules messages of that number were screened at `offset`, where the decisions do not tell; and the offset
    /// up to which this answer holds.
    pub fn stretch_at(
        &self,
        messages: Generation,
        partition: PartitionId,
        offset: Offset,
    ) -> (Option<&Stretch>, Option<Offset>) {
        let stretches = self.entry(messages).map_or(&[][..], |e| &e.stretches);
        Stretch::at(stretches, partition, offset)
    }
}

impl Stretch {
    /// The stretch at `offset`, and where it ends; else where the next one begins.
    pub fn at(
        stretches: &[Stretch],
        partition: PartitionId,
        offset: Offset,
    ) -> (Option<&Stretch>, Option<Offset>) {
        if let Some(here) = stretches.iter().find(|s| s.contains(partition, offset)) {
            return (Some(here), Some(here.to));
        }
        let later = stretches
            .iter()
            .filter(|s| s.partition == partition && s.from > offset && s.from < s.to);
        (None, later.map(|s| s.from).min())
    }

    /// What `stretches` come to when `over` takes the place of all that lies within it.
    pub fn overlay(stretches: &[Stretch], over: &[Stretch]) -> Vec<Stretch> {
        let mut all: Vec<Stretch> = stretches.to_vec();
        for new in over.iter().filter(|s| s.from < s.to) {
            let cut = |old: Stretch| {
                if old.partition != new.partition {
                    return vec![old];
                }
                let before = Stretch {
                    to: old.to.min(new.from),
                    ..old.clone()
                };
                let after = Stretch {
                    from: old.from.max(new.to),
                    ..old
                };
                [before, after]
                    .into_iter()
                    .filter(|s| s.from < s.to)
                    .collect()
            };
            all = all.into_iter().flat_map(cut).collect();
            all.push(new.clone());
        }
        all.sort_by_key(|s| (s.partition, s.from));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from: u64, to: u64, rules: &str) -> Stretch {
        Stretch {
            partition: PartitionId(0),
            from: Offset(from),
            to: Offset(to),
            rules: rules.to_owned(),
            shipped: false,
        }
    }

    #[test]
    fn a_later_stretch_takes_the_place_of_an_earlier_one() {
        let old = [stretch(0, 10, "a"), stretch(20, 30, "b")];
        let over = [stretch(5, 25, "c")];
        let all = Stretch::overlay(&old, &over);
        let expected = [
            stretch(0, 5, "a"),
            stretch(5, 25, "c"),
            stretch(25, 30, "b"),
        ];
        assert_eq!(all, expected);
        let inside = Stretch::overlay(&[stretch(0, 10, "a")], &[stretch(3, 4, "c")]);
        let expected = [stretch(0, 3, "a"), stretch(3, 4, "c"), stretch(4, 10, "a")];
        assert_eq!(inside, expected);
        assert_eq!(Stretch::overlay(&old, &[stretch(7, 7, "c")]), old);
    }

    #[test]
    fn a_place_has_a_stretch_or_the_next_one() {
        let all = [stretch(5, 10, "a")];
        let at = |offset| {
            let (found, until) = Stretch::at(&all, PartitionId(0), Offset(offset));
            (found.map(|s| s.rules.as_str()), until.map(|o| o.0))
        };
        assert_eq!(
            [at(0), at(5), at(10)],
            [(None, Some(5)), (Some("a"), Some(10)), (None, None)]
        );
        assert_eq!(Stretch::at(&all, PartitionId(1), Offset(7)), (None, None));
    }

    #[test]
    fn a_shared_part_stays_until_nobody_uses_it() {
        let mut register = Register::first();
        let second = Generation(2);
        let mut entry = register.all[0].clone();
        entry.generation = second;
        entry.parts = entry.parts.with(&[Part::Store], second);
        register.all.push(entry);
        register.live = second;
        register.all[0].state = GenerationState::Retired;
        assert_eq!(register.to_be_removed(), [(Part::Store, Generation::FIRST)]);
        register.all[0].removed.push(Part::Store);
        assert_eq!(register.to_be_removed(), []);
        assert!(register.has_messages(Generation::FIRST));
        assert_eq!(
            register.in_use(GenerationState::Ready),
            [
                (Part::Messages, Generation::FIRST),
                (Part::Store, second),
                (Part::Stories, Generation::FIRST),
                (Part::Windows, Generation::FIRST),
                (Part::Knowledge, Generation::FIRST)
            ]
        );
    }
}
