//! What a user typed into the search box, analysed as the index is.

use std::{collections::HashSet, ops::Range};

use crate::terms::{self, Word};

pub(crate) mod function_words;
mod parse;

/// A parsed query. Any text parses; a text without a word gives an empty query.
///
/// Bare words are optional and ranked: the more and the rarer the matching words, the better; words such as `що`, `как`
/// or `the` count only where there are no others. `"a phrase"` is required, `-word` and `-"a phrase"` exclude, `a OR b` requires at least one of them.
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

impl Query {
    /// Reads what a user typed. Quotes may be `"`, `“ ”`, `„ “` or `« »`; one without its counterpart is taken for
    /// punctuation. `OR` counts between two words or phrases, in capitals. A minus excludes at the start of a word.
    pub fn parse(text: &str) -> Query {
        parse::parse(text)
    }

    /// Whether there is nothing to look for, not even something to leave out.
    pub fn is_empty(&self) -> bool {
        self.ranked.is_empty() && self.required.is_empty() && self.excluded.is_empty()
    }

    /// Whether a message of this text may be among the hits: every required group matches and nothing excluded does.
    /// Bare words do not matter here, they only rank.
    pub fn accepts(&self, text: &str) -> bool {
        if self.required.is_empty() && self.excluded.is_empty() {
            return true;
        }
        let words = terms::words(text);
        let terms = terms_of(&words);
        let matches = |unit: &Unit| match unit {
            Unit::Word(term) => terms.contains(term),
            Unit::Phrase(phrase) => !occurrences(phrase, &words).is_empty(),
        };
        self.required.iter().all(|group| group.iter().any(matches))
            && !self.excluded.iter().any(matches)
    }

    /// What matched: byte ranges of `text` on character boundaries, ascending, overlapping ones merged.
    pub fn highlights(&self, text: &str) -> Vec<Range<usize>> {
        let words = terms::words(text);
        let ranked: HashSet<&str> = self.ranked.iter().map(String::as_str).collect();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut own = Vec::with_capacity(3);
        for (i, word) in words.iter().enumerate() {
            own.clear();
            word.push_terms(&mut own);
            if own.iter().any(|t| ranked.contains(t.as_str())) {
                ranges.push(word.range.clone());
            }
            let next = words.get(i + 1);
            let next = next
                .filter(|next| pair(word, next).is_some_and(|pair| ranked.contains(pair.as_str())));
            ranges.extend(next.map(|next| word.range.start..next.range.end));
        }
        for unit in self.required.iter().flatten() {
            if let Unit::Phrase(phrase) = unit {
                ranges.extend(
                    occurrences(phrase, &words)
                        .into_iter()
                        .map(|w| words[w.start].range.start..words[w.end - 1].range.end),
                );
            }
        }
        merge(ranges)
    }
}

fn terms_of(words: &[Word]) -> HashSet<String> {
    let mut terms = Vec::with_capacity(words.len() * 2);
    for (i, word) in words.iter().enumerate() {
        word.push_terms(&mut terms);
        terms.extend(words.get(i + 1).and_then(|next| pair(word, next)));
    }
    terms.into_iter().collect()
}

/// The term of two neighbouring CJK characters.
fn pair(word: &Word, next: &Word) -> Option<String> {
    let adjoin = word.is_character && next.is_character && word.range.end == next.range.start;
    adjoin.then(|| format!("{}{}", word.folded, next.folded))
}

/// Where `phrase` stands in `words`, as ranges of words.
fn occurrences(phrase: &[String], words: &[Word]) -> Vec<Range<usize>> {
    if phrase.is_empty() {
        return Vec::new();
    }
    words
        .windows(phrase.len())
        .enumerate()
        .filter(|(_, w)| w.iter().zip(phrase).all(|(word, p)| word.is(p)))
        .map(|(i, w)| i..i + w.len())
        .collect()
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|r| (r.start, r.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
