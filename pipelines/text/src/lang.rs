//! The language of a text: by script, then by letters, common words and endings; small, deterministic, honest about
//! what it cannot tell.

use std::sync::LazyLock;

use crate::script::{Script, script_of};

mod letters;
mod profile;

use profile::{Points, Profiles, Scores};

/// What [`detect`] says where the language cannot be told.
pub const UNDETERMINED: &str = "und";

/// So many words decide; more would not change the answer and cost time.
const MAX_WORDS: usize = 120;

/// The language of `text` as an ISO 639-1 code, or `und`.
///
/// URLs, addresses, mentions and tags do not count, and Latin jargon in a Cyrillic text counts little (`задеплой на
/// staging` is not English). By words: uk, ru, be, bg, sr and en, id, pl, de, es, fr, it, pt, tr, nl, cs, ro, sv, vi, uz; by
/// letters ar, fa, ur, kk, mk; by script zh, ja, ko, he, hi, el, ka, hy, th.
pub fn detect(text: &str) -> &'static str {
    let words = Words::of(text);
    let (cyrillic, latin) = (&words.cyrillic, &words.latin);
    // A Ukrainian sentence full of English product names still is Ukrainian.
    let is_mixed = !cyrillic.is_empty() && cyrillic.len() * 4 >= latin.len();
    let of_cyrillic = || by_words(&CYRILLIC, cyrillic, letters::cyrillic);
    match words.count.dominant() {
        Dominant::Cyrillic => of_cyrillic(),
        Dominant::Latin if is_mixed => of_cyrillic(),
        Dominant::Latin => match by_words(&LATIN, latin, letters::latin) {
            UNDETERMINED => of_cyrillic(),
            code => code,
        },
        Dominant::Arabic => letters::arabic(text),
        Dominant::Other(code) => code,
    }
}

static CYRILLIC: LazyLock<Profiles> =
    LazyLock::new(|| Profiles::parse(include_str!("lang/cyrillic.txt")));
static LATIN: LazyLock<Profiles> =
    LazyLock::new(|| Profiles::parse(include_str!("lang/latin.txt")));

fn by_words(profiles: &Profiles, words: &[&str], letters: fn(char) -> Points) -> &'static str {
    let mut scores = Scores::default();
    let mut lower: Vec<char> = Vec::new();
    let mut seen = Seen::default();
    for word in words {
        lower.clear();
        for c in word.chars() {
            match c {
                'a'..='z' | '\u{430}'..='\u{45f}' => lower.push(c),
                'А'..='Я' => lower.push(char::from_u32(c as u32 + 0x20).unwrap_or(c)),
                '’' | 'ʼ' | '`' => lower.push('\''),
                _ => lower.extend(c.to_lowercase()),
            }
        }
        profiles.score(&lower, &mut scores);
        for &c in &lower {
            let points = letters(c);
            if points.is_empty() {
                continue;
            }
            // The tenth ы of a text says no more than the first few did; a quotation should not decide either.
            let n = (seen.count(c) as f32).sqrt();
            for &(language, weight) in points {
                scores.add(language, weight / n);
            }
        }
    }
    scores.best(&["uk", "ru", "en"]).unwrap_or(UNDETERMINED)
}

/// How often each letter came.
struct Seen {
    /// Of the letters that most texts are written in.
    common: [u32; 0x500],
    rare: Vec<(char, u32)>,
}

impl Default for Seen {
    fn default() -> Self {
        Seen {
            common: [0; 0x500],
            rare: Vec::new(),
        }
    }
}

impl Seen {
    /// Counts one more; returns how many it is.
    fn count(&mut self, c: char) -> u32 {
        let n = match self.common.get_mut(c as usize) {
            Some(n) => n,
            None => match self.rare.iter().position(|(known, _)| *known == c) {
                Some(at) => &mut self.rare[at].1,
                None => {
                    self.rare.push((c, 0));
                    let last = self.rare.len() - 1;
                    &mut self.rare[last].1
                }
            },
        };
        *n += 1;
        *n
    }
}

/// The words of a text that decide, by the script of their first letter, and the letters of all.
#[derive(Default)]
struct Words<'t> {
    n: usize,
    cyrillic: Vec<&'t str>,
    latin: Vec<&'t str>,
    count: Count,
}

