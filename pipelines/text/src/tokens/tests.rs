use super::*;

fn texts(text: &str) -> Vec<&str> {
    tokens(text).map(|t| t.text).collect()
}

fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
    tokens(text).map(|t| (t.kind, t.text)).collect()
}

#[test]
fn words_are_cut_where_a_reader_would() {
    for (text, expected) in [
        ("Hello, world!", &["Hello", "world"][..]),
        ("кінець.Початок", &["кінець", "Початок"]),
        ("м'ята, м’ята й об'єкт", &["м'ята", "м’ята", "й", "об'єкт"]),
        ("don't 'quote'", &["don't", "quote"]),
        ("v2.3.1 is 1,000 times", &["v2.3.1", "is", "1,000", "times"]),
        ("snake_case e-mail", &["snake_case", "e", "mail"]),
        ("error:timeout 10:30", &["error", "timeout", "10", "30"]),
        ("за́мок", &["за́мок"]),
        ("зара\u{200b}боток", &["зара\u{200b}боток"]),
        ("数据库 is 库", &["数", "据", "库", "is", "库"]),
        ("カタカナ한국", &["カ", "タ", "カ", "ナ", "한", "국"]),
        ("السَّلام عليكم", &["السَّلام", "عليكم"]),
        ("नमस्ते दुनिया", &["नमस्ते", "दुनिया"]),
        ("…!?  \u{1f44d}", &[]),
        ("", &[]),
    ] {
        assert_eq!(texts(text), expected, "{text}");
    }
}

#[test]
fn names_with_signs_stay_whole() {
    use TokenKind::{Number, Symbolic, Word};
    assert_eq!(
        kinds("C++, C# (.NET) N+1 +1 g++"),
        [
            (Symbolic, "C++"),
            (Symbolic, "C#"),
            (Symbolic, ".NET"),
            (Symbolic, "N+1"),
            (Symbolic, "+1"),
            (Symbolic, "g++"),
        ]
    );
    assert_eq!(
        kinds("wow... text. Next 5 ++ 3"),
        [
            (Word, "wow"),
            (Word, "text"),
            (Word, "Next"),
            (Number, "5"),
            (Number, "3")
        ]
    );
}

#[test]
fn addresses_mentions_and_tags_stay_whole() {
    use TokenKind::{Email, Hashtag, Mention, Url, Word};
    assert_eq!(
        kinds("(https://example.com/a_(b)?x=1#y), www.example.org. t.me/chan/5"),
        [
            (Url, "https://example.com/a_(b)?x=1#y"),
            (Url, "www.example.org"),
            (Url, "t.me/chan/5")
        ]
    );
    assert_eq!(
        kinds("пиши olena.k+x@mail.example.com, @olena_k #новини2026 #数据 №#1"),
        [
            (Word, "пиши"),
            (Email, "olena.k+x@mail.example.com"),
            (Mention, "@olena_k"),
            (Hashtag, "#новини2026"),
            (Hashtag, "#数据"),
            (TokenKind::Number, "1"),
        ]
    );
}

#[test]
fn tokens_cover_ranges_in_order() {
    let text = "Слово https://a.b/с 数据 N+1, नमस्ते\u{301} '@'#";
    let mut end = 0;
    for token in tokens(text) {
        assert!(token.start >= end);
        end = token.range().end;
        assert_eq!(&text[token.range()], token.text);
    }
}

#[test]
fn the_table_says_what_the_ranges_say() {
    for c in (0..0x600).filter_map(char::from_u32) {
        assert_eq!(class(c), any_class(c), "{c:?}");
    }
}
