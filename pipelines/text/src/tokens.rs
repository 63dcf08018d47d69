//! Text to tokens with their byte ranges: words by UAX #29, except where chat text wants more of one.

use std::{collections::VecDeque, ops::Range};

use unicode_segmentation::UnicodeSegmentation;

use crate::script::{Script, script_of};

mod special;

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

/// The classes of the first characters of Unicode, as in [`crate::script_of`]; `None` is left to [`any_class`].
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

#[cfg(test)]
mod tests;
