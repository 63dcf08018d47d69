//! Text to index terms, and the words and phrases a query is matched with: the one analysis all others use.

use std::ops::Range;

use crate::{
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
    let is_part = |c: char| c.is_alphanumeric() || script_of(c) != crate::Script::Common;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_give_the_terms_a_search_needs() {
        for (text, expected) in [
            ("Deployed the servers", &["deploy", "the", "server"][..]),
            ("数据库", &["数", "数据", "据", "据库", "库"]),
            ("C# N+1", &["c#", "c", "n+1"]),
            (".NET", &[".net", "net"]),
            ("#news @Olena", &["#news", "news", "@olena", "olena"]),
            (
                "a.b@example.com",
                &["a.b@example.com", "a", "b", "exampl", "com"],
            ),
            ("user_id", &["user_id", "user", "id"]),
            ("https://t.me/chan/5", &["t", "me", "chan", "5"]),
            ("!!! 👍", &[]),
        ] {
            let terms = terms(text);
            assert_eq!(terms, expected, "{text}");
        }
    }

    #[test]
    fn repeats_are_kept_and_long_words_too() {
        assert_eq!(terms("так так"), ["так", "так"]);
        let long = "надзвичайнодовжелезнеслово".repeat(30);
        let terms = terms(&long);
        assert_eq!(terms.len(), 1);
        assert!((200..=256).contains(&terms[0].len()));
    }

    #[test]
    fn no_term_holds_white_space() {
        for c in (0..=0x10ffffu32).filter_map(char::from_u32) {
            for term in terms(&format!("a{c}b #{c}")) {
                assert!(
                    !term.contains(char::is_whitespace) && !term.is_empty(),
                    "{c:?}"
                );
            }
        }
    }
}
