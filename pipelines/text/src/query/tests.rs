use proptest::prelude::*;

use super::*;

fn word(term: &str) -> Unit {
    Unit::Word(term.into())
}

fn phrase(words: &[&str]) -> Unit {
    Unit::Phrase(words.iter().map(|w| (*w).to_owned()).collect())
}

#[test]
fn bare_words_rank_and_require_nothing() {
    let query = Query::parse("  Deploying servers servers ");
    assert_eq!(query.ranked, ["deploy", "server"]);
    assert!(query.required.is_empty() && query.excluded.is_empty());
    assert!(query.accepts("something else"));
}

#[test]
fn words_a_query_is_not_about_rank_only_where_there_are_no_others() {
    assert_eq!(Query::parse("через що впала оплата").ranked.len(), 2);
    assert_eq!(
        Query::parse("when is the feature freeze").ranked,
        ["featur", "freez"]
    );
    assert_eq!(
        Query::parse("to be or not to be").ranked,
        ["to", "be", "or", "not"]
    );
}

#[test]
fn quotes_of_all_kinds_require_their_phrase() {
    for text in [
        "\"база даних\" впала",
        "“база даних” впала",
        "„база даних“ впала",
        "«база даних» впала",
    ] {
        let query = Query::parse(text);
        assert_eq!(query.required, [vec![phrase(&["база", "даних"])]], "{text}");
        assert!(query.accepts("Наша База даних знову!"));
        assert!(!query.accepts("даних база"));
        assert!(!query.accepts("бази даних"), "phrases are not stemmed");
    }
}

#[test]
fn minus_excludes_words_and_phrases() {
    let query = Query::parse("release -beta -\"not yet\" e-mail - x -5");
    assert_eq!(
        query.excluded,
        [word("beta"), phrase(&["not", "yet"]), word("5")]
    );
    assert_eq!(query.ranked, ["releas", "e", "mail", "x"]);
    assert!(query.accepts("the release is out"));
    assert!(!query.accepts("the betas are out"));
    assert!(!query.accepts("Not yet."));
    assert!(query.accepts("yet not"));
}

#[test]
fn or_requires_one_of_its_sides() {
    let query = Query::parse("сервер OR \"load balancer\" OR C++ now");
    assert_eq!(
        query.required,
        [vec![
            word("сервер"),
            phrase(&["load", "balancer"]),
            word("c++")
        ]]
    );
    assert!(query.accepts("на серверах"));
    assert!(query.accepts("a Load-Balancer"));
    assert!(query.accepts("C++"));
    assert!(!query.accepts("now C"));
    assert!(Query::parse("black or white").required.is_empty());
    assert_eq!(Query::parse("OR a OR").required, Vec::<Vec<Unit>>::new());
}

#[test]
fn chinese_ranks_by_pairs_and_single_characters_by_themselves() {
    assert_eq!(Query::parse("数据库").ranked, ["数据", "据库"]);
    assert_eq!(Query::parse("库").ranked, ["库"]);
    assert_eq!(Query::parse("-数据").excluded, [phrase(&["数", "据"])]);
}

#[test]
fn only_exclusions_are_no_empty_query() {
    assert!(Query::parse(" ?! 👍 \"\" -").is_empty());
    assert!(!Query::parse("-spam").is_empty());
}

#[test]
fn highlights_name_the_matching_words() {
    let text = "Сервери впали: база даних, server. 数据库";
    let marked = |query: &str| -> Vec<&str> {
        Query::parse(query)
            .highlights(text)
            .into_iter()
            .map(|r| &text[r])
            .collect()
    };
    assert_eq!(marked("сервер"), ["Сервери"]);
    assert_eq!(marked("\"база даних\""), ["база даних"]);
    assert_eq!(marked("servers впасти"), ["server"]);
    assert_eq!(marked("数据库"), ["数据库"]);
    assert_eq!(marked("据"), ["据"]);
    assert_eq!(marked("-сервер"), Vec::<&str>::new());
}

#[test]
fn a_quote_without_its_counterpart_is_punctuation() {
    let query = Query::parse("a 5\" screen");
    assert!(query.required.is_empty());
    assert_eq!(query.ranked, ["5", "screen"]);
}

proptest! {
    #[test]
    fn any_text_parses_and_any_text_is_highlighted(query in "\\PC{0,40}|[-\"“”«» ORab数й@#.+_:/']{0,40}", text in "\\PC{0,80}|[-\"“”«» ORab数й@#.+_:/']{0,80}") {
        let query = Query::parse(&query);
        query.accepts(&text);
        let mut end = 0;
        for (i, range) in query.highlights(&text).into_iter().enumerate() {
            prop_assert!(i == 0 || range.start > end);
            prop_assert!(range.start < range.end && text.get(range.clone()).is_some());
            end = range.end;
        }
    }

    #[test]
    fn every_word_of_a_text_finds_it(text in "[a-zа-яіїєґ' ]{1,40}") {
        for word in text.split_whitespace().filter(|w| *w != "OR") {
            let query = Query::parse(&format!("{word} OR {word}"));
            prop_assert!(query.accepts(&text), "{word}");
        }
    }
}
