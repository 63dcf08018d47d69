//! One spelling per word: case, width, diacritics, apostrophes and the letters people write for each other.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::script::{Script, script_of};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_word_fold_alike() {
        for (word, folded) in [
            ("Deploy", "deploy"),
            ("user's", "user"),
            ("user’s", "user"),
            ("don't", "dont"),
            ("l’homme", "homme"),
            ("Straße", "strasse"),
            ("café", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("Łódź", "lodz"),
            ("İstanbul", "istanbul"),
            ("ＡＢＣ１", "abc1"),
            ("ﬁne", "fine"),
            ("Ёлка", "елка"),
            ("ЇЖАК", "їжак"),
            ("Йод", "йод"),
            ("и\u{306}од", "йод"),
            ("за́мок", "замок"),
            ("Ґанок", "ганок"),
            ("м'ята", "мята"),
            ("м’ята", "мята"),
            ("мʼята", "мята"),
            ("зара\u{200b}боток", "заработок"),
            ("ўсё", "ўсе"),
            ("السَّلامُ", "السلام"),
            ("أحمد", "احمد"),
            ("آخر", "اخر"),
            ("مدرسة", "مدرسه"),
            ("على", "علي"),
            ("کتاب", "كتاب"),
            ("٢٠٢٦", "2026"),
            ("שָׁלוֹם", "שלום"),
            ("Σίσυφος", "σισυφοσ"),
            ("가", "가"),
        ] {
            assert_eq!(fold(word), folded, "{word}");
            assert_eq!(fold(folded), folded, "folding twice changes {word}");
        }
    }
}
