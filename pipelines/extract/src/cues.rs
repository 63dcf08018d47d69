//! The cue phrases of each kind of claim, and how much of them stands in a sentence.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use telesift_schemas::AtomKind;
use telesift_text::fold;

use crate::words::Word;

/// The phrases of one kind.
pub(crate) struct Cues {
    phrases: Vec<Phrase>,
    /// Phrases by the first three letters of their first word; of a shorter word by all of it.
    by_beginning: HashMap<String, Vec<usize>>,
    /// Those that begin with a word of which only the ending is known.
    by_ending: Vec<usize>,
}

struct Phrase {
    weight: f64,
    words: Vec<Pattern>,
}

enum Pattern {
    Whole(String),
    Beginning(String),
    Ending(String),
    /// Any of these.
    OneOf(Vec<Pattern>),
    /// Any one word.
    Any,
}

/// How strongly a sentence speaks of a kind, and which of its words do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hit {
    /// Sum of the weights of the phrases found, each once; of overlapping phrases the heaviest counts.
    pub(crate) weight: f64,
    /// Places of the words of these phrases.
    pub(crate) words: Vec<usize>,
}

/// The cues of all kinds but how questions end.
pub(crate) fn of(kind: AtomKind) -> &'static Cues {
    static CUES: LazyLock<HashMap<AtomKind, Cues>> = LazyLock::new(|| {
        let sources = [
            (AtomKind::Problem, include_str!("../cues/problem.txt")),
            (AtomKind::Solution, include_str!("../cues/solution.txt")),
            (AtomKind::Decision, include_str!("../cues/decision.txt")),
            (AtomKind::Question, include_str!("../cues/question.txt")),
            (AtomKind::Insight, include_str!("../cues/insight.txt")),
            (AtomKind::Pattern, include_str!("../cues/pattern.txt")),
            (
                AtomKind::Requirement,
                include_str!("../cues/requirement.txt"),
            ),
            (AtomKind::Task, include_str!("../cues/task.txt")),
        ];
        sources.map(|(kind, text)| (kind, Cues::parse(text))).into()
    });
    &CUES[&kind]
}

impl Cues {
    fn parse(text: &str) -> Self {
        let phrases: Vec<Phrase> = lines(text).filter_map(Phrase::parse).collect();
        let mut by_beginning: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_ending = Vec::new();
        for (i, phrase) in phrases.iter().enumerate() {
            let first = phrase.words.first();
            for key in first.map(Pattern::beginnings).unwrap_or_default() {
                match key {
                    Some(key) => by_beginning.entry(key).or_default().push(i),
                    None => by_ending.push(i),
                }
            }
        }
        // A phrase may begin with several words of one beginning.
        by_beginning.values_mut().for_each(Vec::dedup);
        by_ending.dedup();
        Cues {
            phrases,
            by_beginning,
            by_ending,
        }
    }

