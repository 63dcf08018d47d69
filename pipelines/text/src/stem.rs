//! Stems by the script of the word, never by a detected language, so that index and query cannot disagree.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

use crate::script::{Script, script_of};

mod arabic;
mod cyrillic;

/// The stem of a [folded](crate::fold) word: Russian and Ukrainian by one joint light stemmer, Latin by the English
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

#[cfg(test)]
mod tests;
