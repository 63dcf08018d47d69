//! Which script a character is of, coarsely: as much as tokens, stems and language need.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_script_a_reader_would_name() {
        for (text, script) in [
            ("aZéłẞﬁ", Script::Latin),
            ("яїґёў", Script::Cyrillic),
            ("λ", Script::Greek),
            ("عپچـَ", Script::Arabic),
            ("ש", Script::Hebrew),
            ("हि", Script::Devanagari),
            ("数々", Script::Han),
            ("ひカー", Script::Kana),
            ("한", Script::Hangul),
            ("ไ", Script::Other),
            ("1 .,!?«»—٣،👍", Script::Common),
        ] {
            for c in text.chars() {
                assert_eq!(script_of(c), script, "{c:?}");
            }
        }
    }

    #[test]
    fn the_table_says_what_the_ranges_say() {
        for c in (0..0x600).filter_map(char::from_u32) {
            assert_eq!(script_of(c), any_script_of(c), "{c:?}");
        }
    }
}