impl<'t> Words<'t> {
    /// The words of the text proper: without addresses, mentions, tags, and names with digits or underscores.
    fn of(text: &'t str) -> Self {
        let mut words = Words::default();
        for chunk in text.split_whitespace() {
            if is_text(chunk) {
                words.add_all(chunk);
            }
            if words.n >= MAX_WORDS {
                break;
            }
        }
        words
    }

    /// Parts the chunk at everything but letters and apostrophes within.
    fn add_all(&mut self, chunk: &'t str) {
        let (mut word, mut first) = (0..0, Script::Common);
        for (at, c) in chunk.char_indices() {
            // Within a word an apostrophe is part of it; before and after, it is none.
            if is_apostrophe(c) {
                continue;
            }
            let script = script_of(c);
            if script == Script::Common {
                if !word.is_empty() {
                    if !self.add(&chunk[word], first) {
                        return;
                    }
                    word = 0..0;
                }
                continue;
            }
            if word.is_empty() {
                (word, first) = (at..at, script);
            }
            word.end = at + c.len_utf8();
            self.count.add(c, script);
        }
        if !word.is_empty() {
            self.add(&chunk[word], first);
        }
    }

    /// False when there are enough.
    fn add(&mut self, word: &'t str, first: Script) -> bool {
        match first {
            Script::Cyrillic => self.cyrillic.push(word),
            Script::Latin => self.latin.push(word),
            _ => {}
        }
        self.n += 1;
        self.n < MAX_WORDS
    }
}

/// Whether what stands between two blanks is words, and no address, mention, tag, command or code.
fn is_text(chunk: &str) -> bool {
    let bytes = chunk.as_bytes();
    if matches!(bytes[0], b'@' | b'#' | b'/') {
        return false;
    }
    let (mut is_ascii, mut has_sign) = (true, false);
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            0x80.. => is_ascii = false,
            b'@' => return false,
            b':' if bytes[i..].starts_with(b"://") => return false,
            b'_' | b'=' | b'{' | b'(' | b'/' | b'\\' | b'<' => has_sign = true,
            _ => {}
        }
    }
    !(is_ascii && has_sign)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ' | '`')
}

enum Dominant {
    Cyrillic,
    Latin,
    Arabic,
    Other(&'static str),
}

/// Letters per script.
#[derive(Default)]
struct Count {
    latin: usize,
    cyrillic: usize,
    arabic: usize,
    han: usize,
    kana: usize,
    other: [(usize, &'static str); 8],
}

impl Count {
    fn add(&mut self, c: char, script: Script) {
        match script {
            Script::Latin => self.latin += 1,
            Script::Cyrillic => self.cyrillic += 1,
            Script::Arabic => self.arabic += 1,
            Script::Han => self.han += 1,
            Script::Kana => self.kana += 1,
            _ => {
                let Some(code) = letters::only_language(c, script) else {
                    return;
                };
                let mut slots = self.other.iter_mut();
                if let Some(slot) = slots.find(|(n, known)| *n == 0 || *known == code) {
                    *slot = (slot.0 + 1, code);
                }
            }
        }
    }

    /// The script the text is written in. Latin is everybody's jargon, so it needs a clear majority; a Chinese
    /// character or Korean syllable is worth a word's part.
    fn dominant(&self) -> Dominant {
        let mut best = (self.latin * 2, Dominant::Latin);
        let mut offer = |weight: usize, dominant: Dominant| {
            if weight > best.0 {
                best = (weight, dominant);
            }
        };
        offer(self.cyrillic * 9, Dominant::Cyrillic);
        offer(self.arabic * 5, Dominant::Arabic);
        // Japanese is written with Chinese characters between kana.
        let east_asian = if self.kana * 6 > self.han { "ja" } else { "zh" };
        offer((self.han + self.kana) * 8, Dominant::Other(east_asian));
        for (n, code) in self.other {
            offer(n * if code == "ko" { 8 } else { 5 }, Dominant::Other(code));
        }
        if best.0 == 0 {
            return Dominant::Other(UNDETERMINED);
        }
        best.1
    }
}

#[cfg(test)]
mod tests;
