//! `text_lang` as Arroyo gets it says what `pipelines/text` says.

include!("../bundled/text_lang.rs");

#[macro_use]
#[path = "shared/texts.rs"]
mod texts;

#[test]
fn the_file_says_what_the_crate_says() {
    let texts = texts::texts();
    for (text, found) in texts.iter().zip(run_all!(texts)) {
        let expected = Some(::telesift_text::lang::detect(text).to_owned());
        assert_eq!(found, expected, "{text:?}");
    }
}
