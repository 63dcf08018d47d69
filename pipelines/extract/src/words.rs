//! Folded words of a text with their places: what cues are looked for in.

use std::ops::Range;

use telesift_text::{TokenKind, fold, tokens};

/// A word as cues see it.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// Folded, not stemmed, without a leading `#` or `@`.
    pub(crate) folded: String,
    /// Its bytes in the text.
    pub(crate) range: Range<usize>,
    /// Whether it is a name with signs, such as `payments-api` or `#release`.
    pub(crate) is_name: bool,
}

impl Word {
    /// Whether it may carry meaning of its own, by its length.
    pub(crate) fn has_content(&self) -> bool {
        self.folded.chars().count() >= 4
    }
}

/// The words of `text`, in order; URLs and addresses are left out.
pub(crate) fn words(text: &str) -> Vec<Word> {
    tokens(text)
        .filter(|token| !matches!(token.kind, TokenKind::Url | TokenKind::Email))
        .map(|token| Word {
            folded: fold(token.text).trim_matches(['#', '@']).to_owned(),
            range: token.range(),
            is_name: matches!(token.kind, TokenKind::Hashtag | TokenKind::Symbolic),
        })
        .filter(|word| !word.folded.is_empty())
        .collect()
}
