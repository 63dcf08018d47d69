//! The query language: quotes, minus, `OR`. There is no syntax error in it.

use std::collections::HashSet;

use super::{Query, Unit, function_words::is_function_word, pair};
use crate::terms::{self, Word};

const OPENING: &[char] = &['"', '“', '„', '«', '”', '‟', '＂'];
const CLOSING: &[char] = &['"', '”', '“', '»', '＂'];

/// What stands between two blanks, or in quotes.
#[derive(Debug)]
struct Part<'a> {
    text: &'a str,
    is_quoted: bool,
    is_excluded: bool,
}

impl Part<'_> {
    fn is_or(&self) -> bool {
        !self.is_quoted && !self.is_excluded && self.text == "OR"
    }
}

pub(super) fn parse(text: &str) -> Query {
    let parts = parts(text);
    let mut query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    let mut seen = HashSet::new();
    let mut asides = Vec::new();
    let mut i = 0;
    while i < parts.len() {
        // a OR b OR c: operands at i, i + 2, … as long as an OR stands between two of them.
        let mut operands = vec![&parts[i]];
        while i + 2 < parts.len() && parts[i + 1].is_or() && !parts[i + 2].is_or() {
            i += 2;
            operands.push(&parts[i]);
        }
        i += 1;
        let is_choice = operands.len() > 1;
        let mut group = Vec::new();
        for part in operands {
            let words = terms::words(part.text);
            if words.is_empty() {
                continue;
            }
            if part.is_excluded {
                query.excluded.push(unit(&words, part.is_quoted));
                continue;
            }
            match &words[..] {
                [word] if is_function_word(&word.folded) => asides.push(words.clone()),
                _ => rank(&words, &mut query.ranked, &mut seen),
            }
            if is_choice || part.is_quoted {
                group.push(unit(&words, part.is_quoted));
            }
        }
        if !group.is_empty() {
            query.required.push(group);
        }
    }
    if query.ranked.is_empty() {
        for words in asides {
            rank(&words, &mut query.ranked, &mut seen);
        }
    }
    query
}

/// One word by its stem; several (`a-b`, a URL, Chinese), and whatever was quoted, as a phrase.
fn unit(words: &[Word], is_quoted: bool) -> Unit {
    match words {
        [word] if !is_quoted => {
            let mut terms = Vec::new();
            word.push_terms(&mut terms);
            Unit::Word(terms.swap_remove(0))
        }
        _ => Unit::Phrase(words.iter().map(|w| w.folded.clone()).collect()),
    }
}

/// Adds the terms of `words`: of CJK text the pairs, and single characters only where they stand alone.
fn rank(words: &[Word], ranked: &mut Vec<String>, seen: &mut HashSet<String>) {
    let mut terms = Vec::new();
    let mut is_paired = false;
    for (i, word) in words.iter().enumerate() {
        let next = words.get(i + 1).and_then(|next| pair(word, next));
        if !(is_paired || next.is_some()) {
            word.push_terms(&mut terms);
        }
        is_paired = next.is_some();
        terms.extend(next);
    }
    ranked.extend(terms.into_iter().filter(|t| seen.insert(t.clone())));
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_excluded = first == '-' && {
            let after = rest[1..].chars().next();
            after.is_some_and(|c| !c.is_whitespace() && c != '-')
        };
        let inner = if is_excluded { &rest[1..] } else { rest };
        let (part, after) = quoted(inner, is_excluded).unwrap_or_else(|| bare(inner, is_excluded));
        parts.push(part);
        rest = after.trim_start();
    }
    parts
}

fn quoted(rest: &str, is_excluded: bool) -> Option<(Part<'_>, &str)> {
    let inner = rest.strip_prefix(OPENING)?;
    let end = inner.find(CLOSING)?;
    let after = inner[end..].strip_prefix(CLOSING)?;
    let part = Part {
        text: &inner[..end],
        is_quoted: true,
        is_excluded,
    };
    Some((part, after))
}

/// Up to the next blank, or to a quote that opens a phrase later on.
fn bare(rest: &str, is_excluded: bool) -> (Part<'_>, &str) {
    let end = rest
        .char_indices()
        .skip(1)
        .find(|&(i, c)| {
            c.is_whitespace() || (OPENING.contains(&c) && quoted(&rest[i..], false).is_some())
        })
        .map_or(rest.len(), |(i, _)| i);
    let part = Part {
        text: &rest[..end],
        is_quoted: false,
        is_excluded,
    };
    (part, &rest[end..])
}
