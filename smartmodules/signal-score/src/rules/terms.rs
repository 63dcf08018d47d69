//! The rules' own terms: words with a weight of their own, told by whole word or beginning.

use std::collections::{BTreeMap, HashMap};

use super::folded;
use crate::factors::TERM_UNITS;

/// Terms by their folded spelling, with weights in ten-thousandths of a logit.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    whole: HashMap<String, i64>,
    beginnings: HashMap<String, i64>,
}

impl Terms {
    pub(super) fn new(weights: &BTreeMap<String, f64>) -> Self {
        let mut terms = Terms::default();
        for (entry, weight) in weights {
            let units = libm::round(weight * TERM_UNITS) as i64;
            match folded(entry).strip_suffix('*') {
                Some(beginning) => terms.beginnings.insert(beginning.to_owned(), units),
                None => terms.whole.insert(folded(entry), units),
            };
        }
        terms
    }

    /// The weight of the word: its own, else that of its longest beginning that has one.
    pub(super) fn weight(&self, word: &str) -> Option<i64> {
        if self.whole.is_empty() && self.beginnings.is_empty() {
            return None;
        }
        let own = self.whole.get(word);
        let ends = || word.char_indices().rev().map(|(i, c)| i + c.len_utf8());
        let of_beginning = || ends().find_map(|end| self.beginnings.get(&word[..end]));
        own.or_else(of_beginning).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_its_own_weight_or_that_of_its_longest_beginning() {
        let entries = [("Деплой*", 1.0), ("деп*", -0.5), ("деплою", 0.25)];
        let weights = entries.map(|(k, v)| (k.to_owned(), v)).into();
        let terms = Terms::new(&weights);
        assert_eq!(terms.weight("деплой"), Some(10_000));
        assert_eq!(terms.weight("деплойний"), Some(10_000));
        assert_eq!(terms.weight("деплою"), Some(2_500));
        assert_eq!(terms.weight("депо"), Some(-5_000));
        assert_eq!(terms.weight("де"), None);
    }
}
