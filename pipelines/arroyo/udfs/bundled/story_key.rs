/*
[dependencies]
chrono = "=0.4.39"
rust-stemmers = "1"
rustc-hash = "2"
serde = { version = "1", features = ["derive"] }
unicode-normalization = "0.1"
unicode-segmentation = "1"
xxhash-rust = { version = "0.8", features = ["xxh3"] }
*/

// Made from src/udfs/story_key.rs and pipelines/text by `cargo run --bin bundle`: change those instead.

use arroyo_udf_plugin::udf;

/// What equal texts share, whatever their case, spacing, punctuation and emoji: 16 hexadecimal digits. NULL of texts of
/// fewer than four words, which are nobody's story.
#[udf]
fn story_key(text: &str) -> Option<String> {
    let signature = telesift_text::signature::signature(text)?;
    (signature.n_words >= 4).then(|| format!("{:016x}", signature.exact))
}

#[allow(dead_code, unused_imports, unreachable_pub)]
mod telesift_text {

mod fold {

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::telesift_text::script::{Script, script_of};

/// The folded form of a word, the same in index and query.
///
/// Lower case and NFKC; then, by script: *Latin and Greek* lose diacritics (`é`→`e`, `ł`→`l`, `ß`→`ss`) and English
/// and Romance clitics (`user's`→`user`, `l'homme`→`homme`); *Cyrillic* `ё`→`е`, `ґ`→`г`, no stress marks, no
/// apostrophes (`м’ята`→`мята`), while `і ї є й ў` stay; *Arabic* loses tatweel and harakat, and the forms of alef,
/// yeh, kaf and teh marbuta become one each; *Hebrew* loses its points. Digits of any script become ASCII. Invisible
/// characters vanish.
pub fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    fold_into(word, &mut folded);
    folded
}

/// [`fold`], appended to `out`: whoever folds word after word needs no text of its own for each.
pub fn fold_into(word: &str, out: &mut String) {
    let start = out.len();
    if word.is_ascii() {
        out.push_str(word);
        out[start..].make_ascii_lowercase();
        if word.contains(['\'', '`']) {
            let folded = without_clitics(&out[start..].replace('`', "'"));
            out.truncate(start);
            out.push_str(&folded);
        }
    } else if !fold_cyrillic(word, out) {
        out.truncate(start);
        out.push_str(&fold_any(word));
    }
}

/// The common case, appended: Cyrillic, ASCII letters, digits and apostrophes only. False for everything else.
fn fold_cyrillic(word: &str, out: &mut String) -> bool {
    out.reserve(word.len());
    let mut is_cyrillic = false;
    for c in word.chars() {
        let folded = match c {
            'а'..='я' | 'і' | 'ї' | 'є' => c,
            'a'..='z' | '0'..='9' | '.' | ',' | '_' | '-' | '#' | '@' | '+' => {
                out.push(c);
                continue;
            }
            'А'..='Я' => char::from_u32(c as u32 + 0x20).unwrap_or(c),
            'A'..='Z' => {
                out.push(c.to_ascii_lowercase());
                continue;
            }
            'ё' | 'Ё' => 'е',
            'ґ' | 'Ґ' => 'г',
            'І' => 'і',
            'Ї' => 'ї',
            'Є' => 'є',
            '\'' | '’' | 'ʼ' | '‘' | '`' => continue,
            _ => return false,
        };
        is_cyrillic = true;
        out.push(folded);
    }
    // Latin words with curly apostrophes come here too; theirs are clitics.
    is_cyrillic
}

fn fold_any(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    let mut base = Script::Common;
    let lower = word.chars().flat_map(char::to_lowercase);
    for c in lower.nfkd().flat_map(char::to_lowercase) {
        if is_combining_mark(c) {
            let keeps = match base {
                Script::Latin | Script::Greek | Script::Common => false,
                // й and ї, ў are letters of their own; stress and other marks are not.
                Script::Cyrillic => matches!(c, '\u{306}' | '\u{308}'),
                Script::Arabic | Script::Hebrew => false,
                _ => true,
            };
            if keeps {
                folded.push(c);
            }
            continue;
        }
        let script = script_of(c);
        if script != Script::Common {
            base = script;
        }
        match c {
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{640}' => {}
            '’' | 'ʼ' | '‘' | '`' => folded.push('\''),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            'þ' => folded.push_str("th"),
            'ς' => folded.push('σ'),
            'ґ' => folded.push('г'),
            'ٱ' => folded.push('ا'),
            'ى' | 'ی' => folded.push('ي'),
            'ک' => folded.push('ك'),
            'ة' | 'ە' | 'ۀ' => folded.push('ه'),
            '\u{660}'..='\u{669}' => push_digit(&mut folded, c as u32 - 0x660),
            '\u{6f0}'..='\u{6f9}' => push_digit(&mut folded, c as u32 - 0x6f0),
            '\u{966}'..='\u{96f}' => push_digit(&mut folded, c as u32 - 0x966),
            c if c.is_whitespace() => {}
            c => folded.push(c),
        }
    }
    if !folded.is_ascii() {
        folded = folded.nfc().collect();
        if folded.contains('ё') {
            folded = folded.replace('ё', "е");
        }
    }
    if folded.contains('\'') {
        folded = if folded.chars().any(|c| script_of(c) == Script::Latin) {
            without_clitics(&folded)
        } else {
            folded.replace('\'', "")
        };
    }
    folded
}

fn push_digit(folded: &mut String, digit: u32) {
    folded.extend(char::from_digit(digit, 10));
}

/// Drops `'s`, elided articles and all other apostrophes of a lower-case word.
fn without_clitics(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    if let Some((article, noun)) = word.split_once('\'') {
        let elided = matches!(
            article,
            "l" | "d"
                | "c"
                | "j"
                | "n"
                | "s"
                | "m"
                | "t"
                | "qu"
                | "dell"
                | "all"
                | "dall"
                | "sull"
                | "nell"
                | "un"
        );
        if elided && noun.len() >= 3 {
            return noun.replace('\'', "");
        }
    }
    word.replace('\'', "")
}

}
mod homoglyph {

use std::borrow::Cow;

use crate::telesift_text::script::{Script, script_of};

/// The word with look-alike letters put back, if it mixes Latin and Cyrillic and every letter of one script has a
/// look-alike in the other (where both could be, the script of most letters wins). In Cyrillic words `0` and `3`
/// between letters become `о` and `з`. Words that do not mix come back unchanged, and so do honest mixtures such as
/// `iPhoneом`.
pub fn fold_homoglyphs(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let (mut n_latin, mut n_cyrillic, mut has_digit) = (0, 0, false);
    for c in word.chars() {
        match script_of(c) {
            Script::Latin => n_latin += 1,
            Script::Cyrillic => n_cyrillic += 1,
            _ => has_digit |= c == '0' || c == '3',
        }
    }
    if n_cyrillic == 0 || (n_latin == 0 && !has_digit) {
        return Cow::Borrowed(word);
    }
    let mostly_cyrillic = n_cyrillic >= n_latin;
    let cyrillic_for = if mostly_cyrillic {
        loosely_cyrillic_for
    } else {
        cyrillic_for
    };
    let cyrillic = fold_to(word, Script::Latin, cyrillic_for).map(|w| digits_to_letters(&w));
    let latin = fold_to(word, Script::Cyrillic, latin_for);
    let folded = if mostly_cyrillic {
        cyrillic.or(latin)
    } else {
        latin.or(cyrillic)
    };
    folded.map_or(Cow::Borrowed(word), Cow::Owned)
}

fn fold_to(word: &str, strange: Script, look_alike: fn(char) -> Option<char>) -> Option<String> {
    word.chars()
        .map(|c| {
            if script_of(c) == strange {
                look_alike(c)
            } else {
                Some(c)
            }
        })
        .collect()
}

fn digits_to_letters(word: &str) -> String {
    let chars: Vec<char> = word.chars().collect();
    let is_letter = |i: Option<usize>| {
        i.and_then(|i| chars.get(i))
            .is_some_and(|&c| script_of(c) == Script::Cyrillic)
    };
    chars
        .iter()
        .enumerate()
        .map(|(i, &c)| match c {
            '0' | '3' if is_letter(i.checked_sub(1)) && is_letter(Some(i + 1)) => {
                if c == '0' {
                    'о'
                } else {
                    'з'
                }
            }
            _ => c,
        })
        .collect()
}

fn cyrillic_for(c: char) -> Option<char> {
    EXACT.iter().find(|p| p.0 == c).map(|p| p.1)
}

fn loosely_cyrillic_for(c: char) -> Option<char> {
    let mut pairs = EXACT.iter().chain(SIMILAR);
    pairs.find(|p| p.0 == c).map(|p| p.1)
}

fn latin_for(c: char) -> Option<char> {
    EXACT.iter().find(|p| p.1 == c).map(|p| p.0)
}

/// (Latin, Cyrillic) that most fonts draw alike: the confusables of Unicode TR39.
const EXACT: &[(char, char)] = &[
    ('a', 'а'),
    ('c', 'с'),
    ('e', 'е'),
    ('i', 'і'),
    ('j', 'ј'),
    ('o', 'о'),
    ('p', 'р'),
    ('s', 'ѕ'),
    ('x', 'х'),
    ('y', 'у'),
    ('h', 'һ'),
    ('ï', 'ї'),
    ('ë', 'ё'),
    ('A', 'А'),
    ('B', 'В'),
    ('C', 'С'),
    ('E', 'Е'),
    ('H', 'Н'),
    ('I', 'І'),
    ('K', 'К'),
    ('M', 'М'),
    ('O', 'О'),
    ('P', 'Р'),
    ('T', 'Т'),
    ('X', 'Х'),
    ('Y', 'У'),
    ('Ï', 'Ї'),
    ('Ë', 'Ё'),
];

/// Pairs only a hurried reader takes for each other; they count towards Cyrillic, where spam uses them.
const SIMILAR: &[(char, char)] = &[
    ('k', 'к'),
    ('m', 'м'),
    ('r', 'г'),
    ('u', 'и'),
    ('n', 'п'),
    ('b', 'ь'),
    ('t', 'т'),
];

}
pub mod lang {

use std::sync::LazyLock;

use crate::telesift_text::script::{Script, script_of};

mod letters {

use super::profile::{Language::*, Points};
use crate::telesift_text::script::Script;

/// For which Cyrillic languages the lower-case letter speaks, and against which.
pub(super) fn cyrillic(c: char) -> Points {
    match c {
        'і' => &[(Uk, 1.5), (Be, 1.0), (Kk, 0.3)],
        'ї' => &[(Uk, 2.5)],
        'є' => &[(Uk, 2.5)],
        'ґ' => &[(Uk, 3.0)],
        '\'' => &[(Uk, 0.5), (Be, 0.3)],
        'ў' => &[(Be, 3.0)],
        'ы' => &[(Ru, 1.5), (Be, 1.0), (Bg, -2.0), (Sr, -2.0), (Kk, 0.3)],
        'э' => &[(Ru, 1.2), (Be, 1.0), (Bg, -2.0), (Sr, -2.0)],
        'ё' => &[(Ru, 1.5), (Be, 1.0), (Bg, -2.0)],
        'ъ' => &[(Bg, 1.2), (Ru, 0.4)],
        'и' => &[(Be, -2.0), (Uk, 0.02), (Ru, 0.02)],
        'щ' => &[(Be, -2.0), (Sr, -1.0), (Mk, -1.0)],
        'й' | 'я' | 'ю' => &[(Sr, -1.0), (Mk, -1.0)],
        'ђ' | 'ћ' => &[(Sr, 3.0)],
        'ј' | 'љ' | 'њ' | 'џ' => &[(Sr, 2.0), (Mk, 1.5)],
        'ѓ' | 'ќ' | 'ѕ' => &[(Mk, 3.5)],
        'ә' | 'ғ' | 'қ' | 'ң' | 'ө' | 'ұ' | 'ү' | 'һ' => &[(Kk, 3.0)],
        _ => &[],
    }
}

/// The same for Latin.
pub(super) fn latin(c: char) -> Points {
    match c {
        'a'..='z' => &[],
        'ą' | 'ę' | 'ł' | 'ń' | 'ś' | 'ź' | 'ż' | 'ć' => &[(Pl, 1.5)],
        'ó' => &[(Pl, 0.5), (Es, 0.5), (Pt, 0.3), (Cs, 0.2)],
        'ß' => &[(De, 2.5)],
        'ä' => &[(De, 0.8), (Sv, 0.6)],
        'ö' => &[(De, 0.6), (Tr, 0.5), (Sv, 0.6)],
        'ü' => &[(De, 0.7), (Tr, 0.6)],
        'å' => &[(Sv, 1.5)],
        'ñ' => &[(Es, 2.0)],
        'á' | 'í' | 'ú' => &[(Es, 0.5), (Pt, 0.4), (Cs, 0.5), (Vi, 0.1)],
        'é' => &[(Fr, 0.7), (Es, 0.5), (Pt, 0.3), (Cs, 0.3)],
        'è' | 'à' => &[(Fr, 0.7), (It, 0.7)],
        'ì' | 'ò' | 'ù' => &[(It, 1.0)],
        'ê' | 'ç' => &[(Fr, 0.7), (Pt, 0.6), (Tr, 0.3)],
        'ë' | 'ï' | 'œ' | 'û' | 'ô' => &[(Fr, 1.0), (Nl, 0.3)],
        'î' => &[(Fr, 0.8), (Ro, 0.8)],
        'â' => &[(Fr, 0.6), (Ro, 0.8), (Pt, 0.4), (Vi, 0.3)],
        'ã' | 'õ' => &[(Pt, 2.0)],
        'ğ' | 'ş' | 'ı' => &[(Tr, 2.0)],
        'ě' | 'ř' | 'ů' | 'č' | 'š' | 'ž' | 'ý' => &[(Cs, 1.2)],
        'ă' => &[(Ro, 1.0), (Vi, 0.6)],
        'ș' | 'ț' | 'ţ' => &[(Ro, 2.0)],
        'đ' | 'ơ' | 'ư' | '\u{1ea0}'..='\u{1ef9}' => &[(Vi, 1.5)],
        _ => &[],
    }
}

/// Arabic, Persian or Urdu, by the letters only they use.
pub(super) fn arabic(text: &str) -> &'static str {
    let (mut ar, mut fa, mut ur) = (0u32, 0u32, 0u32);
    for c in text.chars() {
        match c {
            'ة' | 'ى' | 'ك' | 'ي' | 'أ' | 'إ' => ar += 1,
            'پ' | 'چ' | 'ژ' | 'گ' | 'ک' | 'ی' => fa += 1,
            'ٹ' | 'ڈ' | 'ڑ' | 'ے' | 'ں' | 'ہ' | 'ھ' => ur += 1,
            _ => {}
        }
    }
    if ur * 3 > fa && ur > ar {
        "ur"
    } else if fa > ar {
        "fa"
    } else {
        "ar"
    }
}

/// The language of a script that (nearly) only one language is written in.
pub(super) fn only_language(c: char, script: Script) -> Option<&'static str> {
    match script {
        Script::Hangul => Some("ko"),
        Script::Hebrew => Some("he"),
        Script::Devanagari => Some("hi"),
        Script::Greek => Some("el"),
        Script::Other => match c {
            '\u{e00}'..='\u{e7f}' => Some("th"),
            '\u{10a0}'..='\u{10ff}' => Some("ka"),
            '\u{530}'..='\u{58f}' => Some("hy"),
            _ => Some(super::UNDETERMINED),
        },
        _ => None,
    }
}
}
mod profile {

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
}

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
    LazyLock::new(|| Profiles::parse(r###"# Words and endings that tell languages of the Cyrillic script apart. One language a block; a word may stand in several.
# `words`: whole words. `ends`: endings of words of five letters or more. Written by hand from common vocabulary.
= uk
words та так добре гаразд добрий день доброго дня вечір ранок ранку дякую дякуємо дяка будь ласка як що це цей ця ці той ще вже треба
words можна буде було була бути був вона вони воно він ми ви мене тебе нас вас але або чому коли де хто який яка яке якщо тому
words тут там зараз сьогодні завтра вчора потрібно зробити робити зробив зробила зробили робимо робиш роблю маю маємо має мають маєш може можемо можу можете хочу
words щоб тільки дуже також навіть після перед через між під над про для від до за на зі із з й у в чи ні не немає нема питання
words привіт справи звідки цікаво зрозумів зрозуміло згоден згодна мабуть можливо звичайно авжеж чудово супер дивись дивлюсь бачу бачив бачила чекаю чекаємо чекай
words скинь кинь давай давайте хай нехай хлопці колеги всім усім всі усі все усе щось хтось колись десь якось кожен інший інша новий нова нове перший другий
words останній час рік року тиждень тижня місяць година години хвилин користувач запит запиту відповідь помилка помилки помилку зміни змінив оновлення оновити перевірити
words перевірив перевірка виправити виправив виправлено додати додав видалити створити налаштувати запустити запустив працює працюємо працюють працювати працювало падає впав впала впало
words замовлення робота роботи роботу людина слово прошу бо ж таки отже тобто наприклад взагалі скільки стільки багато трохи майже знову завжди ніколи інколи разом
words поки доки досі звісно вітаю гарно гарного смачного бажаю щиро друже друзі пане пані самий дзвінок зустріч нарада нараду пиши напиши скажи кажу казав каже
words його її їх їм йому мій моя твій свій своя свою свого наш ваш наша ваша сам собі цього цьому того ким чим чого кому якого якому якої яких цих тих
words бачиш знаю знаєш знає думаю думаєш думка думку ок окей пізніше раніше швидко швидше краще гірше більше менше вночі ввечері вранці вдома додому
words стало стала став стоїть лежить пішов пішла пішли прийшов прийшла йде йдемо йду їду бува буває баг баги тест тести реліз задача задачу
words оце ото отак онде ну от ага угу тю ого йой ой круто норм ясно точно гарний гарна гарне класно файно нічого нікого ніхто ніде
words потрібен потрібна потрібні повинен повинна повинні варто слід обов'язково будемо будуть будеш буду
words підтверджую підтвердив надішли надіслав надіслала отримав отримала отримати прийняв прийнято узгоджено погоджено домовились домовилися запланували
words цим цими ними ньому ній нею вами нами свої чиї дуже скоро легко складно довго просто швиденько важливо терміново
ends ений аний емо имо ння ття ють ємо єте ськ ського ська ське ські цька ський цький ської шого ти тися ав ив ювати увати лося лася вся ються еться уться иться ся
= ru
words и что это как не на я он она они оно мы вы меня тебя его её ее их но или если когда где кто который которая которые которое потому
words поэтому тут там сейчас сегодня завтра вчера нужно надо можно будет было была были быть был есть нет да еще ещё уже только очень также даже после перед
words через между под над про для от до со из к ко с у в при без чтобы хорошо ладно спасибо пожалуйста привет здравствуйте добрый день вечер утро утра понял поняла
words понятно согласен согласна наверное возможно конечно отлично супер давай давайте смотри смотрю вижу видел видела жду ждем ждём подожди скинь пусть ребята коллеги всем
words все всё что-то кто-то кажется каждый другой другая новый новая новое первый второй последний время год года лет неделя недели месяц час часа минут пользователь
words запрос ответ ошибка ошибки ошибку изменения обновление обновить проверить проверил исправить исправил добавить добавил удалить создать настроить запустить работает работать
words работают работали упал упала упало заказ работа работы работу человек людей люди слово вообще сколько столько много немного почти снова опять всегда никогда иногда вместе
words пока тоже тот эта этот эти этого этом том тем чем того мне тебе нам вам ему ей им себя свой своей своего чего ничего нибудь либо же ли бы вот
words мой моя твой наш ваш ваша наша какой какая какие какое зачем почему куда откуда потом теперь тогда здесь сюда туда хочу хочет могу может можем надеюсь думаю знаю знает
words делать делаю делает сделать сделал сделала сделали сделано говорит говорят сказал сказала пишу пишет написал рублей россии россия москве москва россиян стало стали стал
words среди около более менее лучше хуже больше меньше быстро быстрее раньше позже дома домой вечером утром ночью днём днем слишком просто прямо именно
words около ну ага угу круто норм ясно точно баг тест релиз задача задачу ок хочется нельзя должен должна должны стоит обязательно нравится
words писать пиши напиши личку лс заработок заработка доход доходом деньги денег долларов пассивный удаленно удалённо обучение обучаем связи интересно
ends ться тся ешь ишь ает яет ует ают ует ают ит ет ал ил ла ли ая ое ие ую ость ение ения ении ция ции ать ить еть ого его ский ской ские тель щий щие вший ой ей ых ом
= be
words і што як гэта гэты гэтая гэтыя не на з у ён яна яны яно мы вы для пра але калі вельмі дзякуй таксама каб ці дзе ёсць быў была было былі будзе можна
words трэба добры дзень вечар прывітанне вітаю сёння заўтра ўчора цяпер зараз толькі яшчэ ужо пасля перад праз паміж пад над ад да за са хто які якая якое якія
words чаму таму тут там мяне цябе нас вас яго яе іх ім яму мой твой свой наш ваш усё усе ўсё ўсе няма ёсць можа магу хачу ведаю працуе працаваць зрабіць
words добра калега беларусі беларусь мова мовы людзі чалавек год час праца слова нічога ніколі заўсёды разам
ends нне цца ць аў іў ага яга амі асць цыя аецца ыць
= bg
words и на да е за от се с си че като това не са по но или при към ще има няма като който която които което този тази тези може беше бъде само също вече много
words мога какво защо как къде кой аз ти той тя то ние вие те ми ги го му й им ни ви ме бих би съм сме сте добре добър ден благодаря моля здравей здравейте днес утре
words вчера сега там тук когато ако без през след преди между под над още всички всичко нещо някой нищо никой трябва искам може ли много по-добре
words час година години работа работи грешка въпрос отговор хора човек българия
ends ът та то те ите ата ята ове ция ция ава ият ието ски ска
= sr
words и у је да се на за са од не су то што као али или ако када где ко који која које овај ова ово тај та он она они ми ви ја ти сам си смо сте био била било бити
words ће није нема има може треба добро дан хвала молим здраво данас сутра јуче сада овде тамо само још већ све нешто ништа
ends ње ње ао ио ују ење
"###));
static LATIN: LazyLock<Profiles> =
    LazyLock::new(|| Profiles::parse(r###"# The same for the Latin script.
= en
words worries sometimes seems different happens unusual behavior behaviour familiar somehow issues why
words the of and to in is it you that he was for on are with as i his they be at one have this from or had by not but what all were we when your can said there
words an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more go see no way
words could people my than first been who its now find long down day did get come made may part just still don't doesn't didn't can't won't isn't it's i'm i'll let's that's
words ok okay thanks thank please hello hi hey yes yeah yep nope sure lol lmao omg nice great good bad cool awesome sorry welcome morning evening night today tomorrow
words yesterday why where need should must done check fix fixed bug issue error update updated release deploy merge review team meeting server database users user
words working work works broken failed fails help know think want got sounds looks looking right agree agreed maybe here very much well also back after before
words because any really again over only new use used using me our us am too off next last week month same thing things something anything nothing everyone someone wow brb
words idk imo tbh afk gg np thx ty congrats congratulations haha interesting perfect exactly understood confirmed approved blocked urgent asap question answer
words idea feature features project code change changes changed call send sent share plan start started stop wait waiting ready test tests tested running run runs
words lunch coffee weekend friday monday tuesday wednesday thursday saturday sunday see later soon everybody guys folks joke funny weather random mood vibes boring bye cheers feel free ping
ends ing tion tions ment ness ould ight ough ally ful less able ible ship ward ious eous ated ates ized ises ity ely ed ly ers est
= id
words yang dan di ke dari ini itu untuk dengan tidak ada pada adalah saya aku kamu anda dia kita kami mereka akan bisa sudah juga atau karena jadi kalau kalo tapi
words tetapi sama aja saja lagi nya gak ga nggak enggak tak bukan belum udah sih dong deh kok yg dgn utk jg tp krn bgt banget gimana bagaimana apa apakah siapa kapan
words dimana mana kenapa mengapa mau bikin buat pake pakai punya lebih kurang sangat sekali semua banyak sedikit orang hari tahun waktu satu dua tiga baru lama besar kecil
words terima kasih selamat pagi siang malam halo iya ya oke maaf tolong bang mas pak mbak gan gue gw lu lo elo ane nih tuh kan loh lah kah masih pernah harus perlu
words menjadi dapat seperti antara dalam luar atas bawah sebelum sesudah setelah ketika saat supaya agar biar misalnya misal contoh mungkin emang memang coba kayak kaya
words kerja masalah kode sistem dibuat cara bagus terus tiap setiap cuma hanya kode makanya soalnya jangan sampe sampai
ends kan nya annya kannya lah kah inya ngan
= pl
words i w z na do się nie to że jest jak co o od po za ale dla czy tak już przez przy być był była było są ma mam może tylko bardzo też tego tym ten ta te ci mi mnie cię
words ciebie nas was ich jego jej który która które kiedy gdzie kto dlaczego bo więc jeśli jeszcze teraz dzisiaj dziś jutro wczoraj dziękuję dzięki proszę cześć dzień dobry
words wieczór dobrze źle super fajnie tutaj tam nic coś ktoś wszystko wszyscy nowy nowa praca pracy błąd serwer trzeba można będzie będą mamy macie jestem jesteś zrobić
ends ości ość anie enie ego emu ych ymi cie ać ić owa owy ski ska ów
= de
words der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie
words einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei ich du wir ihr mich mir dich dir uns euch kann kannst können muss müssen
words soll will wenn wann warum wo wer was hier dort jetzt heute morgen gestern danke bitte hallo guten tag gut schlecht ja nein doch mal schon sehr alle alles nichts etwas
words kein keine neu neue neuen fehler frage antwort arbeit geht gibt macht machen habe hast
ends ung ungen keit heit lich isch schaft chen ieren iert en er
= es
words de la que el en y a los se del las un por con no una su para es al lo como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta
words hay donde quien desde todo nos durante todos uno les ni contra otros ese eso ante ellos e esto mí antes algunos qué unos yo otro otras otra él tanto esa estos mucho
words quienes nada muchos cual poco ella estar estas algunas algo nosotros mi mis tú te ti tu tus hola gracias buenos días buenas tardes noches hoy mañana ayer ahora
words aquí bien mal está están estoy tengo tiene puede pueden hacer error pregunta trabajo nuevo nueva
ends ción ciones mente ando iendo ado ada idad dad ía ar
= fr
words de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont aux avec son cette ont ses mais comme on tout nous sa leur être
words été fait où même y ces si deux je tu vous elle ils elles mon ma mes ton ta tes votre notre moi toi lui très bien aussi encore alors donc quand comment pourquoi
words parce bonjour bonsoir salut merci oui non aujourd'hui demain hier maintenant ici là rien quelque chose faire peut peux veux avez avons suis sera c'est j'ai n'est d'accord
words erreur question réponse travail nouveau nouvelle
ends tion ment eur euse eux ais ait aient ez ité ées
= it
words di e il la che è per un in non a del si con i da le una alla della sono al come più gli lo nel anche ha ma su dei nella se questo quello mi ti ci vi ne o ho hai
words abbiamo hanno era essere fatto quando dove chi perché cosa molto bene male tutto tutti ancora già adesso ora oggi domani ieri ciao grazie prego buongiorno buonasera sì
words no qui lì niente qualcosa fare può posso puoi voglio sei siamo io tu lui lei noi voi loro mio tuo suo nuovo nuova errore domanda risposta lavoro delle degli dalla
ends zione zioni mente ando endo ato ata uto tà are ere ire iamo
= pt
words de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando muito há nos já está eu também só pelo
words pela até isso ela entre era depois sem mesmo aos ter seus quem nas me esse eles estão você tinha foram essa num nem suas meu às minha têm numa pelos elas obrigado
words obrigada olá bom boa dia tarde noite hoje amanhã ontem agora aqui bem mal tudo nada fazer pode posso quero vamos erro pergunta trabalho novo nova oi tá pra
ends ção ções mente ando endo indo ado ada idade ões
= tr
words ve bir bu da de için ile çok ne var yok mi mı mu mü ben sen o biz siz onlar bana sana ona bunu şu gibi daha en kadar sonra önce ama fakat veya ya ki değil olarak
words olan oldu olur olsun nasıl neden niye nerede kim hangi her hiç şey şimdi bugün yarın dün evet hayır teşekkürler teşekkür ederim merhaba selam günaydın iyi kötü güzel
words tamam lütfen yeni büyük küçük zaman gün yıl iş sorun hata soru cevap
ends lar ler dir dır lık lik iyor ıyor uyor üyor mak mek ların lerin ndan nden sın sin
= nl
words de het een en van ik te dat die in is niet je op aan met als voor zijn er maar om hem dan zou of wat mijn men dit zo door over ze zich bij ook tot haar daar naar heb
words hoe heeft hebben deze want nog zal me zij nu ge geen omdat iets worden toch al waren veel meer doen toen moet ben zonder kan hun dus alles onder ja eens hier wie
words werd altijd doch wordt kunnen ons zelf tegen na reeds wil kon niets uw iemand geweest andere goed dank bedankt hallo hoi goedemorgen vandaag morgen gisteren
ends lijk heid ende tje ingen
= cs
words a je v na se to že s z o i do k ve po za jako ale by pro si jsem jsi jsou jsme jste byl byla bylo být má mám může tak jen také co kdo kde kdy proč jak který která
words které když aby nebo už ještě teď dnes zítra včera děkuji díky prosím ahoj dobrý den dobře špatně tady tam nic něco všechno nový nová práce chyba ano ne není
ends ost osti ání ení ého ému ých ými ovat
= ro
words de și în a la cu nu o pe din că este un mai care pentru sunt ce sa al se să fi ca după fost dar lui sau dacă când cum unde cine foarte tot toate acum azi mâine ieri
words bună salut mulțumesc da te rog eu tu el ea noi voi ei mea mele am ai are avem aveți au aici acolo nimic ceva lucru nou
ends ție ții ului elor ează ește are ând
= sv
words och i att det som en på är av för med den till inte om ett han hon jag du vi ni de har var kan ska vill men så eller när hur vad vem där här nu idag imorgon igår
words tack hej god morgon ja nej också bara mycket bra dålig ny nya alla allt något ingen efter före från över under mellan
ends ning het lig ande arna erna
= vi
words và của là có không được cho một những người các trong này đã với để khi tôi bạn anh chị em chúng ta họ nó đó thì mà như cũng rất nhiều vì nếu hay hoặc ở từ đến
words về làm gì sao đâu ai nào cảm ơn xin chào vâng hôm nay ngày mai bây giờ
= uz
words va bu bilan uchun ham emas bor yo'q men sen biz siz ular qanday nima kim qachon qayerda rahmat salom assalomu alaykum yaxshi yomon kerak mumkin
ends lar ning dan moqda
"###));

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

}
mod query {

use std::{collections::HashSet, ops::Range};

use crate::telesift_text::terms::{self, Word};

pub(crate) mod function_words {

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use crate::telesift_text::fold::fold;

static FUNCTION_WORDS: LazyLock<FxHashSet<String>> = LazyLock::new(|| {
    r###"# Words that carry a question but not its subject, folded. A query ranks by them only where it has no other words: a
# short "що?" would outrank the answer otherwise. The index keeps them, so that phrases work.

# Ukrainian
а або але б би без бо був була були було в вже ви вона вони воно все всі від він де для до є ж же з за зі і із її їх й його коли котрий куди ли лиш лише ми мене мені між на навіть над нам нас наш не немає ні ним них ну о об он от отже під по при про саме свій скільки собі та так там те тим то тобто той тому треба ту тут у усе хіба хто це цей ця ці цього цьому через чи чого чому що щоб що-небудь я як яка яке який які якщо
# Russian
а без более бы был была были было быть в вам вас ведь весь во вот все всего всех вы где да для до его ее если есть еще же за здесь и из из-за или им их к как какая какие какой когда которая которые который кто ли либо мне мы на над надо нам нас наш не него нее нет ни них но ну о об однако он она они оно от очень по под почему при про с сам свой себе сколько со так также такой там те тебе тем то того тоже той только том ты у уже чем через что чтобы чье эта эти это этот этого я
# English
a about an and any are as at be been but by can could did do does for from had has have he her him his how i if in into is it its may me my no not of on or our she should so some such than that the their them then there these they this those to too us was we were what when where which who whom whose why will with would you your
"###
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(fold)
        .collect()
});

/// The longest of them, so that most words need no look-up.
const MAX_BYTES: usize = 17;

/// Whether `folded` says how a query is meant, not what it is about.
pub(crate) fn is_function_word(folded: &str) -> bool {
    folded.len() <= MAX_BYTES && FUNCTION_WORDS.contains(folded)
}

}
mod parse {

use std::collections::HashSet;

use super::{Query, Unit, function_words::is_function_word, pair};
use crate::telesift_text::terms::{self, Word};

const OPENING: &[char] = &['"', '“', '„', '«', '”', '‟', '＂'];
const CLOSING: &[char] = &['"', '”', '“', '»', '＂'];

/// What stands between two blanks, or in quotes.
#[derive(Debug)]
struct Part<'a> {
    text: &'a str,
    is_quoted: bool,
    is_excluded: bool,
}

impl Part<'_> {
    fn is_or(&self) -> bool {
        !self.is_quoted && !self.is_excluded && self.text == "OR"
    }
}

pub(super) fn parse(text: &str) -> Query {
    let parts = parts(text);
    let mut query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    let mut seen = HashSet::new();
    let mut asides = Vec::new();
    let mut i = 0;
    while i < parts.len() {
        // a OR b OR c: operands at i, i + 2, … as long as an OR stands between two of them.
        let mut operands = vec![&parts[i]];
        while i + 2 < parts.len() && parts[i + 1].is_or() && !parts[i + 2].is_or() {
            i += 2;
            operands.push(&parts[i]);
        }
        i += 1;
        let is_choice = operands.len() > 1;
        let mut group = Vec::new();
        for part in operands {
            let words = terms::words(part.text);
            if words.is_empty() {
                continue;
            }
            if part.is_excluded {
                query.excluded.push(unit(&words, part.is_quoted));
                continue;
            }
            match &words[..] {
                [word] if is_function_word(&word.folded) => asides.push(words.clone()),
                _ => rank(&words, &mut query.ranked, &mut seen),
            }
            if is_choice || part.is_quoted {
                group.push(unit(&words, part.is_quoted));
            }
        }
        if !group.is_empty() {
            query.required.push(group);
        }
    }
    if query.ranked.is_empty() {
        for words in asides {
            rank(&words, &mut query.ranked, &mut seen);
        }
    }
    query
}

/// One word by its stem; several (`a-b`, a URL, Chinese), and whatever was quoted, as a phrase.
fn unit(words: &[Word], is_quoted: bool) -> Unit {
    match words {
        [word] if !is_quoted => {
            let mut terms = Vec::new();
            word.push_terms(&mut terms);
            Unit::Word(terms.swap_remove(0))
        }
        _ => Unit::Phrase(words.iter().map(|w| w.folded.clone()).collect()),
    }
}

/// Adds the terms of `words`: of CJK text the pairs, and single characters only where they stand alone.
fn rank(words: &[Word], ranked: &mut Vec<String>, seen: &mut HashSet<String>) {
    let mut terms = Vec::new();
    let mut is_paired = false;
    for (i, word) in words.iter().enumerate() {
        let next = words.get(i + 1).and_then(|next| pair(word, next));
        if !(is_paired || next.is_some()) {
            word.push_terms(&mut terms);
        }
        is_paired = next.is_some();
        terms.extend(next);
    }
    ranked.extend(terms.into_iter().filter(|t| seen.insert(t.clone())));
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_excluded = first == '-' && {
            let after = rest[1..].chars().next();
            after.is_some_and(|c| !c.is_whitespace() && c != '-')
        };
        let inner = if is_excluded { &rest[1..] } else { rest };
        let (part, after) = quoted(inner, is_excluded).unwrap_or_else(|| bare(inner, is_excluded));
        parts.push(part);
        rest = after.trim_start();
    }
    parts
}

fn quoted(rest: &str, is_excluded: bool) -> Option<(Part<'_>, &str)> {
    let inner = rest.strip_prefix(OPENING)?;
    let end = inner.find(CLOSING)?;
    let after = inner[end..].strip_prefix(CLOSING)?;
    let part = Part {
        text: &inner[..end],
        is_quoted: true,
        is_excluded,
    };
    Some((part, after))
}

/// Up to the next blank, or to a quote that opens a phrase later on.
fn bare(rest: &str, is_excluded: bool) -> (Part<'_>, &str) {
    let end = rest
        .char_indices()
        .skip(1)
        .find(|&(i, c)| {
            c.is_whitespace() || (OPENING.contains(&c) && quoted(&rest[i..], false).is_some())
        })
        .map_or(rest.len(), |(i, _)| i);
    let part = Part {
        text: &rest[..end],
        is_quoted: false,
        is_excluded,
    };
    (part, &rest[end..])
}
}

/// A parsed query. Any text parses; a text without a word gives an empty query.
///
/// Bare words are optional and ranked: the more and the rarer the matching words, the better; words such as `що`, `как`
/// or `the` count only where there are no others. `"a phrase"` is required, `-word` and `-"a phrase"` exclude, `a OR b` requires at least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// As typed.
    pub text: String,
    /// Index terms to rank by, without repeats, those of required units too.
    pub ranked: Vec<String>,
    /// Each group must match by at least one of its units.
    pub required: Vec<Vec<Unit>>,
    /// None of these may match.
    pub excluded: Vec<Unit>,
}

