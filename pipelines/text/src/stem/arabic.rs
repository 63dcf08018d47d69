//! A light Arabic stemmer: articles and prepositions off the front, plural and pronoun suffixes off the end.
//!
//! Source: L. Larkey, L. Ballesteros, M. Connell, "Light Stemming for Arabic Information Retrieval" (light10), 2007.

/// Prefixes, the longest first.
const PREFIXES: &[&str] = &["وال", "بال", "كال", "فال", "ولل", "لل", "ال", "و"];
/// Suffixes, taken off one after the other in this order.
const SUFFIXES: &[&str] = &["ها", "ان", "ات", "ون", "ين", "يه", "يا", "ه", "ي"];

/// The stem of a folded Arabic word, a part of it.
pub(super) fn stem(word: &str) -> &str {
    let n_chars = |s: &str| s.chars().count();
    let mut stem = word;
    for prefix in PREFIXES {
        // A lone و is taken off only before three letters or more: it starts many words.
        let at_least = if *prefix == "و" { 3 } else { 2 };
        let rest = stem.strip_prefix(prefix);
        if let Some(rest) = rest.filter(|rest| n_chars(rest) >= at_least) {
            stem = rest;
            break;
        }
    }
    for suffix in SUFFIXES {
        let rest = stem.strip_suffix(suffix);
        if let Some(rest) = rest.filter(|rest| n_chars(rest) >= 2) {
            stem = rest;
        }
    }
    stem
}
