//! Words in, the buckets of their n-grams out.

use std::fmt::{self, Write};

use super::N_BUCKETS;

/// Words of a text that are read; what a message is about stands before that.
const MAX_WORDS: u32 = 600;
/// Characters of a word that are read.
const MAX_CHARS: usize = 24;
/// Characters in a part of a word, its end marks included.
const PARTS: std::ops::RangeInclusive<usize> = 3..=4;

/// What the first word makes a pair with.
const BEGIN: &str = "<begin>";
/// What the last word makes a pair with.
const END: &str = "<end>";

/// What a bucket came from, for explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gram<'a> {
    /// A whole word.
    Word(&'a str),
    /// Two words in a row.
    Pair(&'a str, &'a str),
    /// A part of a word; `^` and `$` are its ends.
    Part(&'a [char]),
}

impl fmt::Display for Gram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gram::Word(word) => f.write_str(word),
            Gram::Pair(before, word) => write!(f, "{before} {word}"),
            Gram::Part(part) => part.iter().try_for_each(|c| f.write_char(*c)),
        }
    }
}

/// Reads the words of one text, in order.
#[derive(Debug, Default)]
pub(crate) struct Grams {
    n_words: u32,
    before: String,
    before_hash: u64,
}

impl Grams {
    /// Hands the buckets of the folded word to `take`.
    #[inline]
    pub(crate) fn word(&mut self, word: &str, take: &mut impl FnMut(u32, Gram<'_>)) {
        let mut chars = ['^'; MAX_CHARS + 2];
        let mut n = 1;
        for c in word.chars().take(MAX_CHARS) {
            chars[n] = c;
            n += 1;
        }
        let hash = chars[1..n].iter().copied().fold(SEED_WORD, mix);
        if !self.counts(word, hash, take) {
            return;
        }
        chars[n] = '$';
        let chars = &chars[..=n];
        for start in 0..=chars.len().saturating_sub(*PARTS.start()) {
            let longest = &chars[start..chars.len().min(start + *PARTS.end())];
            let mut hash = SEED_PART;
            for (i, c) in longest.iter().enumerate() {
                hash = mix(hash, *c);
                if i + 1 >= *PARTS.start() {
                    take(bucket(hash), Gram::Part(&longest[..=i]));
                }
            }
        }
    }

    /// The same for what is no word but stands for one, such as a number or an address: itself and its pair, no parts.
    pub(crate) fn stand_in(&mut self, name: &str, take: &mut impl FnMut(u32, Gram<'_>)) {
        let hash = name.chars().take(MAX_CHARS).fold(SEED_WORD, mix);
        self.counts(name, hash, take);
    }

    /// The pair that the last word makes with the end of the text.
    pub(crate) fn end(&mut self, take: &mut impl FnMut(u32, Gram<'_>)) {
        if (1..MAX_WORDS).contains(&self.n_words) {
            take(self.pair(SEED_END), Gram::Pair(&self.before, END));
        }
    }

    fn pair(&self, hash: u64) -> u32 {
        bucket((self.before_hash.rotate_left(23) ^ hash).wrapping_mul(PRIME))
    }

    /// The word and the pair it ends; false if the text has been read far enough.
    fn counts(&mut self, word: &str, hash: u64, take: &mut impl FnMut(u32, Gram<'_>)) -> bool {
        if self.n_words >= MAX_WORDS {
            return false;
        }
        if self.n_words == 0 {
            self.before.push_str(BEGIN);
            self.before_hash = SEED_BEGIN;
        }
        self.n_words += 1;
        take(bucket(hash), Gram::Word(word));
        take(self.pair(hash), Gram::Pair(&self.before, word));
        self.before.clear();
        self.before.push_str(word);
        self.before_hash = hash;
        true
    }
}

const SEED_WORD: u64 = 0xcbf2_9ce4_8422_2325;
const SEED_PART: u64 = 0x9ae1_6a3b_2f90_404f;
const SEED_BEGIN: u64 = 0x1d8e_4e27_c47d_124f;
const SEED_END: u64 = 0x52db_cb8a_6b5c_3e91;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A step of FNV-1a, 64 bit, over characters instead of bytes.
fn mix(hash: u64, c: char) -> u64 {
    (hash ^ u64::from(u32::from(c))).wrapping_mul(PRIME)
}

/// Fibonacci hashing (Knuth, TAOCP 3, 6.4): the low bits of FNV over few characters hold too little of the first.
fn bucket(hash: u64) -> u32 {
    let spread = (hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((spread * N_BUCKETS as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grams(words: &[&str]) -> Vec<String> {
        let (mut grams, mut seen) = (Grams::default(), Vec::new());
        for word in words {
            grams.word(word, &mut |_, gram| {
                seen.push(gram.to_string());
            });
        }
        grams.end(&mut |_, gram| seen.push(gram.to_string()));
        seen
    }

    #[test]
    fn a_word_gives_itself_its_parts_and_its_pair() {
        assert_eq!(
            grams(&["прод", "ліг"]),
            [
                "прод",
                "<begin> прод",
                "^пр",
                "^про",
                "про",
                "прод",
                "род",
                "род$",
                "од$",
                "ліг",
                "прод ліг",
                "^лі",
                "^ліг",
                "ліг",
                "ліг$",
                "іг$",
                "ліг <end>"
            ]
        );
    }

    #[test]
    fn a_text_is_read_up_to_a_bound() {
        let many = vec!["слово"; 5000];
        assert!(grams(&many).len() < 600 * 20);
        assert!(grams(&["а".repeat(10_000).as_str()]).len() < 200);
    }

    #[test]
    fn buckets_spread_evenly() {
        let mut n = vec![0u32; N_BUCKETS / 96];
        for i in 0..100_000u32 {
            let word = format!("слово{i}");
            Grams::default().word(&word, &mut |bucket, gram| {
                if matches!(gram, Gram::Word(_)) {
                    n[bucket as usize / 96] += 1;
                }
            });
        }
        let (min, max) = (n.iter().min().unwrap(), n.iter().max().unwrap());
        assert!(*min > 50 && *max < 150, "{min}..{max}");
    }
}
