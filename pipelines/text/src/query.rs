//! What a user typed into the search box, analysed as the index is.

/// A parsed query. Any text parses; a text without a word gives an empty query.
///
/// Bare words are optional and ranked: the more and the rarer the matching words, the better. `"a phrase"` is required,
/// `-word` and `-"a phrase"` exclude, `a OR b` requires at least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// As typed.
    pub text: String,
    /// Index terms to rank by, without repeats, those of required units too.
    pub ranked: Vec<String>,
    /// Each group must match by at least one of its units.
    pub required: Vec<Vec<Unit>>,
    /// None of these may match.
    pub excluded: Vec<Unit>,
}

/// A word or phrase that must or must not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// One index term (folded and stemmed).
    Word(String),
    /// Folded words in a row, not stemmed.
    Phrase(Vec<String>),
}