/// A word or phrase that must or must not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// One index term (folded and stemmed).
    Word(String),
    /// Folded words in a row, not stemmed.
    Phrase(Vec<String>),
}

impl Query {
    /// Reads what a user typed. Quotes may be `"`, `“ ”`, `„ “` or `« »`; one without its counterpart is taken for
    /// punctuation. `OR` counts between two words or phrases, in capitals. A minus excludes at the start of a word.
    pub fn parse(text: &str) -> Query {
        parse::parse(text)
    }

    /// Whether there is nothing to look for, not even something to leave out.
    pub fn is_empty(&self) -> bool {
        self.ranked.is_empty() && self.required.is_empty() && self.excluded.is_empty()
    }

    /// Whether a message of this text may be among the hits: every required group matches and nothing excluded does.
    /// Bare words do not matter here, they only rank.
    pub fn accepts(&self, text: &str) -> bool {
        if self.required.is_empty() && self.excluded.is_empty() {
            return true;
        }
        let words = terms::words(text);
        let terms = terms_of(&words);
        let matches = |unit: &Unit| match unit {
            Unit::Word(term) => terms.contains(term),
            Unit::Phrase(phrase) => !occurrences(phrase, &words).is_empty(),
        };
        self.required.iter().all(|group| group.iter().any(matches))
            && !self.excluded.iter().any(matches)
    }

