//! `text_terms` as Arroyo gets it says what `pipelines/text` says.

include!("../bundled/text_terms.rs");

#[macro_use]
#[path = "shared/texts.rs"]
mod texts;

#[test]
fn the_file_says_what_the_crate_says() {
    let texts = texts::texts();
    for (text, found) in texts.iter().zip(run_all!(texts)) {
        let terms = ::telesift_text::topical_terms(text);
        let expected = (!terms.is_empty()).then(|| terms.join(" "));
        assert_eq!(found, expected, "{text:?}");
    }
}
