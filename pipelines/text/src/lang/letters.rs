//! Letters that only some languages of a script use.

use super::profile::{Language::*, Points};
use crate::script::Script;

/// For which Cyrillic languages the lower-case letter speaks, and against which.
pub(super) fn cyrillic(c: char) -> Points {
    match c {
        'і' => &[(Uk, 1.5), (Be, 1.0), (Kk, 0.3)],
        'ї' => &[(Uk, 2.5)],
        'є' => &[(Uk, 2.5)],
        'ґ' => &[(Uk, 3.0)],
        '\'' => &[(Uk, 0.5), (Be, 0.3)],
        'ў' => &[(Be, 3.0)],
        'ы' => &[(Ru, 1.5), (Be, 1.0), (Bg, -2.0), (Sr, -2.0), (Kk, 0.3)],
        'э' => &[(Ru, 1.2), (Be, 1.0), (Bg, -2.0), (Sr, -2.0)],
        'ё' => &[(Ru, 1.5), (Be, 1.0), (Bg, -2.0)],
        'ъ' => &[(Bg, 1.2), (Ru, 0.4)],
        'и' => &[(Be, -2.0), (Uk, 0.02), (Ru, 0.02)],
        'щ' => &[(Be, -2.0), (Sr, -1.0), (Mk, -1.0)],
        'й' | 'я' | 'ю' => &[(Sr, -1.0), (Mk, -1.0)],
        'ђ' | 'ћ' => &[(Sr, 3.0)],
        'ј' | 'љ' | 'њ' | 'џ' => &[(Sr, 2.0), (Mk, 1.5)],
        'ѓ' | 'ќ' | 'ѕ' => &[(Mk, 3.5)],
        'ә' | 'ғ' | 'қ' | 'ң' | 'ө' | 'ұ' | 'ү' | 'һ' => &[(Kk, 3.0)],
        _ => &[],
    }
}

/// The same for Latin.
pub(super) fn latin(c: char) -> Points {
    match c {
        'a'..='z' => &[],
        'ą' | 'ę' | 'ł' | 'ń' | 'ś' | 'ź' | 'ż' | 'ć' => &[(Pl, 1.5)],
        'ó' => &[(Pl, 0.5), (Es, 0.5), (Pt, 0.3), (Cs, 0.2)],
        'ß' => &[(De, 2.5)],
        'ä' => &[(De, 0.8), (Sv, 0.6)],
        'ö' => &[(De, 0.6), (Tr, 0.5), (Sv, 0.6)],
        'ü' => &[(De, 0.7), (Tr, 0.6)],
        'å' => &[(Sv, 1.5)],
        'ñ' => &[(Es, 2.0)],
        'á' | 'í' | 'ú' => &[(Es, 0.5), (Pt, 0.4), (Cs, 0.5), (Vi, 0.1)],
        'é' => &[(Fr, 0.7), (Es, 0.5), (Pt, 0.3), (Cs, 0.3)],
        'è' | 'à' => &[(Fr, 0.7), (It, 0.7)],
        'ì' | 'ò' | 'ù' => &[(It, 1.0)],
        'ê' | 'ç' => &[(Fr, 0.7), (Pt, 0.6), (Tr, 0.3)],
        'ë' | 'ï' | 'œ' | 'û' | 'ô' => &[(Fr, 1.0), (Nl, 0.3)],
        'î' => &[(Fr, 0.8), (Ro, 0.8)],
        'â' => &[(Fr, 0.6), (Ro, 0.8), (Pt, 0.4), (Vi, 0.3)],
        'ã' | 'õ' => &[(Pt, 2.0)],
        'ğ' | 'ş' | 'ı' => &[(Tr, 2.0)],
        'ě' | 'ř' | 'ů' | 'č' | 'š' | 'ž' | 'ý' => &[(Cs, 1.2)],
        'ă' => &[(Ro, 1.0), (Vi, 0.6)],
        'ș' | 'ț' | 'ţ' => &[(Ro, 2.0)],
        'đ' | 'ơ' | 'ư' | '\u{1ea0}'..='\u{1ef9}' => &[(Vi, 1.5)],
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
