use telesift_text::fold;

use super::*;

#[test]
fn words_taken_for_folded_are() {
    for word in ["сервер", "її", "єдність", "token2", "йод", "ъыэ", "2026"] {
        assert!(is_folded(word), "{word}");
        assert_eq!(fold(word), word);
    }
    for word in [
        "Сервер",
        "ёлка",
        "ґанок",
        "м'ята",
        "user's",
        "и\u{306}од",
        "café",
    ] {
        assert!(!is_folded(word), "{word}");
    }
}

#[test]
fn signs_of_code_are_counted() {
    let n_code = |text: &str| {
        let mut analysis = Analysis::default();
        analysis.read_form(text);
        analysis.n_code
    };
    assert_eq!(n_code("звичайний текст, без коду (зовсім) і -> стрілок"), 0);
    assert_eq!(n_code("`a` and `b`"), 2);
    assert_eq!(n_code("std::fs"), 1);
    assert_eq!(n_code("Traceback (most recent call last):"), 1);
    assert!(n_code("if a == b {\n  run();\n};") >= 4);
}

#[test]
fn emoji_are_told_from_letters() {
    let mut analysis = Analysis::default();
    analysis.read_form("👩\u{200d}👩 ❤\u{fe0f} Їжак 中");
    assert_eq!(
        (analysis.n_emoji, analysis.n_upper, analysis.n_lower),
        (3, 1, 3)
    );
    assert_eq!(analysis.n_visible, 8);
}

#[test]
fn names_are_told_from_beginnings_of_sentences() {
    let n_names = |text: &str| {
        let mut analysis = Analysis::default();
        analysis.read_form(text);
        analysis.n_names
    };
    assert_eq!(n_names("Сервер упав. Лежить усе.\nНіхто не знає"), 0);
    assert_eq!(
        n_names("суд у Полтаві, а Іван і Ґалина поїхали до Львова"),
        4
    );
    assert_eq!(n_names("and I moved to Postgres in May"), 2);
}
