//! A text to its story signature: an exact hash of what it says, and a sketch that shows how much of it another repeats.

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    fold::{fold, fold_into},
    homoglyph::fold_homoglyphs,
    query::function_words::is_function_word,
    tokens::{Token, TokenKind, tokens},
};

mod codec;
mod footer;
mod link;
mod sketch;

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

#[cfg(test)]
mod tests;
