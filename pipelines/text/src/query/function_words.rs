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

/// The longest of them, so that most words need no look-up.
const MAX_BYTES: usize = 17;

/// Whether `folded` says how a query is meant, not what it is about.
pub(crate) fn is_function_word(folded: &str) -> bool {
    folded.len() <= MAX_BYTES && FUNCTION_WORDS.contains(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_longer_than_looked_up() {
        assert!(FUNCTION_WORDS.iter().all(|word| is_function_word(word)));
    }
}
