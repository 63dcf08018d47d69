//! Letters that only some languages of a script use.

use crate::script::Script;

type Points = &'static [(&'static str, f32)];

/// For which Cyrillic languages the lower-case letter speaks, and against which.
pub(super) fn cyrillic(c: char) -> Points {
    match c {
        'і' => &[("uk", 1.5), ("be", 1.0), ("kk", 0.3)],
        'ї' => &[("uk", 2.5)],
        'є' => &[("uk", 2.5)],
        'ґ' => &[("uk", 3.0)],
        '\'' => &[("uk", 0.5), ("be", 0.3)],
        'ў' => &[("be", 3.0)],
        'ы' => &[
            ("ru", 1.5),
            ("be", 1.0),
            ("bg", -2.0),
            ("sr", -2.0),
            ("kk", 0.3),
        ],
        'э' => &[("ru", 1.2), ("be", 1.0), ("bg", -2.0), ("sr", -2.0)],
        'ё' => &[("ru", 1.5), ("be", 1.0), ("bg", -2.0)],
        'ъ' => &[("bg", 1.2), ("ru", 0.4)],
        'и' => &[("be", -2.0), ("uk", 0.02), ("ru", 0.02)],
        'щ' => &[("be", -2.0), ("sr", -1.0), ("mk", -1.0)],
        'й' | 'я' | 'ю' => &[("sr", -1.0), ("mk", -1.0)],
        'ђ' | 'ћ' => &[("sr", 3.0)],
        'ј' | 'љ' | 'њ' | 'џ' => &[("sr", 2.0), ("mk", 1.5)],
        'ѓ' | 'ќ' | 'ѕ' => &[("mk", 3.5)],
        'ә' | 'ғ' | 'қ' | 'ң' | 'ө' | 'ұ' | 'ү' | 'һ' => &[("kk", 3.0)],
        _ => &[],
    }
}

/// The same for Latin.
pub(super) fn latin(c: char) -> Points {
    match c {
        'a'..='z' => &[],
        'ą' | 'ę' | 'ł' | 'ń' | 'ś' | 'ź' | 'ż' | 'ć' => &[("pl", 1.5)],
        'ó' => &[("pl", 0.5), ("es", 0.5), ("pt", 0.3), ("cs", 0.2)],
        'ß' => &[("de", 2.5)],
        'ä' => &[("de", 0.8), ("sv", 0.6)],
        'ö' => &[("de", 0.6), ("tr", 0.5), ("sv", 0.6)],
        'ü' => &[("de", 0.7), ("tr", 0.6)],
        'å' => &[("sv", 1.5)],
        'ñ' => &[("es", 2.0)],
        'á' | 'í' | 'ú' => &[("es", 0.5), ("pt", 0.4), ("cs", 0.5), ("vi", 0.1)],
        'é' => &[("fr", 0.7), ("es", 0.5), ("pt", 0.3), ("cs", 0.3)],
        'è' | 'à' => &[("fr", 0.7), ("it", 0.7)],
        'ì' | 'ò' | 'ù' => &[("it", 1.0)],
        'ê' | 'ç' => &[("fr", 0.7), ("pt", 0.6), ("tr", 0.3)],
        'ë' | 'ï' | 'œ' | 'û' | 'ô' => &[("fr", 1.0), ("nl", 0.3)],
        'î' => &[("fr", 0.8), ("ro", 0.8)],
        'â' => &[("fr", 0.6), ("ro", 0.8), ("pt", 0.4), ("vi", 0.3)],
        'ã' | 'õ' => &[("pt", 2.0)],
        'ğ' | 'ş' | 'ı' => &[("tr", 2.0)],
        'ě' | 'ř' | 'ů' | 'č' | 'š' | 'ž' | 'ý' => &[("cs", 1.2)],
        'ă' => &[("ro", 1.0), ("vi", 0.6)],
        'ș' | 'ț' | 'ţ' => &[("ro", 2.0)],
        'đ' | 'ơ' | 'ư' | '\u{1ea0}'..='\u{1ef9}' => &[("vi", 1.5)],
        _ => &[],
    }
}

/// Arabic, Persian or Urdu, by the letters only they use.
pub(super) fn arabic(text: &str) -> &'static str {
    let (mut ar, mut fa, mut ur) = (0u32, 0u32, 0u32);
    for c in text.chars() {
        match c {
            'ة' | 'ى' | 'ك' | 'ي' | 'أ' | 'إ' => ar += 1,
            'پ' | 'چ' | 'ژ' | 'گ' | 'ک' | 'ی' => fa += 1,
            'ٹ' | 'ڈ' | 'ڑ' | 'ے' | 'ں' | 'ہ' | 'ھ' => ur += 1,
            _ => {}
        }
    }
    if ur * 3 > fa && ur > ar {
        "ur"
    } else if fa > ar {
        "fa"
    } else {
        "ar"
    }
}

/// The language of a script that (nearly) only one language is written in.
pub(super) fn only_language(c: char, script: Script) -> Option<&'static str> {
    match script {
        Script::Hangul => Some("ko"),
        Script::Hebrew => Some("he"),
        Script::Devanagari => Some("hi"),
        Script::Greek => Some("el"),
        Script::Other => match c {
            '\u{e00}'..='\u{e7f}' => Some("th"),
            '\u{10a0}'..='\u{10ff}' => Some("ka"),
            '\u{530}'..='\u{58f}' => Some("hy"),
            _ => Some(super::UNDETERMINED),
        },
        _ => None,
    }
}