    /// What matched: byte ranges of `text` on character boundaries, ascending, overlapping ones merged.
    pub fn highlights(&self, text: &str) -> Vec<Range<usize>> {
        let words = terms::words(text);
        let ranked: HashSet<&str> = self.ranked.iter().map(String::as_str).collect();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut own = Vec::with_capacity(3);
        for (i, word) in words.iter().enumerate() {
            own.clear();
            word.push_terms(&mut own);
            if own.iter().any(|t| ranked.contains(t.as_str())) {
                ranges.push(word.range.clone());
            }
            let next = words.get(i + 1);
            let next = next
                .filter(|next| pair(word, next).is_some_and(|pair| ranked.contains(pair.as_str())));
            ranges.extend(next.map(|next| word.range.start..next.range.end));
        }
        for unit in self.required.iter().flatten() {
            if let Unit::Phrase(phrase) = unit {
                ranges.extend(
                    occurrences(phrase, &words)
                        .into_iter()
                        .map(|w| words[w.start].range.start..words[w.end - 1].range.end),
                );
            }
        }
        merge(ranges)
    }
}

fn terms_of(words: &[Word]) -> HashSet<String> {
    let mut terms = Vec::with_capacity(words.len() * 2);
    for (i, word) in words.iter().enumerate() {
        word.push_terms(&mut terms);
        terms.extend(words.get(i + 1).and_then(|next| pair(word, next)));
    }
    terms.into_iter().collect()
}

