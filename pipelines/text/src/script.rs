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
pub fn script_of(c: char) -> Script {
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
}
