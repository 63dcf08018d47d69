//! A text to the terms that may trend: what it is about, without grammar, numbers and addresses.

use std::ops::Range;

use crate::{
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_is_about_is_left() {
        for (text, expected) in [
            (
                "Deployed the servers and the SERVERS",
                &["deploy", "server"][..],
            ),
            ("Що там на мосту? Міст закрито", &["мост", "закрит"]),
            ("数据库", &["数据", "据库"]),
            ("C++ #News @Olena news", &["c++", "#news", "@olena", "news"]),
            ("https://t.me/chan/5 a.b@example.com 1,500", &[]),
            ("!!! 👍 ок", &[]),
            ("", &[]),
        ] {
            assert_eq!(topical_terms(text), expected, "{text}");
        }
    }

    #[test]
    fn a_term_knows_the_word_it_stands_for() {
        for (text, expected) in [
            (
                "Що на мосту? Міст закрито",
                &[("мост", "мосту"), ("закрит", "закрито")][..],
            ),
            ("THE Servers", &[("server", "Servers")]),
            ("#News @Olena", &[("#news", "#News"), ("@olena", "@Olena")]),
            ("数据库", &[("数据", "数据"), ("据库", "据库")]),
        ] {
            let found = topical_words(text);
            let found: Vec<(&str, &str)> =
                found.iter().map(|t| (t.term.as_str(), t.word)).collect();
            assert_eq!(found, expected, "{text}");
        }
        let long = "довге".repeat(1_000);
        let [only] = &topical_words(&long)[..] else {
            panic!("one word is one term");
        };
        assert!(only.word.len() < 300 && long.starts_with(only.word));
    }

    #[test]
    fn a_list_is_cut() {
        let many: String = (0..500).map(|i| format!("слово{i}x ")).collect();
        assert_eq!(topical_terms(&many).len(), MAX_TERMS);
    }

    #[test]
    fn no_term_holds_white_space_or_nothing() {
        for c in (0..=0x10ffffu32).filter_map(char::from_u32) {
            for Topical { term, word } in topical_words(&format!("abc{c}bcd #{c}tag {c}{c}")) {
                let is_whole = |w: &str| !w.is_empty() && !w.contains(char::is_whitespace);
                assert!(is_whole(&term) && is_whole(word), "{c:?}");
            }
        }
    }
}
