//! Text to sentences.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// The sentences of `text`, as byte ranges that begin and end with something to read. A line ends a sentence: lists and
/// headings have no full stops. Boundaries within a line: UAX #29.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for (at, sentence) in line.split_sentence_bound_indices() {
            let from = start + at;
            if let Some(range) = trimmed(text, from..from + sentence.len()) {
                sentences.push(range);
            }
        }
        start += line.len();
    }
    sentences
}

/// Without white space, bullets and emoji before, and white space behind; `None` if nothing is left.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let sentence = &text[range.clone()];
    let skipped = sentence.find(|c: char| c.is_alphanumeric() || "«\"“„(#@`$".contains(c))?;
    let end = sentence.trim_end().len();
    (skipped < end).then(|| range.start + skipped..range.start + end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn sentences_end_at_stops_and_lines_and_begin_behind_bullets() {
        assert_eq!(
            of("⚠️ Сервер упал. Причина — диск!\n• code freeze — 12.01 о 18:00\n\n  ok"),
            [
                "Сервер упал.",
                "Причина — диск!",
                "code freeze — 12.01 о 18:00",
                "ok"
            ]
        );
        assert!(of("👍 …\n— \n").is_empty());
    }

    proptest! {
        #[test]
        fn sentences_are_in_order_and_cut_no_character(text in "\\PC{0,200}") {
            let mut end = 0;
            for range in sentences(&text) {
                prop_assert!(range.start >= end && range.end > range.start);
                prop_assert!(text.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