/// The term of two neighbouring CJK characters.
fn pair(word: &Word, next: &Word) -> Option<String> {
    let adjoin = word.is_character && next.is_character && word.range.end == next.range.start;
    adjoin.then(|| format!("{}{}", word.folded, next.folded))
}

/// Where `phrase` stands in `words`, as ranges of words.
fn occurrences(phrase: &[String], words: &[Word]) -> Vec<Range<usize>> {
    if phrase.is_empty() {
        return Vec::new();
    }
    words
        .windows(phrase.len())
        .enumerate()
        .filter(|(_, w)| w.iter().zip(phrase).all(|(word, p)| word.is(p)))
        .map(|(i, w)| i..i + w.len())
        .collect()
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|r| (r.start, r.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

}
mod script {

/// A script, or a group of scripts that are treated alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// Latin, its diacritics and full-width forms included.
    Latin,
    /// Cyrillic.
    Cyrillic,
    /// Greek.
    Greek,
    /// Arabic, Persian letters and presentation forms included.
    Arabic,
    /// Hebrew.
    Hebrew,
    /// Devanagari.
    Devanagari,
    /// Chinese characters, Kanji and Hanja.
    Han,
    /// Hiragana and Katakana.
    Kana,
    /// Korean syllables and jamo.
    Hangul,
    /// Letters and marks of any other script.
    Other,
    /// Digits, punctuation, symbols, blanks.
    Common,
}

impl Script {
    /// Whether text of this script is written without blanks between words, so that each character is a token.
    pub fn is_per_character(self) -> bool {
        matches!(self, Script::Han | Script::Kana | Script::Hangul)
    }
}

/// The script of `c`.
#[inline]
pub fn script_of(c: char) -> Script {
    match COMMON_SCRIPTS.get(c as usize) {
        Some(Some(script)) => *script,
        _ => any_script_of(c),
    }
}

/// The scripts of the first characters of Unicode, Latin and Cyrillic among them: most of most texts here, and one
/// look-up instead of a dozen comparisons. `None` is left to [`any_script_of`].
static COMMON_SCRIPTS: [Option<Script>; 0x530] = {
    let mut scripts = [None; 0x530];
    let mut c = 0;
    while c < scripts.len() {
        scripts[c] = match c as u32 {
            0x41..=0x5a | 0x61..=0x7a => Some(Script::Latin),
            0..=0xa9 | 0xab..=0xb9 | 0xbb..=0xbf | 0xd7 | 0xf7 => Some(Script::Common),
            0xaa | 0xba | 0xc0..=0x2b8 => Some(Script::Latin),
            0x400..=0x481 | 0x48a..=0x52f => Some(Script::Cyrillic),
            _ => None,
        };
        c += 1;
    }
    scripts
};

fn any_script_of(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' => Script::Latin,
        '\0'..='\u{a9}' | '\u{ab}'..='\u{b9}' | '\u{bb}'..='\u{bf}' | '×' | '÷' => Script::Common,
        'ª' | 'º' | 'À'..='\u{24f}' | '\u{250}'..='\u{2b8}' | '\u{1e00}'..='\u{1eff}' => {
            Script::Latin
        }
        '\u{400}'..='\u{481}' | '\u{48a}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' => Script::Cyrillic,
        '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{fb00}'..='\u{fb06}' => {
            Script::Latin
        }
        '\u{2000}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}' => Script::Common,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' if c.is_alphabetic() => Script::Greek,
        '\u{590}'..='\u{5ff}' | '\u{fb1d}'..='\u{fb4f}' => Script::Hebrew,
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' => {
            arabic_or_common(c)
        }
        '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => arabic_or_common(c),
        '\u{900}'..='\u{963}' | '\u{970}'..='\u{97f}' => Script::Devanagari,
        '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' => Script::Kana,
        '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => Script::Kana,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Script::Han,
        '々' | '〇' | '\u{20000}'..='\u{323af}' => Script::Han,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}' => {
            Script::Hangul
        }
        _ if c.is_alphabetic() => Script::Other,
        _ => Script::Common,
    }
}

fn arabic_or_common(c: char) -> Script {
    if c.is_alphabetic() || matches!(c, '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}') {
        Script::Arabic
    } else {
        Script::Common
    }
}

}
pub mod signature {

use xxhash_rust::xxh3::xxh3_64;

use crate::telesift_text::{
    fold::{fold, fold_into},
    homoglyph::fold_homoglyphs,
    query::function_words::is_function_word,
    tokens::{Token, TokenKind, tokens},
};

mod codec {

use std::{fmt, str::FromStr};

use super::{
    Signature,
    sketch::{MAX_HASHES, Sketch},
};

/// The version of the formula. Signatures of another version are not compared.
const VERSION: u8 = 1;
/// Version, word count, feature count, exact hash: a multiple of three, so that no padding is needed.
const HEAD_BYTES: usize = 1 + 1 + 2 + 8;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A text that is no signature of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureError;

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a story signature of this version")
    }
}

impl std::error::Error for SignatureError {}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 3 * self.sketch.hashes.len());
        // How many words beyond 255 makes no difference to anybody.
        bytes.extend([VERSION, u8::try_from(self.n_words).unwrap_or(u8::MAX)]);
        bytes.extend(self.sketch.n_features.to_be_bytes());
        bytes.extend(self.exact.to_be_bytes());
        for hash in &self.sketch.hashes {
            bytes.extend(&hash.to_be_bytes()[1..]);
        }
        let mut text = String::with_capacity(bytes.len() / 3 * 4);
        for triple in bytes.chunks_exact(3) {
            let bits = triple.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
            text.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[bits >> shift & 63])));
        }
        f.write_str(&text)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = decode(text).ok_or(SignatureError)?;
        let (head, hashes) = bytes
            .split_at_checked(HEAD_BYTES)
            .filter(|(_, hashes)| hashes.len() <= 3 * MAX_HASHES)
            .ok_or(SignatureError)?;
        let &[VERSION, n_words, high, low, ref exact @ ..] = head else {
            return Err(SignatureError);
        };
        let hashes: Vec<u32> = hashes
            .chunks_exact(3)
            .map(|h| h.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
            .collect();
        if hashes.windows(2).any(|w| w[0] >> 1 >= w[1] >> 1) {
            return Err(SignatureError);
        }
        Ok(Signature {
            exact: exact.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
            n_words: n_words.into(),
            sketch: Sketch {
                hashes,
                n_features: u16::from_be_bytes([high, low]),
            },
        })
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let fours = text.as_bytes().chunks_exact(4);
    if !fours.remainder().is_empty() {
        return None;
    }
    for four in fours {
        let mut bits = 0u32;
        for &c in four {
            bits = bits << 6 | digit(c)?;
        }
        bytes.extend(&bits.to_be_bytes()[1..]);
    }
    Some(bytes)
}

