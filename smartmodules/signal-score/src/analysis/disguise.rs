//! Tokens in, words as they are meant out: look-alike letters put back, spaced-out letters and signs for letters joined.

use std::{borrow::Cow, iter::Peekable};

use telesift_text::{Script, Token, TokenKind, Tokens, fold_homoglyphs, script_of, tokens};

/// A token, its disguise taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// As it stands in the text.
    pub(crate) source: &'a str,
    /// Where that begins, in bytes.
    pub(crate) start: usize,
    /// As it is meant; for what is no word, the source.
    pub(crate) word: Cow<'a, str>,
    pub(crate) kind: TokenKind,
    pub(crate) is_disguised: bool,
}

/// The pieces of a text, in order.
pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces {
        text,
        tokens: tokens(text).peekable(),
        held: Vec::new(),
    }
}

pub(crate) struct Pieces<'a> {
    text: &'a str,
    tokens: Peekable<Tokens<'a>>,
    /// Tokens read ahead that turned out to stand for themselves, last first.
    held: Vec<Token<'a>>,
}

/// Letters in a row, each for itself, that make a word: fewer are words of one letter that happen to meet.
const MIN_SPACED: usize = 4;
/// Characters between two spaced-out letters.
const MAX_GAP: usize = 3;

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let held = self.held.pop();
        let was_held = held.is_some();
        let token = held.or_else(|| self.tokens.next())?;
        if token.kind != TokenKind::Word {
            return Some(Piece {
                source: token.text,
                start: token.start,
                word: Cow::Borrowed(token.text),
                kind: token.kind,
                is_disguised: false,
            });
        }
        if !was_held
            && is_one_letter(token.text)
            && let Some(joined) = self.spaced_out(token)
        {
            return Some(joined);
        }
        if self.held.is_empty()
            && let Some(joined) = self.with_signs(token)
        {
            return Some(joined);
        }
        let word = mend(token.text);
        Some(Piece {
            source: token.text,
            start: token.start,
            is_disguised: matches!(word, Cow::Owned(_)),
            word,
            kind: token.kind,
        })
    }
}

impl<'a> Pieces<'a> {
    /// `р а б о т а`, `к.а.з.и.н.о`, letters with emoji between: one word, if the gaps are alike.
    fn spaced_out(&mut self, first: Token<'a>) -> Option<Piece<'a>> {
        let mut run = vec![first];
        let mut gap: Option<usize> = None;
        while let Some(next) = self.tokens.peek().copied() {
            let end = run.last().map_or(0, |t| t.range().end);
            let between = &self.text[end..next.start];
            let n_between = between.chars().filter(|c| !is_joiner(*c)).count();
            let goes_on = next.kind == TokenKind::Word
                && is_one_letter(next.text)
                && (1..=MAX_GAP).contains(&n_between)
                && *gap.get_or_insert(n_between) == n_between
                && !between.contains('\n');
            if !goes_on {
                break;
            }
            run.push(next);
            self.tokens.next();
        }
        if run.len() < MIN_SPACED {
            self.held.extend(run.drain(1..).rev());
            return None;
        }
        let end = run.last().map_or(0, |t| t.range().end);
        let letters: String = run.iter().map(|t| t.text).collect();
        Some(Piece {
            source: &self.text[first.start..end],
            start: first.start,
            word: Cow::Owned(mend(&letters).into_owned()),
            kind: TokenKind::Word,
            is_disguised: true,
        })
    }

    /// `опл@та`: a sign that stands for a letter between Cyrillic ones.
    fn with_signs(&mut self, first: Token<'a>) -> Option<Piece<'a>> {
        let mut end = first.range().end;
        let mut word: Option<String> = None;
        while self.text[end..].starts_with('@') && ends_cyrillic(&self.text[..end]) {
            let Some(next) = self.tokens.peek().copied() else {
                break;
            };
            if next.kind != TokenKind::Word || next.start != end + 1 {
                break;
            }
            let word = word.get_or_insert_with(|| first.text.to_owned());
            word.push('а');
            word.push_str(next.text);
            end = next.range().end;
            self.tokens.next();
        }
        word.map(|word| Piece {
            source: &self.text[first.start..end],
            start: first.start,
            word: Cow::Owned(mend(&word).into_owned()),
            kind: TokenKind::Word,
            is_disguised: true,
        })
    }
}

/// The word with look-alike letters put back. A word of one script needs none: that is nearly every word, and told by its
/// bytes.
fn mend(word: &str) -> Cow<'_, str> {
    let has_ascii = word.bytes().any(|b| b.is_ascii_alphanumeric());
    if has_ascii && !word.is_ascii() {
        fold_homoglyphs(word)
    } else {
        Cow::Borrowed(word)
    }
}

fn is_one_letter(word: &str) -> bool {
    let mut chars = word.chars();
    let first = chars.next();
    chars.next().is_none() && first.is_some_and(char::is_alphabetic)
}

/// Belongs to an emoji and takes no room of its own.
fn is_joiner(c: char) -> bool {
    matches!(
        c,
        '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'
    )
}

fn ends_cyrillic(text: &str) -> bool {
    text.chars()
        .next_back()
        .is_some_and(|c| script_of(c) == Script::Cyrillic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        pieces(text).map(|piece| piece.word.into_owned()).collect()
    }

    #[test]
    fn disguises_come_off() {
        assert_eq!(words("Р а б о т а на дому"), ["Работа", "на", "дому"]);
        assert_eq!(words("К.А.З.И.Н.О тут"), ["КАЗИНО", "тут"]);
        assert_eq!(words("к🔥а🔥з🔥и🔥н🔥о"), ["казино"]);
        assert_eq!(
            words("З@работок без опл@ты"),
            ["Заработок", "без", "оплаты"]
        );
        assert_eq!(words("зapaбoткa"), ["заработка"]);
        assert_eq!(words("f r e e money"), ["free", "money"]);
    }

    #[test]
    fn plain_words_stay_apart() {
        for text in [
            "я і в 1",
            "а б в",
            "план А і Б",
            "v 1 a",
            "A\nB\nC\nD",
            "почта a@b.example",
        ] {
            let plain: Vec<&str> = tokens(text).map(|t| t.text).collect();
            assert_eq!(words(text), plain, "{text}");
        }
    }

    #[test]
    fn two_words_spaced_out_stay_two() {
        assert_eq!(words("р а б о т а   д о м а"), ["работа", "дома"]);
    }

    #[test]
    fn every_token_is_read_once_and_in_order() {
        for text in [
            "а б",
            "а б в г ґ",
            "a b c слово d e f g",
            "x @y z",
            "к@з@но",
            "а@",
            "@а б",
        ] {
            let mut end = 0;
            for piece in pieces(text) {
                let at = text[end..].find(piece.source).expect("in order");
                end += at + piece.source.len();
            }
        }
    }
}
