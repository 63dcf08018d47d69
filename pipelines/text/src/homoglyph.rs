//! Letters that look alike across scripts, put back: spam writes `зapaбoткa` with Latin letters.

use std::borrow::Cow;

use crate::script::{Script, script_of};

/// The word with look-alike letters put back, if it mixes Latin and Cyrillic and every letter of one script has a
/// look-alike in the other (where both could be, the script of most letters wins). In Cyrillic words `0` and `3`
/// between letters become `о` and `з`. Words that do not mix come back unchanged, and so do honest mixtures such as
/// `iPhoneом`.
pub fn fold_homoglyphs(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let (mut n_latin, mut n_cyrillic, mut has_digit) = (0, 0, false);
    for c in word.chars() {
        match script_of(c) {
            Script::Latin => n_latin += 1,
            Script::Cyrillic => n_cyrillic += 1,
            _ => has_digit |= c == '0' || c == '3',
        }
    }
    if n_cyrillic == 0 || (n_latin == 0 && !has_digit) {
        return Cow::Borrowed(word);
    }
    let mostly_cyrillic = n_cyrillic >= n_latin;
    let cyrillic_for = if mostly_cyrillic {
        loosely_cyrillic_for
    } else {
        cyrillic_for
    };
    let cyrillic = fold_to(word, Script::Latin, cyrillic_for).map(|w| digits_to_letters(&w));
    let latin = fold_to(word, Script::Cyrillic, latin_for);
    let folded = if mostly_cyrillic {
        cyrillic.or(latin)
    } else {
        latin.or(cyrillic)
    };
    folded.map_or(Cow::Borrowed(word), Cow::Owned)
}

fn fold_to(word: &str, strange: Script, look_alike: fn(char) -> Option<char>) -> Option<String> {
    word.chars()
        .map(|c| {
            if script_of(c) == strange {
                look_alike(c)
            } else {
                Some(c)
            }
        })
        .collect()
}

fn digits_to_letters(word: &str) -> String {
    let chars: Vec<char> = word.chars().collect();
    let is_letter = |i: Option<usize>| {
        i.and_then(|i| chars.get(i))
            .is_some_and(|&c| script_of(c) == Script::Cyrillic)
    };
    chars
        .iter()
        .enumerate()
        .map(|(i, &c)| match c {
            '0' | '3' if is_letter(i.checked_sub(1)) && is_letter(Some(i + 1)) => {
                if c == '0' {
                    'о'
                } else {
                    'з'
                }
            }
            _ => c,
        })
        .collect()
}

fn cyrillic_for(c: char) -> Option<char> {
    EXACT.iter().find(|p| p.0 == c).map(|p| p.1)
}

fn loosely_cyrillic_for(c: char) -> Option<char> {
    let mut pairs = EXACT.iter().chain(SIMILAR);
    pairs.find(|p| p.0 == c).map(|p| p.1)
}

fn latin_for(c: char) -> Option<char> {
    EXACT.iter().find(|p| p.1 == c).map(|p| p.0)
}

/// (Latin, Cyrillic) that most fonts draw alike: the confusables of Unicode TR39.
const EXACT: &[(char, char)] = &[
    ('a', 'а'),
    ('c', 'с'),
    ('e', 'е'),
    ('i', 'і'),
    ('j', 'ј'),
    ('o', 'о'),
    ('p', 'р'),
    ('s', 'ѕ'),
    ('x', 'х'),
    ('y', 'у'),
    ('h', 'һ'),
    ('ï', 'ї'),
    ('ë', 'ё'),
    ('A', 'А'),
    ('B', 'В'),
    ('C', 'С'),
    ('E', 'Е'),
    ('H', 'Н'),
    ('I', 'І'),
    ('K', 'К'),
    ('M', 'М'),
    ('O', 'О'),
    ('P', 'Р'),
    ('T', 'Т'),
    ('X', 'Х'),
    ('Y', 'У'),
    ('Ï', 'Ї'),
    ('Ë', 'Ё'),
];

/// Pairs only a hurried reader takes for each other; they count towards Cyrillic, where spam uses them.
const SIMILAR: &[(char, char)] = &[
    ('k', 'к'),
    ('m', 'м'),
    ('r', 'г'),
    ('u', 'и'),
    ('n', 'п'),
    ('b', 'ь'),
    ('t', 'т'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_put_back() {
        for (word, folded) in [
            ("зapaбoткa", "заработка"),
            ("ПPИВET", "ПРИВЕТ"),
            ("зараб0ток", "заработок"),
            ("раssword", "password"),
            ("пaccивнo", "пассивно"),
            ("вітaю", "вітаю"),
        ] {
            assert_eq!(fold_homoglyphs(word), folded, "{word}");
        }
    }

    #[test]
    fn honest_words_stay() {
        for word in [
            "заработок",
            "income",
            "iPhoneом",
            "Су30",
            "2030",
            "café",
            "VPNом",
            "SMSка",
        ] {
            assert_eq!(fold_homoglyphs(word), word);
        }
    }
}