fn digit(c: u8) -> Option<u32> {
    let digit = match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(digit.into())
}
}
mod footer {

use crate::telesift_text::{
    fold::fold,
    tokens::{TokenKind, tokens},
};

/// Longer lines say something.
const MAX_WORDS: usize = 8;

/// How a line that asks for subscribers, or names the source, begins one of its words; folded. Ukrainian, Russian,
/// English.
const CALLS: &[&str] = &[
    "підписатис",
    "підписатьс",
    "підписуйс",
    "підписуйтес",
    "підпишис",
    "підпишіт",
    "подписатьс",
    "подписывайс",
    "подписывайтес",
    "подпишис",
    "подпишитес",
    "прислать",
    "надіслати",
    "приєднуйтес",
    "присоединяйтес",
    "джерело",
    "источник",
    "subscribe",
    "follow",
    "join",
    "source",
    "via",
];

/// `text` without the last lines that only name the channel: short, and with a mention, a link into Telegram, a call to
/// subscribe, or nothing but tags. The first line always stays.
pub(super) fn without_footer(text: &str) -> &str {
    let mut body = text.trim_end();
    while let Some((above, line)) = body.rsplit_once('\n') {
        let above = above.trim_end();
        if above.trim_start().is_empty() || !is_footer(line) {
            break;
        }
        body = above;
    }
    body
}

fn is_footer(line: &str) -> bool {
    let (mut n_words, mut n_tags, mut is_marked) = (0, 0, false);
    for token in tokens(line) {
        match token.kind {
            TokenKind::Mention => is_marked = true,
            TokenKind::Url => is_marked |= leads_into_telegram(token.text),
            TokenKind::Hashtag => n_tags += 1,
            _ => {
                n_words += 1;
                let folded = fold(token.text);
                is_marked |= CALLS.iter().any(|call| folded.starts_with(call));
            }
        }
        if n_words > MAX_WORDS {
            return false;
        }
    }
    is_marked || (n_tags > 0 && n_words == 0)
}

fn leads_into_telegram(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.starts_with("t.me/") || host.starts_with("telegram.me/")
}
}
mod link {

/// Parameters that only follow people around.
const TRACKING: &[&str] = &[
    "fbclid",
    "gclid",
    "yclid",
    "igshid",
    "igsh",
    "mc_cid",
    "mc_eid",
    "si",
    "ref",
    "ref_src",
    "feature",
    "_openstat",
];

/// The link in lower case, without scheme, `www.`, fragment, closing slash and tracking parameters.
pub(super) fn without_tracking(url: &str) -> String {
    let url = url.to_lowercase();
    let url = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let url = url.strip_prefix("www.").unwrap_or(url);
    let url = url.split_once('#').map_or(url, |(page, _)| page);
    let Some((page, query)) = url.split_once('?') else {
        return url.trim_end_matches('/').to_owned();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            !name.is_empty() && !name.starts_with("utm_") && !TRACKING.contains(&name)
        })
        .collect();
    let page = page.trim_end_matches('/');
    if kept.is_empty() {
        page.to_owned()
    } else {
        format!("{page}?{}", kept.join("&"))
    }
}

}
mod sketch {

use std::cmp::Ordering;

/// Hashes a sketch keeps, the smallest ones. Below that a sketch is the whole text, and comparison is exact; above, the
/// standard error of a Jaccard index J is √(J(1−J)/64), at most 0.0625.
pub(super) const MAX_HASHES: usize = 64;
/// Fewer features than this are alike by accident.
const MIN_FEATURES: usize = 6;

/// A bottom-k sketch over the content words of a text: the 64 smallest of their 24-bit hashes. A word counts by its first
/// six letters, a number twice; function words and words under three letters do not count.
///
/// The lowest bit of a hash says whether the word is a *name* (a capital within a sentence) or a number: what texts made
/// from one template differ in.
///
/// Source: A. Z. Broder, "On the resemblance and containment of documents", SEQUENCES 1997; bottom-k: E. Cohen,
/// H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Ascending, different in their upper 23 bits.
    pub(super) hashes: Vec<u32>,
    /// Distinct features of the text, kept or not.
    pub(super) n_features: u16,
}

impl Sketch {
    /// The sketch of these features: (24-bit hash, whether it is a name or number).
    pub(super) fn new(features: impl Iterator<Item = (u32, bool)>) -> Self {
        let mut hashes: Vec<u32> = features
            .map(|(hash, is_telling)| (hash & 0xff_fffe) | u32::from(!is_telling))
            .collect();
        // The telling one of two equal ones comes first, and stays; until then its lowest bit says the opposite.
        hashes.sort_unstable();
        hashes.dedup_by_key(|h| *h >> 1);
        let n_features = u16::try_from(hashes.len()).unwrap_or(u16::MAX);
        hashes.truncate(MAX_HASHES);
        hashes.iter_mut().for_each(|hash| *hash ^= 1);
        Sketch { hashes, n_features }
    }

    /// Whether the text has enough content words to be a near duplicate of anything.
    pub fn is_comparable(&self) -> bool {
        self.hashes.len() >= MIN_FEATURES
    }

    /// The keys under which an index finds candidates: the sketch's `n` smallest hashes. Of two texts with Jaccard index
    /// J, one shares a key with the other with probability of about 1 − (1 − J)ⁿ.
    pub fn keys(&self, n: usize) -> impl Iterator<Item = u32> + '_ {
        self.hashes.iter().take(n).map(|h| h >> 1)
    }

    /// The last hash up to which the sketch knows every word.
    fn horizon(&self) -> u32 {
        match self.hashes.last() {
            Some(last) if usize::from(self.n_features) > self.hashes.len() => last >> 1,
            _ => u32::MAX,
        }
    }
}

/// How much of one text the other repeats, in thousandths: the larger of their Jaccard index and of the share of the
/// shorter text that the longer one holds, less 0.25 and only where the longer is at most four times as long. Times 0.6
/// where they name different things: each has names or numbers the other lacks, and they do not share more than that.
pub fn similarity(a: &Sketch, b: &Sketch) -> u16 {
    let n = Overlap::of(a, b);
    if n.union == 0 {
        return 0;
    }
    let jaccard = n.both * 1_000 / n.union;
    let (short, long) = (
        u64::from(a.n_features.min(b.n_features)),
        u64::from(a.n_features.max(b.n_features)),
    );
    let mut alike = jaccard;
    if short * 4 >= long {
        // |A ∩ B| = J (|A| + |B|) / (1 + J)
        let contained = n.both * (short + long) * 1_000 / ((n.union + n.both) * short);
        alike = alike.max(contained.min(1_000).saturating_sub(250));
    }
    let n_differing = n.only_a.min(n.only_b);
    if n_differing > 0 && n.shared <= n_differing {
        alike = alike * 6 / 10;
    }
    u16::try_from(alike).unwrap_or(1_000)
}

/// [`similarity`] where it makes the two near duplicates, `None` where it does not.
///
/// The threshold falls from 0.75 for 16 content words to 0.4 for 32: the shorter a text, the more of it belongs to
/// a template. Under six content words nothing is near anything.
///
/// These numbers were chosen on 115 labelled pairs of articles, most of them one event in different words, and there give
/// precision 0.95 at recall 0.36: a copy that was edited is found, a story that was written anew mostly is not.
pub fn near(a: &Sketch, b: &Sketch) -> Option<u16> {
    if !a.is_comparable() || !b.is_comparable() {
        return None;
    }
    let n = a.hashes.len().min(b.hashes.len());
    let alike = similarity(a, b);
    (alike >= threshold(n)).then_some(alike)
}

/// By the number of hashes of the smaller sketch, in thousandths.
fn threshold(n: usize) -> u16 {
    const SHORT: (usize, u16) = (16, 750);
    const LONG: (usize, u16) = (32, 400);
    let above = n.clamp(SHORT.0, LONG.0) - SHORT.0;
    let fall = usize::from(SHORT.1 - LONG.1) * above / (LONG.0 - SHORT.0);
    SHORT.1 - fall as u16
}

/// Counts over the part of the union both sketches know.
#[derive(Default)]
struct Overlap {
    union: u64,
    both: u64,
    /// Names and numbers in one only, and in both.
    only_a: u64,
    only_b: u64,
    shared: u64,
}

impl Overlap {
    fn of(a: &Sketch, b: &Sketch) -> Self {
        let horizon = a.horizon().min(b.horizon());
        let mut n = Overlap::default();
        let (mut left, mut right) = (a.hashes.as_slice(), b.hashes.as_slice());
        // By indexes, not by iterators with a look ahead: this is most of what a flood of near copies costs.
        while let (Some(l), Some(r)) = (left.first(), right.first()) {
            let (l_word, r_word) = (l >> 1, r >> 1);
            if l_word.min(r_word) > horizon {
                return n;
            }
            n.union += 1;
            if l_word <= r_word {
                left = &left[1..];
            }
            if r_word <= l_word {
                right = &right[1..];
            }
            match l_word.cmp(&r_word) {
                Ordering::Less => n.only_a += u64::from(l & 1),
                Ordering::Greater => n.only_b += u64::from(r & 1),
                Ordering::Equal => {
                    n.both += 1;
                    n.shared += u64::from((l | r) & 1);
                }
            }
        }
        for hash in left.iter().take_while(|h| **h >> 1 <= horizon) {
            n.union += 1;
            n.only_a += u64::from(hash & 1);
        }
        for hash in right.iter().take_while(|h| **h >> 1 <= horizon) {
            n.union += 1;
            n.only_b += u64::from(hash & 1);
        }
        n
    }
}

}

pub use codec::SignatureError;
pub use sketch::{Sketch, near, similarity};

/// What identifies a text among reposts of it. Bit-identical wherever it is computed: integers only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// XXH3-64 of the normalised text: its folded words, numbers and links in order. Case, spacing, punctuation, emoji,
    /// mentions, the tracking parameters of links and a channel's closing lines do not count.
    pub exact: u64,
    /// Words, numbers and links of the normalised text, at most 65,535: how much an equal hash says. The hash of `ok`
    /// says nothing.
    pub n_words: u16,
    /// What is compared with other texts.
    pub sketch: Sketch,
}

/// The signature of `text`; `None` where there is not one word, number or link in it.
pub fn signature(text: &str) -> Option<Signature> {
    let body = footer::without_footer(text);
    let mut words = Words::new(body);
    for token in tokens(body) {
        words.take(&token);
    }
    if words.n == 0 {
        return None;
    }
    Some(Signature {
        exact: xxh3_64(words.normal.as_bytes()),
        n_words: u16::try_from(words.n).unwrap_or(u16::MAX),
        sketch: Sketch::new(words.features()),
    })
}

/// The words of a text as they come: the normalised text, and the features of its sketch.
struct Words<'t> {
    text: &'t str,
    /// Folded words, one space after each.
    normal: String,
    n: usize,
    features: Vec<Feature>,
    /// The end of the last token, in bytes.
    end: usize,
    /// The last token, should it be a character of a script without spaces.
    character: Option<String>,
    n_letters_words: usize,
    n_shouted: usize,
}

/// A feature of a sketch, before it is known whether the text shouts.
struct Feature {
    hash: u32,
    is_number: bool,
    /// A capital within a sentence.
    is_name: bool,
}

/// Characters of a word that count in the sketch: what is left off is mostly inflection, in any language.
const STEM_CHARS: usize = 6;
/// Shorter words are mostly grammar.
const MIN_CHARS: usize = 3;

impl<'t> Words<'t> {
    fn new(text: &'t str) -> Self {
        Words {
            text,
            normal: String::with_capacity(text.len()),
            n: 0,
            features: Vec::with_capacity(text.len() / 8),
            end: 0,
            character: None,
            n_letters_words: 0,
            n_shouted: 0,
        }
    }

