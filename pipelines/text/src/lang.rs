//! The language of a text: by script, then by letters, common words and endings; small, deterministic, honest about
//! what it cannot tell.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::script::{Script, script_of};

mod letters;
mod profile;

use profile::{Profiles, Scores};

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
    let mut count = Count::default();
    let mut cyrillic = Vec::new();
    let mut latin = Vec::new();
    for word in words(text).take(MAX_WORDS) {
        match count.add(word) {
            Script::Cyrillic => cyrillic.push(word),
            Script::Latin => latin.push(word),
            _ => {}
        }
    }
    // A Ukrainian sentence full of English product names still is Ukrainian.
    let is_mixed = !cyrillic.is_empty() && cyrillic.len() * 4 >= latin.len();
    let of_cyrillic = || by_words(&CYRILLIC, &cyrillic, letters::cyrillic);
    match count.dominant() {
        Dominant::Cyrillic => of_cyrillic(),
        Dominant::Latin if is_mixed => of_cyrillic(),
        Dominant::Latin => match by_words(&LATIN, &latin, letters::latin) {
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

fn by_words(
    profiles: &Profiles,
    words: &[&str],
    letters: fn(char) -> &'static [(&'static str, f32)],
) -> &'static str {
    let mut scores = Scores::default();
    let mut lower = String::new();
    let mut seen: FxHashMap<char, u32> = FxHashMap::default();
    for word in words {
        lower.clear();
        for c in word.chars().flat_map(char::to_lowercase) {
            lower.push(if matches!(c, '’' | 'ʼ' | '`') {
                '\''
            } else {
                c
            });
        }
        profiles.score(&lower, &mut scores);
        for c in lower.chars() {
            let points = letters(c);
            if points.is_empty() {
                continue;
            }
            // The tenth ы of a text says no more than the first few did; a quotation should not decide either.
            let n = seen.entry(c).or_insert(0);
            *n += 1;
            for &(code, weight) in points {
                scores.add(code, weight / (*n as f32).sqrt());
            }
        }
    }
    scores.best(&["uk", "ru", "en"]).unwrap_or(UNDETERMINED)
}

/// The words of the text proper: without addresses, mentions, tags, and names with digits or underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .filter(|chunk| {
            let is_address = chunk.starts_with(['@', '#', '/']) || chunk.contains('@');
            let is_code = chunk.is_ascii() && chunk.contains(['_', '=', '{', '(', '/', '\\', '<']);
            !(is_address || is_code || chunk.contains("://"))
        })
        .flat_map(|chunk| {
            chunk.split(|c: char| script_of(c) == Script::Common && !is_apostrophe(c))
        })
        .map(|word| word.trim_matches(is_apostrophe))
        .filter(|word| !word.is_empty())
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
    /// Counts the letters of `word` and returns the script of its first.
    fn add(&mut self, word: &str) -> Script {
        let mut first = None;
        for c in word.chars() {
            let script = script_of(c);
            first.get_or_insert(script);
            match script {
                Script::Latin => self.latin += 1,
                Script::Cyrillic => self.cyrillic += 1,
                Script::Arabic => self.arabic += 1,
                Script::Han => self.han += 1,
                Script::Kana => self.kana += 1,
                _ => {
                    if let Some(code) = letters::only_language(c, script)
                        && let Some(slot) = self
                            .other
                            .iter_mut()
                            .find(|(n, known)| *n == 0 || *known == code)
                    {
                        *slot = (slot.0 + 1, code);
                    }
                }
            }
        }
        first.unwrap_or(Script::Common)
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
