//! The form of a text: one pass over its characters, one over its lines.

use super::{Analysis, bare_code::is_bare_code};

impl Analysis {
    pub(super) fn read_form(&mut self, text: &str) {
        self.read_characters(text);
        self.read_code(text);
        self.n_list_items = text.lines().filter(|line| is_list_item(line)).count() as u32;
    }

    fn read_characters(&mut self, text: &str) {
        let (mut last, mut run) = ('\0', 0);
        // What stood last before `last`, if that is a blank within a sentence.
        let mut before = '\0';
        let mut is_beginning = false;
        for c in text.chars() {
            if c == last {
                run += 1;
                if run == 3 && c.is_alphabetic() {
                    self.n_drawn_out += 1;
                }
            } else {
                if c == ' ' {
                    before = last;
                }
                self.n_names += u32::from(is_beginning && is_small(c));
                is_beginning = last == ' ' && goes_on(before) && is_capital(c);
                (last, run) = (c, 1);
            }
            match c {
                'a'..='z' | '\u{430}'..='\u{45f}' => self.n_lower += 1,
                ' ' | '\n' | '\r' | '\t' => continue,
                'A'..='Z' | '\u{400}'..='\u{42f}' => self.n_upper += 1,
                '?' | '？' | '؟' => self.has_question = true,
                '$' | '€' | '₴' | '₽' | '£' => self.has_currency = true,
                '\0'..='\u{7f}' => {}
                _ if is_invisible(c) => continue,
                _ if is_emoji(c) => self.n_emoji += 1,
                _ => {
                    self.n_upper += u32::from(c.is_uppercase());
                    self.n_lower += u32::from(c.is_lowercase());
                }
            }
            self.n_visible += 1;
        }
    }

    /// Signs of code: quoted code, calls, paths of names, braces at line ends, stack traces.
    fn read_code(&mut self, text: &str) {
        const TRACES: [&[u8]; 5] = [
            b"Traceback (most recent",
            b"\n    at ",
            b"\n\tat ",
            b"panicked at",
            b"Exception:",
        ];
        let bytes = text.as_bytes();
        let (mut n_ticks, mut traces) = (0, [false; TRACES.len()]);
        let mut before = b' ';
        for (at, &byte) in bytes.iter().enumerate() {
            // Most bytes are letters outside of ASCII or blanks, and no sign ends with one.
            let is_sign = match (before, byte) {
                (b'(', b')') | (b':', b':') | (b'=', b'>' | b'=') | (b'!', b'=') => true,
                (b'&', b'&') | (b'|', b'|') | (b'{', b'\n') | (b')' | b'}', b';') => true,
                (_, b'(') => before.is_ascii_alphanumeric(),
                _ => false,
            };
            self.n_code += u32::from(is_sign);
            n_ticks += u32::from(byte == b'`');
            if matches!(byte, b'T' | b'\n' | b'p' | b'E') {
                for (trace, is_there) in TRACES.iter().zip(&mut traces) {
                    *is_there |= bytes[at..].starts_with(trace);
                }
            }
            before = byte;
        }
        let n_traces = traces.iter().filter(|is_there| **is_there).count() as u32;
        self.n_code += n_ticks / 2 + n_traces;
        // A trace tells of an error by itself.
        self.is_bare_code = self.n_code > 0 && n_traces == 0 && is_bare_code(text);
    }
}

/// Whether a sentence goes on after the character and a blank.
fn goes_on(c: char) -> bool {
    is_small(c) || matches!(c, ',' | '0'..='9')
}

fn is_small(c: char) -> bool {
    matches!(c, 'a'..='z' | '\u{430}'..='\u{45f}' | '\u{491}')
}

fn is_capital(c: char) -> bool {
    matches!(c, 'A'..='Z' | '\u{400}'..='\u{42f}' | '\u{490}')
}

fn is_list_item(line: &str) -> bool {
    let line = line.trim_start();
    let Some(first) = line.chars().next() else {
        return false;
    };
    if first.is_ascii_digit() {
        let after = line.trim_start_matches(|c: char| c.is_ascii_digit());
        return after.starts_with(". ") || after.starts_with(") ");
    }
    let after = &line[first.len_utf8()..];
    matches!(first, '-' | '•' | '*' | '—' | '–' | '▪' | '◦' | '·') && after.starts_with(' ')
}

/// Pictures, and the signs people send as such.
pub(crate) fn is_emoji(c: char) -> bool {
    matches!(c as u32, 0x1f000..=0x1faff | 0x2600..=0x27bf | 0x2b00..=0x2bff | 0x2300..=0x23ff | 0x3030 | 0x303d)
}

/// Takes no room: variation selectors, joiners, tags, marks of direction.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c as u32, 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe01ef | 0x3164 | 0x2800)
}