    fn take(&mut self, token: &Token<'_>) {
        let opens = opens_sentence(&self.text[self.end..token.start]) || self.end == 0;
        let follows = self.end == token.start;
        self.end = token.range().end;
        let before = self.character.take();
        match token.kind {
            TokenKind::Mention => {}
            TokenKind::Url => self.push(&link::without_tracking(token.text)),
            TokenKind::Character => {
                let folded = fold(token.text);
                if let Some(before) = before.filter(|_| follows) {
                    self.feature(&format!("{before}{folded}"), false);
                }
                self.push(&folded);
                self.character = Some(folded);
            }
            TokenKind::Number => {
                let folded = fold(token.text).replace(',', ".");
                self.push(&folded);
                // Counted twice: what a text is about is told by its numbers sooner than by any other word.
                self.feature(&folded, true);
                self.feature(&format!("{folded}#"), false);
            }
            TokenKind::Word | TokenKind::Symbolic | TokenKind::Email | TokenKind::Hashtag => {
                self.word(token, opens);
            }
        }
    }

    fn word(&mut self, token: &Token<'_>, opens: bool) {
        let start = self.normal.len();
        // Only a mixture can hold letters of another script, and most words are none.
        let is_mixture =
            !token.text.is_ascii() && token.text.bytes().any(|b| b.is_ascii_alphanumeric());
        if is_mixture {
            fold_into(&fold_homoglyphs(token.text), &mut self.normal);
        } else {
            fold_into(token.text, &mut self.normal);
        }
        let n_hashes = self.normal[start..].bytes().take_while(|b| *b == b'#');
        let n_hashes = n_hashes.count();
        if n_hashes > 0 {
            self.normal.drain(start..start + n_hashes);
        }
        if self.normal.len() == start {
            return;
        }
        let mut capitals = token.text.chars().map(is_uppercase);
        let is_capital = capitals.next() == Some(true);
        self.n_letters_words += 1;
        self.n_shouted += usize::from(is_capital && capitals.next() == Some(true));
        if let Some(hash) = content_word(&self.normal[start..]) {
            self.features.push(Feature {
                hash,
                is_number: false,
                is_name: is_capital && !opens,
            });
        }
        self.normal.push(' ');
        self.n += 1;
    }

    fn push(&mut self, word: &str) {
        if !word.is_empty() {
            self.normal.push_str(word);
            self.normal.push(' ');
            self.n += 1;
        }
    }

    fn feature(&mut self, text: &str, is_number: bool) {
        self.features.push(Feature {
            hash: hash(text),
            is_number,
            is_name: false,
        });
    }

    /// In a text in capitals no capital tells a name.
    fn features(self) -> impl Iterator<Item = (u32, bool)> {
        let shouts = self.n_shouted * 2 > self.n_letters_words;
        self.features
            .into_iter()
            .map(move |f| (f.hash, f.is_number || (f.is_name && !shouts)))
    }
}

/// The hash of a folded word as a feature; `None` for short and for function words, which do not count.
fn content_word(folded: &str) -> Option<u32> {
    let mut n_chars = 0;
    let mut stem = folded;
    for (at, _) in folded.char_indices() {
        if n_chars == STEM_CHARS {
            stem = &folded[..at];
            break;
        }
        n_chars += 1;
    }
    (n_chars >= MIN_CHARS && !is_function_word(folded)).then(|| hash(stem))
}

fn hash(feature: &str) -> u32 {
    (xxh3_64(feature.as_bytes()) >> 40) as u32
}

/// `char::is_uppercase`, quick for the letters of most texts.
fn is_uppercase(c: char) -> bool {
    match c {
        'a'..='z' | '\u{430}'..='\u{45f}' => false,
        'A'..='Z' | '\u{400}'..='\u{42f}' => true,
        _ => c.is_uppercase(),
    }
}

/// Whether what stands between two words ends a sentence, or a line.
fn opens_sentence(between: &str) -> bool {
    between != " " && between.contains(['.', '!', '?', '…', ':', '\n', '。', '！', '？'])
}

}
mod stem {

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

use crate::telesift_text::script::{Script, script_of};

mod arabic {

/// Prefixes, the longest first.
const PREFIXES: &[&str] = &["وال", "بال", "كال", "فال", "ولل", "لل", "ال", "و"];
/// Suffixes, taken off one after the other in this order.
const SUFFIXES: &[&str] = &["ها", "ان", "ات", "ون", "ين", "يه", "يا", "ه", "ي"];

/// The stem of a folded Arabic word, a part of it.
pub(super) fn stem(word: &str) -> &str {
    let n_chars = |s: &str| s.chars().count();
    let mut stem = word;
    for prefix in PREFIXES {
        // A lone و is taken off only before three letters or more: it starts many words.
        let at_least = if *prefix == "و" { 3 } else { 2 };
        let rest = stem.strip_prefix(prefix);
        if let Some(rest) = rest.filter(|rest| n_chars(rest) >= at_least) {
            stem = rest;
            break;
        }
    }
    for suffix in SUFFIXES {
        let rest = stem.strip_suffix(suffix);
        if let Some(rest) = rest.filter(|rest| n_chars(rest) >= 2) {
            stem = rest;
        }
    }
    stem
}
}
mod cyrillic {

use std::{borrow::Cow, sync::LazyLock};

use rustc_hash::FxHashMap;

/// Reflexive endings of verbs.
const REFLEXIVE: &[&str] = &["ся", "сь"];

/// Endings of verbs and participles that need four letters before them.
const VERBAL: &[&str] = &[
    // Infinitives.
    "овать",
    "евать",
    "ивать",
    "ывать",
    "ировать",
    "ювати",
    "увати",
    "ать",
    "ять",
    "ить",
    "еть",
    "уть",
    "ыть",
    "оть",
    "ати",
    "яти",
    "ити",
    "іти",
    "їти",
    "ути",
    "оти",
    // Present and future.
    "ает",
    "яет",
    "уем",
    "ует",
    "юет",
    "еет",
    "ают",
    "яют",
    "уют",
    "еют",
    "аешь",
    "яешь",
    "уешь",
    "еешь",
    "аю",
    "яю",
    "ую",
    "ею",
    "аем",
    "яем",
    "аете",
    "яете",
    "уете",
    "ишь",
    "ешь",
    "ите",
    "ете",
    "ит",
    "ет",
    "ят",
    "ут",
    "ют",
    "ат",
    "ає",
    "яє",
    "ує",
    "ює",
    "іє",
    "аєш",
    "яєш",
    "уєш",
    "ієш",
    "аємо",
    "яємо",
    "уємо",
    "юємо",
    "іємо",
    "аєте",
    "яєте",
    "уєте",
    "юєте",
    "юєш",
    "їмо",
    "їш",
    "ають",
    "яють",
    "ують",
    "юють",
    "іють",
    "уть",
    "ють",
    "ять",
    "ать",
    "ить",
    "имо",
    "емо",
    "ємо",
    "єте",
    "иш",
    "еш",
    "ай",
    "яй",
    "уй",
    "юй",
    "айте",
    "яйте",
    "уйте",
    "йте",
    "іть",
    // Past.
    "ал",
    "ала",
    "али",
    "ало",
    "ял",
    "яла",
    "яли",
    "яло",
    "ил",
    "ила",
    "или",
    "ило",
    "ел",
    "ела",
    "ели",
    "ело",
    "ыл",
    "ыла",
    "ыли",
    "ыло",
    "ул",
    "ула",
    "ули",
    "уло",
    "ів",
    "іла",
    "іли",
    "іло",
    "ав",
    "яв",
    "ив",
    "їв",
    "овал",
    "овала",
    "овали",
    "овало",
    "ировал",
    "ировала",
    "ировали",
    "ировало",
    "ував",
    "ювала",
    "ювали",
    "увала",
    "ували",
    "увало",
    "ював",
    "ирует",
    "ируют",
    "ируем",
    "ирую",
];

/// Endings of nouns, adjectives and pronouns that need three letters before them.
const NOMINAL: &[&str] = &[
    "иями", "иях", "иям", "ией", "иею", "ием", "ии", "ия", "ию", "ие", "ий", "ій", "ії", "ія",
    "ію", "ією", "іями", "іях", "іям", "іє", "ьями", "ьях", "ьям", "ьев", "ья", "ье", "ью", "ьи",
    "ьём", "ьем", "ями", "ами", "ях", "ах", "ям", "ам", "ов", "ев", "ёв", "ів", "їв", "ой", "ей",
    "ою", "ею", "єю", "ом", "ем", "єм", "ові", "еві", "єві", "ого", "его", "ому", "ему", "ыми",
    "ими", "ых", "их", "ым", "им", "ый", "ая", "яя", "ую", "юю", "ое", "ее", "ые", "ій", "ього",
    "ьому", "іми", "іх", "їх", "їми", "їм", "ої", "ьої", "а", "я", "о", "е", "ё", "ы", "и", "і",
    "ї", "у", "ю", "ь", "й", "є",
];

/// The stem of a folded Cyrillic word.
pub(super) fn stem(word: &str) -> Cow<'_, str> {
    let mut chars: Vec<char> = word.chars().collect();
    if chars.len() < 3 {
        return Cow::Borrowed(word);
    }
    let first_vowel = chars.iter().position(|&c| is_vowel(c));
    if let Some(first_vowel) = first_vowel {
        let reflexive = Longest::of(&chars, first_vowel).reflexive;
        chars.truncate(chars.len() - reflexive);
        let longest = Longest::of(&chars, first_vowel);
        chars.truncate(chars.len() - longest.verbal.max(longest.nominal));
    }
    Cow::Owned(normalise(chars))
}

/// Letters of the longest ending of each kind that leaves enough of the word, with a vowel in it; 0 for none.
#[derive(Default)]
struct Longest {
    reflexive: usize,
    verbal: usize,
    nominal: usize,
}

impl Longest {
    fn of(word: &[char], first_vowel: usize) -> Self {
        let mut longest = Longest::default();
        let mut packed = 0;
        for (i, &c) in word.iter().rev().take(MAX_ENDING).enumerate() {
            let Some(letter) = pack(c) else { break };
            packed = packed << 8 | letter;
            let rest = word.len() - i - 1;
            if rest < MIN_NOMINAL || first_vowel >= rest {
                break;
            }
            let kinds = ENDINGS.get(&packed).copied().unwrap_or(0);
            if kinds & IS_NOMINAL != 0 {
                longest.nominal = i + 1;
            }
            if rest >= MIN_VERBAL {
                if kinds & IS_VERBAL != 0 {
                    longest.verbal = i + 1;
                }
                if kinds & IS_REFLEXIVE != 0 {
                    longest.reflexive = i + 1;
                }
            }
        }
        longest
    }
}

/// Letters that must stay before an ending of a verb, reflexive or not, and before one of a noun.
const MIN_VERBAL: usize = 4;
const MIN_NOMINAL: usize = 3;

/// Letters of the longest ending; that many fit into a key.
const MAX_ENDING: usize = 7;

const IS_REFLEXIVE: u8 = 1;
const IS_VERBAL: u8 = 2;
const IS_NOMINAL: u8 = 4;

/// All endings by their letters, last letter first, with their kinds: one look-up per letter of a word instead of one
/// comparison per ending.
static ENDINGS: LazyLock<FxHashMap<u64, u8>> = LazyLock::new(|| {
    let mut endings = FxHashMap::default();
    let lists = [
        (REFLEXIVE, IS_REFLEXIVE),
        (VERBAL, IS_VERBAL),
        (NOMINAL, IS_NOMINAL),
    ];
    for (list, kind) in lists {
        for ending in list {
            let key = ending.chars().rev().filter_map(pack);
            let key = key.fold(0, |packed, letter| packed << 8 | letter);
            *endings.entry(key).or_default() |= kind;
        }
    }
    endings
});

/// A letter as a byte, none of them 0; `None` for letters that no ending holds.
fn pack(c: char) -> Option<u64> {
    matches!(c, '\u{430}'..='\u{45f}').then(|| u64::from(c) - 0x400)
}

fn is_vowel(c: char) -> bool {
    matches!(
        c,
        'а' | 'е' | 'и' | 'о' | 'у' | 'ы' | 'э' | 'ю' | 'я' | 'і' | 'ї' | 'є'
    )
}

/// Maps what inflection changes inside a stem to one form.
fn normalise(mut chars: Vec<char>) -> String {
    while chars.len() > 3 && matches!(chars.last(), Some('ь' | 'й')) {
        chars.pop();
    }
    // знанн(я)/знань, сломанн(ый)/сломан.
    if chars.len() > 3 && chars.ends_with(&['н', 'н']) {
        chars.pop();
    }
    let len = chars.len();
    // оценок/оценк(а), отец/отц(а), рынок/рынк(а): the vowel that comes and goes.
    if len >= 4
        && matches!(chars[len - 1], 'к' | 'ц')
        && matches!(chars[len - 2], 'о' | 'е' | 'ё' | 'і')
        && !is_vowel(chars[len - 3])
    {
        chars.remove(len - 2);
    }
    // рік/рок(у), кількіст(ь)/кількост(і): Ukrainian і in a closed last syllable.
    let last = chars.iter().rposition(|&c| is_vowel(c));
    if let Some(last) = last.filter(|last| chars[*last] == 'і' && last + 1 < chars.len()) {
        chars[last] = 'о';
    }
    chars.into_iter().collect()
}

}

