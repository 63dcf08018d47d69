//! `story_key` as Arroyo gets it says what `pipelines/text` says.

include!("../bundled/story_key.rs");

#[macro_use]
#[path = "shared/texts.rs"]
mod texts;

#[test]
fn the_file_says_what_the_crate_says() {
    let texts = texts::texts();
    for (text, found) in texts.iter().zip(run_all!(texts)) {
        let signature = ::telesift_text::signature::signature(text).filter(|s| s.n_words >= 4);
        let expected = signature.map(|s| format!("{:016x}", s.exact));
        assert_eq!(found, expected, "{text:?}");
    }
}