    /// What of these cues stands in `words`.
    pub(crate) fn find(&self, words: &[Word]) -> Hit {
        let mut found: Vec<(f64, Range<usize>)> = Vec::new();
        for at in 0..words.len() {
            let longest = words[at].folded.chars().take(3).collect::<String>();
            let keys = longest
                .char_indices()
                .map(|(i, c)| &longest[..i + c.len_utf8()]);
            let known = keys.filter_map(|k| self.by_beginning.get(k)).flatten();
            for &phrase in known.chain(&self.by_ending) {
                let Phrase {
                    weight,
                    words: patterns,
                } = &self.phrases[phrase];
                let here = words.get(at..at + patterns.len());
                if here.is_some_and(|here| patterns.iter().zip(here).all(|(p, w)| p.accepts(w))) {
                    found.push((*weight, at..at + patterns.len()));
                }
            }
        }
        // What says that it is not so counts more than what it stands on; then the heavier, then the longer.
        found.sort_by(|a, b| {
            let rank =
                |(weight, range): &(f64, Range<usize>)| (*weight < 0.0, weight.abs(), range.len());
            rank(b)
                .partial_cmp(&rank(a))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let mut hit = Hit::default();
        for (weight, range) in found {
            if !range.clone().any(|i| hit.words.contains(&i)) {
                hit.weight += weight;
                hit.words.extend(range);
            }
        }
        hit.words.sort_unstable();
        hit
    }
}

impl Phrase {
    fn parse(line: &str) -> Option<Self> {
        let (weight, words) = line.split_once(' ')?;
        Some(Phrase {
            weight: weight.parse().ok()?,
            words: words.split_whitespace().map(Pattern::parse).collect(),
        })
    }
}

impl Pattern {
    fn parse(word: &str) -> Self {
        if word == "_" {
            return Pattern::Any;
        }
        if word.contains('|') {
            return Pattern::OneOf(word.split('|').map(Pattern::parse).collect());
        }
        match (word.strip_suffix('*'), word.strip_prefix('*')) {
            (Some(beginning), _) => Pattern::Beginning(fold(beginning)),
            (None, Some(ending)) => Pattern::Ending(fold(ending)),
            (None, None) => Pattern::Whole(fold(word)),
        }
    }

    /// How a word begins that this accepts, as the list has it; `None`: in any way.
    fn beginnings(&self) -> Vec<Option<String>> {
        match self {
            Pattern::Whole(word) | Pattern::Beginning(word) => vec![Some(beginning(word))],
            Pattern::Ending(_) | Pattern::Any => vec![None],
            Pattern::OneOf(all) => all.iter().flat_map(Pattern::beginnings).collect(),
        }
    }

    fn accepts(&self, word: &Word) -> bool {
        match self {
            // An ending alone is no word.
            Pattern::Ending(ending) => {
                word.folded.len() > ending.len() && word.folded.ends_with(ending.as_str())
            }
            Pattern::OneOf(all) => all.iter().any(|one| one.accepts(word)),
            Pattern::Whole(whole) => *whole == word.folded,
            Pattern::Beginning(beginning) => word.folded.starts_with(beginning.as_str()),
            Pattern::Any => true,
        }
    }
}

/// The lines that say something.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn beginning(word: &str) -> String {
    word.chars().take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    fn weight(kind: AtomKind, text: &str) -> f64 {
        of(kind).find(&words(text)).weight
    }

    #[test]
    fn every_line_of_every_list_is_a_phrase_of_known_words() {
        let lists = [
            include_str!("../cues/problem.txt"),
            include_str!("../cues/solution.txt"),
            include_str!("../cues/decision.txt"),
            include_str!("../cues/question.txt"),
            include_str!("../cues/insight.txt"),
            include_str!("../cues/pattern.txt"),
            include_str!("../cues/requirement.txt"),
            include_str!("../cues/task.txt"),
        ];
        for list in lists {
            for line in lines(list) {
                let phrase = Phrase::parse(line).unwrap_or_else(|| panic!("no phrase: {line}"));
                assert!(phrase.weight.abs() >= 1.0, "{line}");
                assert!(!matches!(phrase.words[0], Pattern::Any), "{line}");
                // The tokens of the words are the words: otherwise no text could ever match.
                let plain = line.split_once(' ').unwrap().1.replace(['*', '_'], "");
                let plain = plain.replace('|', " ");
                let n_words = plain.split_whitespace().count();
                assert_eq!(words(&plain).len(), n_words, "{line}");
            }
        }
    }

    #[test]
    fn a_word_of_a_phrase_is_one_of_several_or_known_by_its_ending() {
        assert!(weight(AtomKind::Problem, "The page doesn't load at all") >= 2.5);
        assert!(weight(AtomKind::Problem, "Автобус не приїхав вчасно") >= 2.5);
        assert!(weight(AtomKind::Decision, "Тоді піднімаємо кнопку вгору") >= 2.5);
        assert!(weight(AtomKind::Decision, "Ми знаємо про це давно") <= 0.0);
    }

    #[test]
    fn words_are_whole_and_a_denial_outweighs_what_it_denies() {
        assert!(weight(AtomKind::Problem, "Пошук не працює, помилка 500") > 4.0);
        assert!(weight(AtomKind::Problem, "The dashboard doesn't work") >= 3.0);
        assert_eq!(weight(AtomKind::Problem, "Bugatti"), 0.0);
        assert!(weight(AtomKind::Problem, "No problem at all") < 0.0);
        assert!(weight(AtomKind::Decision, "We have not decided yet") <= 0.5);
    }
}
