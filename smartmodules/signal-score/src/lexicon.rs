//! Word lists, merged into one table: a folded word goes in, the lists it stands in come out.

/// Bit set of lists, by their index.
pub(crate) type Lists = u32;

/// The merged lists. An entry is a whole word, or with `*` at its end the beginning of one.
///
/// One pass over a word hashes all its beginnings, so the cost does not grow with the lists.
#[derive(Clone, Debug)]
pub(crate) struct Lexicon {
    /// Open addressing by hash; a power of two, at most half full.
    slots: Vec<Slot>,
    /// One bit per hash, to leave most beginnings of most words without a look into `slots`.
    seen: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// FNV-1a of the entry; 0 for none.
    hash: u64,
    whole: Lists,
    beginning: Lists,
}

impl Lexicon {
    /// The lists with their entries, folded already.
    pub(crate) fn new<'a>(entries: impl Iterator<Item = (usize, &'a str)> + Clone) -> Self {
        let n_slots = (entries.clone().count() * 2).next_power_of_two().max(16);
        let mut lexicon = Lexicon {
            slots: vec![Slot::default(); n_slots],
            seen: vec![0; (n_slots * 4).div_ceil(64)],
        };
        for (list, entry) in entries {
            let (word, is_beginning) = match entry.strip_suffix('*') {
                Some(word) => (word, true),
                None => (entry, false),
            };
            let hash = word.chars().fold(FNV_START, fnv);
            let (bit, at) = (lexicon.bit(hash), lexicon.slot(hash));
            lexicon.seen[bit / 64] |= 1 << (bit % 64);
            let slot = &mut lexicon.slots[at];
            slot.hash = hash;
            if is_beginning {
                slot.beginning |= 1 << list;
            } else {
                slot.whole |= 1 << list;
            }
        }
        lexicon
    }

    /// The lists that the folded word stands in.
    pub(crate) fn lists_of(&self, word: &str) -> Lists {
        let mut lists = 0;
        let mut hash = FNV_START;
        let mut chars = word.chars();
        while let Some(c) = chars.next() {
            hash = fnv(hash, c);
            let bit = self.bit(hash);
            if self.seen[bit / 64] & (1 << (bit % 64)) != 0 {
                let slot = &self.slots[self.slot(hash)];
                lists |= slot.beginning;
                if chars.as_str().is_empty() {
                    lists |= slot.whole;
                }
            }
        }
        lists
    }

    fn bit(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.seen.len() * 64 - 1)
    }

    /// The slot of the hash, or the free one where it would go.
    fn slot(&self, hash: u64) -> usize {
        let mut at = hash as usize & (self.slots.len() - 1);
        while self.slots[at].hash != 0 && self.slots[at].hash != hash {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bit, over characters.
fn fnv(hash: u64, c: char) -> u64 {
    (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0000_0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_whole_and_beginnings_from_the_start() {
        let lists = [(0, "ok"), (1, "помилк*"), (2, "ok*"), (3, "+1")];
        let lexicon = Lexicon::new(lists.into_iter());
        assert_eq!(lexicon.lists_of("ok"), 0b101);
        assert_eq!(lexicon.lists_of("okay"), 0b100);
        assert_eq!(lexicon.lists_of("token"), 0);
        assert_eq!(lexicon.lists_of("помилкою"), 0b10);
        assert_eq!(lexicon.lists_of("помил"), 0);
        assert_eq!(lexicon.lists_of("n+1"), 0);
        assert_eq!(lexicon.lists_of("+1"), 0b1000);
        assert_eq!(lexicon.lists_of(""), 0);
    }
}
