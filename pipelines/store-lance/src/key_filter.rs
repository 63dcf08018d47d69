//! Tells new keys from keys that may be stored, in a few bits per key (a Bloom filter).

use telesift_schemas::MessageKey;

/// Bits per key and probes: under 0.5 % of new keys look as if they were stored, and are then looked up.
const BITS_PER_KEY: usize = 12;
const PROBES: u64 = 8;
/// Room for at least this many keys (1.5 MB).
const MIN_CAPACITY: usize = 1 << 20;

/// A set of keys that never forgets one, and now and then claims one it never saw.
#[derive(Debug)]
pub(crate) struct KeyFilter {
    bits: Vec<u64>,
    capacity: usize,
    n_keys: usize,
}

impl KeyFilter {
    /// With room for twice `n_keys`.
    pub(crate) fn for_keys(n_keys: usize) -> Self {
        let capacity = (2 * n_keys).max(MIN_CAPACITY).next_power_of_two();
        KeyFilter {
            bits: vec![0; capacity * BITS_PER_KEY / 64],
            capacity,
            n_keys: 0,
        }
    }

    /// How many keys were added.
    pub(crate) fn len(&self) -> usize {
        self.n_keys
    }

    /// Whether so many keys are in it that it must be made anew, larger.
    pub(crate) fn is_full(&self) -> bool {
        self.n_keys > self.capacity
    }

    /// Adds a key that is not in it yet.
    pub(crate) fn add(&mut self, key: &MessageKey) {
        for place in self.places(key) {
            self.bits[place / 64] |= 1 << (place % 64);
        }
        self.n_keys += 1;
    }

    /// `false`: certainly never added.
    pub(crate) fn may_hold(&self, key: &MessageKey) -> bool {
        self.places(key)
            .all(|place| self.bits[place / 64] & (1 << (place % 64)) != 0)
    }

    /// Double hashing: Kirsch, Mitzenmacher, "Less Hashing, Same Performance: Building a Better Bloom Filter" (2006).
    fn places(&self, key: &MessageKey) -> impl Iterator<Item = usize> + use<> {
        let first = mix(key.chat.0.cast_unsigned() ^ mix(key.message_id.cast_unsigned()));
        let second = mix(first) | 1;
        let n_bits = self.bits.len() as u64 * 64;
        (0..PROBES).map(move |i| (first.wrapping_add(i.wrapping_mul(second)) % n_bits) as usize)
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use telesift_schemas::ChatId;

    use super::*;

    fn key(chat: i64, message_id: i64) -> MessageKey {
        MessageKey {
            chat: ChatId::from_channel(chat),
            message_id,
        }
    }

    #[test]
    fn never_forgets_and_seldom_makes_up() {
        let mut filter = KeyFilter::for_keys(0);
        let stored = |i: i64| key(i % 50, i);
        for i in 0..200_000 {
            filter.add(&stored(i));
        }
        assert!((0..200_000).all(|i| filter.may_hold(&stored(i))));
        let made_up = (0..200_000)
            .filter(|i| filter.may_hold(&key(77, *i)))
            .count();
        assert!(made_up < 1_000, "{made_up}");
        assert!(!filter.is_full());
        assert_eq!(filter.len(), 200_000);
    }
}