/// The stem of a [folded](crate::telesift_text::fold) word: Russian and Ukrainian by one joint light stemmer, Latin by the English
/// Snowball stemmer, Arabic by a light stemmer. Everything else, and whatever holds digits or signs, is its own stem.
pub fn stem(folded: &str) -> Cow<'_, str> {
    if folded.is_ascii() {
        return stem_ascii(folded);
    }
    let mut scripts = folded.chars().map(script_of);
    let first = scripts.next().unwrap_or(Script::Common);
    if !scripts.all(|s| s == first) {
        return Cow::Borrowed(folded);
    }
    match first {
        Script::Cyrillic => cyrillic::stem(folded),
        Script::Arabic => Cow::Borrowed(arabic::stem(folded)),
        _ => Cow::Borrowed(folded),
    }
}

fn stem_ascii(word: &str) -> Cow<'_, str> {
    // Short words have no suffix, and names such as `s3` or `c++` no inflection.
    if word.len() < 3 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return Cow::Borrowed(word);
    }
    Stemmer::create(Algorithm::English).stem(word)
}

}
mod terms {

use std::ops::Range;

use crate::telesift_text::{
    fold::fold,
    homoglyph::fold_homoglyphs,
    script::script_of,
    stem::stem,
    tokens::{Token, TokenKind, tokens},
};

/// Longest term, in bytes. What is longer is cut, in index and query alike: it is data, not a word.
const MAX_TERM_BYTES: usize = 256;

/// The index terms of `text`, in order, repeats kept; none holds white space.
///
/// A word gives its stem. Chinese, Japanese and Korean give each character and each pair of neighbours. A tag, mention
/// or name with signs gives itself and its bare word (`#news`, `new`); an e-mail address or `snake_case` name itself
/// and its parts; a URL its parts without the scheme.
pub fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::with_capacity(text.len() / 6);
    let mut last: Option<(usize, String)> = None;
    for token in tokens(text) {
        words_of(&token, &mut |word| {
            if token.kind == TokenKind::Character {
                let neighbour = last.as_ref().filter(|(end, _)| *end == word.range.start);
                terms.extend(neighbour.map(|(_, before)| format!("{before}{}", word.folded)));
                last = Some((word.range.end, word.folded.clone()));
                terms.push(word.folded);
            } else {
                word.push_terms(&mut terms);
            }
        });
    }
    terms
}

/// One word of a text: what phrases are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its bytes in the text.
    pub(crate) range: Range<usize>,
    /// Folded, not stemmed.
    pub(crate) folded: String,
    /// Folded, without its signs, where it has any.
    pub(crate) bare: Option<String>,
    /// The whole of which this is the first part: an e-mail address or `snake_case` name.
    pub(crate) whole: Option<String>,
    /// A token of one CJK character.
    pub(crate) is_character: bool,
}

impl Word {
    fn new(range: Range<usize>, folded: String) -> Self {
        Word {
            range,
            folded: cut(folded),
            bare: None,
            whole: None,
            is_character: false,
        }
    }

    /// Adds its terms, but for the pairs of characters, which need the neighbour.
    pub(crate) fn push_terms(&self, terms: &mut Vec<String>) {
        terms.extend(self.whole.clone());
        terms.push(stem(&self.folded).into_owned());
        terms.extend(self.bare.as_deref().map(|b| stem(b).into_owned()));
    }

    /// Whether `folded`, a word of a phrase, means this word.
    pub(crate) fn is(&self, folded: &str) -> bool {
        self.folded == folded || self.bare.as_deref() == Some(folded)
    }
}

/// The words of `text`, in order.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::with_capacity(text.len() / 6);
    for token in tokens(text) {
        words_of(&token, &mut |word| words.push(word));
    }
    words
}

fn words_of(token: &Token<'_>, push: &mut impl FnMut(Word)) {
    let range = token.range();
    match token.kind {
        TokenKind::Character => {
            let folded = fold(token.text);
            if !folded.is_empty() {
                push(Word {
                    is_character: true,
                    ..Word::new(range, folded)
                });
            }
        }
        TokenKind::Number => push(Word::new(range, fold(token.text))),
        TokenKind::Word => word(token, push),
        TokenKind::Symbolic | TokenKind::Mention | TokenKind::Hashtag => {
            let folded = fold(token.text);
            let bare = folded.trim_matches(['#', '@', '+', '.']).to_owned();
            push(Word {
                bare: (!bare.is_empty() && bare != folded).then(|| cut(bare)),
                ..Word::new(range, folded)
            });
        }
        TokenKind::Email => parts(token, 0, Some(fold(token.text)), push),
        TokenKind::Url => {
            let scheme = token.text.find("://").map_or(0, |i| i + 3);
            parts(token, scheme, None, push);
        }
    }
}

fn word(token: &Token<'_>, push: &mut impl FnMut(Word)) {
    let folded = if token.text.is_ascii() {
        fold(token.text)
    } else {
        fold(&fold_homoglyphs(token.text))
    };
    if token.text.contains('_') {
        parts(token, 0, Some(folded), push);
    } else if !folded.is_empty() {
        push(Word::new(token.range(), folded));
    }
}

/// The parts of an address or name from byte `from` on: its runs of letters and digits.
fn parts(token: &Token<'_>, from: usize, whole: Option<String>, push: &mut impl FnMut(Word)) {
    let mut whole = whole.map(cut);
    let is_part = |c: char| c.is_alphanumeric() || script_of(c) != crate::telesift_text::Script::Common;
    let mut start = None;
    for (i, c) in token.text.char_indices().chain([(token.text.len(), ' ')]) {
        match (i >= from && is_part(c), start) {
            (true, None) => start = Some(i),
            (false, Some(s)) => {
                start = None;
                let folded = fold(&token.text[s..i]);
                if !folded.is_empty() {
                    push(Word {
                        whole: whole.take(),
                        ..Word::new(token.start + s..token.start + i, folded)
                    });
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn cut(mut term: String) -> String {
    let end = cut_word(&term).len();
    term.truncate(end);
    term
}

pub(crate) fn cut_word(word: &str) -> &str {
    let mut end = word.len().min(MAX_TERM_BYTES);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    &word[..end]
}

}
mod tokens {

use std::{collections::VecDeque, ops::Range};

use unicode_segmentation::UnicodeSegmentation;

use crate::telesift_text::script::{Script, script_of};

mod special {

use super::{Class, Token, TokenKind, class};

/// The special token that starts at byte `at`, if one does.
pub(super) fn at(text: &str, at: usize) -> Option<Token<'_>> {
    let rest = &text[at..];
    let first = rest.as_bytes()[0];
    // Most characters can start none of these; decide on the first byte.
    if !(first.is_ascii_alphanumeric() || matches!(first, b'@' | b'#' | b'.' | b'+')) {
        return None;
    }
    if text[..at].chars().next_back().is_some_and(joins_left) {
        return None;
    }
    let (n_bytes, kind) = match first {
        b'@' => (1 + name(&rest[1..], 2)?, TokenKind::Mention),
        b'#' => (1 + tag(&rest[1..])?, TokenKind::Hashtag),
        b'.' => (1 + dotted(&text[..at], &rest[1..])?, TokenKind::Symbolic),
        b'+' => (1 + digits(&rest[1..])?, TokenKind::Symbolic),
        _ => address(rest)?,
    };
    Some(Token {
        text: &rest[..n_bytes],
        start: at,
        kind,
    })
}

/// How many bytes of signs after `word` belong to its name: `C++`, `C#`, `N+1`.
pub(super) fn trailing_signs(word: &str, rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if !matches!(bytes.first(), Some(b'+' | b'#'))
        || !word.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return 0;
    }
    let ends = |n: usize| {
        !rest[n..]
            .chars()
            .next()
            .is_some_and(|c| matches!(class(c), Class::Letter | Class::Digit))
    };
    let is_letters = word.bytes().all(|b| b.is_ascii_alphabetic());
    if rest.starts_with("++") && is_letters && ends(2) && !rest.starts_with("+++") {
        return 2;
    }
    if rest.starts_with('#') && word.len() == 1 && is_letters && ends(1) {
        return 1;
    }
    match digits(&rest[1..]) {
        Some(n) if bytes[0] == b'+' && word.len() <= 2 && ends(1 + n) => 1 + n,
        _ => 0,
    }
}

/// Whether a special token cannot start right after `c`.
fn joins_left(c: char) -> bool {
    matches!(
        class(c),
        Class::Letter | Class::Digit | Class::Underscore | Class::Extend | Class::Complex
    ) || matches!(c, '@' | '#' | '+' | '/')
}

fn digits(rest: &str) -> Option<usize> {
    let n = rest.bytes().take_while(u8::is_ascii_digit).count();
    (n > 0).then_some(n)
}

fn name(rest: &str, at_least: usize) -> Option<usize> {
    let n = rest
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    (n >= at_least).then_some(n)
}

fn tag(rest: &str) -> Option<usize> {
    let mut has_letter = false;
    let mut end = 0;
    for (i, c) in rest.char_indices() {
        match class(c) {
            Class::Digit | Class::Underscore | Class::Extend => {}
            Class::Letter | Class::Character => has_letter = true,
            Class::Complex => has_letter |= c.is_alphabetic(),
            Class::Apostrophe | Class::NumberSign | Class::Outside => break,
        }
        end = i + c.len_utf8();
    }
    has_letter.then_some(end)
}

/// `.NET`, `.env`: a point right before a Latin name, after a blank or bracket.
fn dotted(before: &str, rest: &str) -> Option<usize> {
    if !before
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '«' | '“' | '`' | '*'))
    {
        return None;
    }
    let n = name(rest, 2)?;
    let is_name = rest.as_bytes()[0].is_ascii_alphabetic();
    let ends = rest[n..]
        .chars()
        .next()
        .is_none_or(|c| class(c) != Class::Letter);
    (is_name && ends).then_some(n)
}

/// A URL or e-mail address.
fn address(rest: &str) -> Option<(usize, TokenKind)> {
    // Only ASCII leads to the signs that decide; nothing is scanned twice, since it fails at the first other byte.
    let stop = rest
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'%')))
        .unwrap_or(rest.len());
    let (head, tail) = rest.split_at(stop);
    if tail.starts_with("://") && head.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
        return url(rest, stop + 3).map(|n| (n, TokenKind::Url));
    }
    let is_www = head.len() > 4 && head.as_bytes()[..4].eq_ignore_ascii_case(b"www.");
    let is_t_me = tail.starts_with('/')
        && (head.eq_ignore_ascii_case("t.me") || head.eq_ignore_ascii_case("telegram.me"));
    if is_www || is_t_me {
        return url(rest, 4).map(|n| (n, TokenKind::Url));
    }
    if let Some(domain) = tail.strip_prefix('@') {
        let n = domain
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
            .count();
        let domain = domain[..n].trim_end_matches(['.', '-']);
        let has_tld = domain
            .rsplit_once('.')
            .is_some_and(|(host, tld)| !host.is_empty() && tld.len() >= 2);
        return has_tld.then_some((stop + 1 + domain.len(), TokenKind::Email));
    }
    None
}

