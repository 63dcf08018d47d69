//! Profiles of languages that share a script: which words and endings speak for which of them.

/// Letters of the shortest and of the longest ending.
const ENDINGS: std::ops::RangeInclusive<usize> = 2..=6;

macro_rules! languages {
    ($($language:ident = $code:literal,)*) => {
        /// A language that shares its script with others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Language { $($language,)* }

        /// Their codes, in order.
        const CODES: &[&str] = &[$($code,)*];
        const LANGUAGES: &[Language] = &[$(Language::$language,)*];
    };
}

languages! {
    Uk = "uk", Ru = "ru", Be = "be", Bg = "bg", Sr = "sr", Kk = "kk", Mk = "mk",
    En = "en", Id = "id", Pl = "pl", De = "de", Es = "es", Fr = "fr", It = "it", Pt = "pt", Tr = "tr", Nl = "nl",
    Cs = "cs", Ro = "ro", Sv = "sv", Vi = "vi", Uz = "uz",
}

/// Languages with the points each gets.
pub(super) type Points = &'static [(Language, f32)];

/// Words and endings with the points they give.
pub(super) struct Profiles {
    words: Table,
    /// Spelled backwards.
    ends: Table,
}

impl Profiles {
    /// Reads a profile file: `= code` opens a language, `words …` and `ends …` add to it, `#` comments.
    pub(super) fn parse(text: &str) -> Self {
        let (mut words, mut ends) = (Vec::new(), Vec::new());
        let mut language = None;
        for line in text.lines() {
            let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
            let entries = rest.split_whitespace();
            match head {
                "=" => language = language_of(rest.trim()),
                "words" => words.extend(entries.map(|e| (e.chars().collect(), language))),
                "ends" => ends.extend(entries.map(|e| (e.chars().rev().collect(), language))),
                _ => {}
            }
        }
        let words = Table::new(words, |n_letters| match n_letters {
            1 => 0.6,
            2 => 1.0,
            3 => 1.3,
            _ => 1.8,
        });
        let ends = Table::new(ends, |n_letters| match n_letters {
            2 => 0.25,
            3 => 0.6,
            _ => 0.9,
        });
        Profiles { words, ends }
    }

    /// Adds the points of a lower-case word.
    pub(super) fn score(&self, word: &[char], scores: &mut Scores) {
        let hash = word.iter().copied().fold(FNV_START, fnv);
        if let Some(points) = self.words.get(hash, word.iter()) {
            scores.add_all(points);
            return;
        }
        if word.len() < 5 {
            return;
        }
        // The longest ending known speaks for the word.
        let (mut hash, mut longest) = (FNV_START, None);
        let longest_possible = (*ENDINGS.end()).min(word.len() - 2);
        for (i, c) in word.iter().rev().take(longest_possible).enumerate() {
            hash = fnv(hash, *c);
            if i + 1 >= *ENDINGS.start() {
                let ending = word[word.len() - i - 1..].iter().rev();
                longest = self.ends.get(hash, ending).or(longest);
            }
        }
        if let Some(points) = longest {
            scores.add_all(points);
        }
    }
}

/// Entries by their hash: one comparison for what is in no list, and that is most.
struct Table {
    /// Open addressing; a power of two, at most a quarter full.
    slots: Vec<(u64, u32)>,
    entries: Vec<Entry>,
}

struct Entry {
    letters: Vec<char>,
    /// Languages by index, and what each gets.
    points: Vec<(Language, f32)>,
}

impl Table {
    /// A language counts once per entry. What `n` languages share says less about each of them: 1, 0.45, 0.25, … of
    /// the points.
    fn new(entries: Vec<(Vec<char>, Option<Language>)>, points: fn(usize) -> f32) -> Self {
        let n_slots = (entries.len() * 4).next_power_of_two();
        let mut table = Table {
            slots: vec![(0, 0); n_slots],
            entries: Vec::new(),
        };
        for (letters, language) in entries {
            let language = language.expect("the profiles name languages that are known here");
            let hash = letters.iter().copied().fold(FNV_START, fnv);
            let slot = table.slot(hash);
            if table.slots[slot].0 == 0 {
                table.slots[slot] = (hash, table.entries.len() as u32);
                let points = Vec::new();
                table.entries.push(Entry { letters, points });
            }
            let of_entry = &mut table.entries[table.slots[slot].1 as usize].points;
            if of_entry.iter().all(|(known, _)| *known != language) {
                of_entry.push((language, 0.0));
            }
        }
        for entry in &mut table.entries {
            let n = entry.points.len() as f32;
            let weight = points(entry.letters.len()) / (n * (1.0 + 0.1 * (n - 1.0)));
            entry.points.iter_mut().for_each(|(_, p)| *p = weight);
        }
        table
    }

    /// The points of the entry with this hash and these letters.
    fn get<'c>(
        &self,
        hash: u64,
        letters: impl Iterator<Item = &'c char>,
    ) -> Option<&[(Language, f32)]> {
        let (known, at) = self.slots[self.slot(hash)];
        if known == 0 {
            return None;
        }
        let entry = &self.entries[at as usize];
        letters.eq(&entry.letters).then_some(&entry.points)
    }

    /// The slot of the hash, or the free one where it would go.
    fn slot(&self, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (hash ^ (hash >> 32)) as usize & mask;
        while self.slots[at].0 != 0 && self.slots[at].0 != hash {
            at = (at + 1) & mask;
        }
        at
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bit, over characters.
fn fnv(hash: u64, c: char) -> u64 {
    (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Points per language.
#[derive(Default)]
pub(super) struct Scores([f32; CODES.len()]);

impl Scores {
    pub(super) fn add(&mut self, language: Language, points: f32) {
        self.0[language as usize] += points;
    }

    fn add_all(&mut self, points: &[(Language, f32)]) {
        for &(language, points) in points {
            self.add(language, points);
        }
    }

    /// The language with the most points, unless another has as many or all have next to none. `expected` languages
    /// win over others that have as many.
    pub(super) fn best(&self, expected: &[&str]) -> Option<&'static str> {
        let with_bonus = |(code, points): (&&'static str, &f32)| {
            let bonus = if expected.contains(code) { 0.3 } else { 0.0 };
            (*code, points + bonus)
        };
        let scores = || CODES.iter().zip(&self.0).map(with_bonus);
        let (code, most) =
            scores().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let is_tied = scores().any(|(other, points)| other != code && points > most - 0.02);
        (most >= 0.45 && !is_tied).then_some(code)
    }
}

fn language_of(code: &str) -> Option<Language> {
    let at = CODES.iter().position(|known| *known == code)?;
    Some(LANGUAGES[at])
}
