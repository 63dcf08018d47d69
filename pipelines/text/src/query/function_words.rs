//! Words a query is not about.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use crate::fold::fold;

static FUNCTION_WORDS: LazyLock<FxHashSet<String>> = LazyLock::new(|| {
    include_str!("function_words.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(fold)
        .collect()
});

/// Whether `folded` says how a query is meant, not what it is about.
pub(crate) fn is_function_word(folded: &str) -> bool {
    FUNCTION_WORDS.contains(folded)
}