/// The length of the URL whose host starts at `host`, without the punctuation that follows it in a sentence.
fn url(rest: &str, host: usize) -> Option<usize> {
    let end = rest[host..]
        .find(|c: char| c.is_whitespace() || c.is_control() || "<>\"«»“”„`|\\^{}".contains(c))
        .map_or(rest.len(), |i| host + i);
    let mut url = &rest[..end];
    loop {
        let before = url.len();
        url = url.trim_end_matches([
            '.', ',', ';', ':', '!', '?', '\'', '’', '*', '…', '，', '。',
        ]);
        for (open, close) in [('(', ')'), ('[', ']')] {
            if url.ends_with(close) && url.matches(open).count() < url.matches(close).count() {
                url = &url[..url.len() - 1];
            }
        }
        if url.len() == before {
            break;
        }
    }
    (url.len() > host).then_some(url.len())
}
}

/// A piece of text worth finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// As it stands in the text.
    pub text: &'a str,
    /// Byte offset of its first character.
    pub start: usize,
    /// What it is.
    pub kind: TokenKind,
}

impl Token<'_> {
    /// Its bytes in the text.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A word, digits in it or not.
    Word,
    /// Digits, with points and commas between them.
    Number,
    /// One Chinese, Japanese or Korean character.
    Character,
    /// A word with signs that are part of its name: `C++`, `C#`, `.NET`, `N+1`, `+1`.
    Symbolic,
    /// `https://…`, `www.…`, `t.me/…`.
    Url,
    /// `name@example.com`.
    Email,
    /// `@name`.
    Mention,
    /// `#tag`.
    Hashtag,
}

/// The tokens of `text`, in order; they never overlap.
///
/// Words follow UAX #29 with these differences: a point or colon between letters parts words (`end.Next`), signs stay
/// with the names they belong to (see [`TokenKind::Symbolic`]), addresses and tags stay whole, and Chinese, Japanese
/// and Korean are split per character.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens {
        text,
        at: 0,
        queue: VecDeque::new(),
    }
}

/// Iterator over [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    /// Everything before is done.
    at: usize,
    /// Words of a run that UAX #29 had to cut.
    queue: VecDeque<Token<'a>>,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(token) = self.queue.pop_front() {
            return Some(token);
        }
        while let Some(c) = self.text[self.at..].chars().next() {
            if let Some(token) = special::at(self.text, self.at) {
                self.at = token.range().end;
                return Some(token);
            }
            match class(c) {
                Class::Letter | Class::Digit | Class::Underscore => return Some(self.word()),
                Class::Character => {
                    let text = &self.text[self.at..self.at + c.len_utf8()];
                    return Some(self.take(text.len(), TokenKind::Character));
                }
                Class::Complex => {
                    self.cut_complex();
                    if let Some(token) = self.queue.pop_front() {
                        return Some(token);
                    }
                }
                Class::Extend | Class::Apostrophe | Class::NumberSign | Class::Outside => {
                    self.at += c.len_utf8();
                }
            }
        }
        None
    }
}

impl<'a> Tokens<'a> {
    fn take(&mut self, n_bytes: usize, kind: TokenKind) -> Token<'a> {
        let start = self.at;
        self.at += n_bytes;
        Token {
            text: &self.text[start..self.at],
            start,
            kind,
        }
    }

    /// A word of the scripts whose words are letters in a row: the rules WB5 to WB13 of UAX #29, at the speed of a scan.
    fn word(&mut self) -> Token<'a> {
        let rest = &self.text[self.at..];
        let mut end = 0;
        let mut n_letters = 0;
        let mut last = Class::Outside;
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            let this = class(c);
            let goes_on = match this {
                Class::Letter | Class::Digit | Class::Underscore | Class::Extend => true,
                Class::Apostrophe => last == Class::Letter && next_is(&chars, Class::Letter),
                Class::NumberSign => last == Class::Digit && next_is(&chars, Class::Digit),
                Class::Character | Class::Complex | Class::Outside => false,
            };
            if !goes_on {
                break;
            }
            n_letters += usize::from(this == Class::Letter);
            end += c.len_utf8();
            if this != Class::Extend {
                last = this;
            }
        }
        let signs = special::trailing_signs(&rest[..end], &rest[end..]);
        if signs > 0 {
            return self.take(end + signs, TokenKind::Symbolic);
        }
        let kind = if n_letters == 0 {
            TokenKind::Number
        } else {
            TokenKind::Word
        };
        self.take(end, kind)
    }

    /// Cuts a run of scripts with marks and joiners the way UAX #29 does.
    fn cut_complex(&mut self) {
        let rest = &self.text[self.at..];
        let n_bytes = rest
            .char_indices()
            .find(|&(_, c)| !matches!(class(c), Class::Complex | Class::Extend | Class::Digit))
            .map_or(rest.len(), |(i, _)| i);
        let start = self.at;
        for (i, word) in rest[..n_bytes].unicode_word_indices() {
            self.queue.push_back(Token {
                text: word,
                start: start + i,
                kind: TokenKind::Word,
            });
        }
        self.at += n_bytes;
    }
}

fn next_is(chars: &std::str::Chars<'_>, wanted: Class) -> bool {
    chars.clone().next().is_some_and(|c| class(c) == wanted)
}

/// What a character does to the word it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A letter of a script whose words are letters in a row.
    Letter,
    Digit,
    Underscore,
    /// Joins two letters.
    Apostrophe,
    /// Joins two digits.
    NumberSign,
    /// Belongs to the character before it, or to nothing: combining marks, soft hyphens, zero-width joiners.
    Extend,
    /// A token by itself.
    Character,
    /// Left to UAX #29.
    Complex,
    Outside,
}

#[inline]
fn class(c: char) -> Class {
    match COMMON_CLASSES.get(c as usize) {
        Some(Some(class)) => *class,
        _ => any_class(c),
    }
}

/// The classes of the first characters of Unicode, as in [`crate::telesift_text::script_of`]; `None` is left to [`any_class`].
static COMMON_CLASSES: [Option<Class>; 0x530] = {
    let mut classes = [None; 0x530];
    let mut c = 0;
    while c < classes.len() {
        classes[c] = match c as u32 {
            0x41..=0x5a | 0x61..=0x7a => Some(Class::Letter),
            0x30..=0x39 => Some(Class::Digit),
            0x5f => Some(Class::Underscore),
            0x27 | 0x60 => Some(Class::Apostrophe),
            0x2c | 0x2e => Some(Class::NumberSign),
            0xb2 | 0xb3 | 0xb9 | 0xbc..=0xbe => Some(Class::Complex),
            0xad => Some(Class::Extend),
            0xaa | 0xba | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0x2b8 => Some(Class::Letter),
            0..=0xff => Some(Class::Outside),
            0x400..=0x481 | 0x48a..=0x52f => Some(Class::Letter),
            _ => None,
        };
        c += 1;
    }
    classes
};

fn any_class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Digit,
        '_' => Class::Underscore,
        '\'' | '’' | 'ʼ' | '‘' | '`' | '＇' => Class::Apostrophe,
        '.' | ',' => Class::NumberSign,
        '\0'..='\u{7f}' => Class::Outside,
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => Class::Extend,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{fe00}'..='\u{fe0f}' => Class::Extend,
        _ => match script_of(c) {
            Script::Latin | Script::Cyrillic | Script::Greek => Class::Letter,
            script if script.is_per_character() => Class::Character,
            Script::Common if !c.is_numeric() => Class::Outside,
            _ => Class::Complex,
        },
    }
}

}
mod topical {

use std::ops::Range;

use crate::telesift_text::{
    fold::fold,
    homoglyph::fold_homoglyphs,
    query::function_words::is_function_word,
    stem::stem,
    terms::{cut, cut_word},
    tokens::{Token, TokenKind, tokens},
};

/// Shorter words are mostly grammar.
const MIN_CHARS: usize = 3;
/// More terms of one text do not count: it is a list or a flood.
const MAX_TERMS: usize = 64;

/// The terms of `text` that trends and bursts count, each once, in the order they first appear; none holds white space.
///
/// Stems of words of three characters and more that are not grammar; tags and mentions whole, with their sign; names with
/// signs (`c++`); of Chinese, Japanese and Korean pairs of neighbours. Numbers, links and addresses are left out, and what
/// comes after the 64th term.
pub fn topical_terms(text: &str) -> Vec<String> {
    let found = topical_words(text).into_iter();
    found.map(|topical| topical.term).collect()
}

/// A term, and the word of the text it first stands as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topical<'a> {
    /// As it is counted.
    pub term: String,
    /// As it is written, without white space; what is too long for a word is cut.
    pub word: &'a str,
}

/// [`topical_terms`] with the words they stand for: what a person is shown of a term.
pub fn topical_words(text: &str) -> Vec<Topical<'_>> {
    let mut found: Vec<Topical<'_>> = Vec::with_capacity(16);
    let mut last: Option<(Range<usize>, String)> = None;
    for token in tokens(text) {
        let mut start = token.start;
        let term = match token.kind {
            TokenKind::Character => pair(&token, &mut last).map(|(term, from)| {
                start = from;
                term
            }),
            TokenKind::Word => word(&token),
            TokenKind::Hashtag | TokenKind::Mention | TokenKind::Symbolic => tag(&token),
            TokenKind::Number | TokenKind::Url | TokenKind::Email => None,
        };
        let term = term.filter(|term| !found.iter().any(|known| known.term == *term));
        let word = cut_word(&text[start..token.range().end]);
        found.extend(term.map(|term| Topical { term, word }));
        if found.len() == MAX_TERMS {
            break;
        }
    }
    found
}

fn word(token: &Token<'_>) -> Option<String> {
    let folded = match token.text.is_ascii() {
        true => fold(token.text),
        false => fold(&fold_homoglyphs(token.text)),
    };
    let says_something = folded.chars().nth(MIN_CHARS - 1).is_some()
        && folded.chars().any(char::is_alphabetic)
        && !is_function_word(&folded);
    says_something.then(|| cut(stem(&folded).into_owned()))
}

fn tag(token: &Token<'_>) -> Option<String> {
    let folded = fold(token.text);
    folded.chars().any(char::is_alphabetic).then(|| cut(folded))
}

/// This character with the one before it, if they touch, and where that begins.
fn pair(token: &Token<'_>, last: &mut Option<(Range<usize>, String)>) -> Option<(String, usize)> {
    let folded = fold(token.text);
    if folded.is_empty() {
        return None;
    }
    let before = last.take().filter(|(range, _)| range.end == token.start);
    let pair = before.map(|(range, before)| (format!("{before}{folded}"), range.start));
    *last = Some((token.range(), folded));
    pair
}

}

pub use fold::{fold, fold_into};
pub use homoglyph::fold_homoglyphs;
pub use query::{Query, Unit};
pub use script::{Script, script_of};
pub use stem::stem;
pub use terms::terms;
pub use tokens::{Token, TokenKind, Tokens, tokens};
pub use topical::{Topical, topical_terms, topical_words};
}
