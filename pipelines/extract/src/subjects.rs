//! Which subject area a claim belongs to.

use std::{collections::HashSet, sync::LazyLock};

use telesift_text::{fold, stem};

use crate::{
    cues::lines,
    words::{Word, words},
};

/// A subject area this build knows by its words.
struct Area {
    /// In English, Ukrainian and Russian.
    names: [&'static str; 3],
    whole: HashSet<String>,
    beginnings: Vec<String>,
}

static AREAS: LazyLock<Vec<Area>> = LazyLock::new(|| {
    lines(include_str!("../cues/subjects.txt"))
        .filter_map(Area::parse)
        .collect()
});

/// The subject of a claim made by `sentence`, which stands in a conversation of `around` (all its words), in language
/// `lang`. A subject the chat has already is named again; else a known area; else the one thing with a name of signs,
/// such as `payments-api`.
pub(crate) fn subject(
    known: &[String],
    sentence: &[Word],
    around: &[Word],
    text: &str,
    lang: &str,
) -> Option<String> {
    let area = area_of(sentence, around).map(|area| area.name(lang));
    // The chat may know the area by its name in another language.
    let again = area.and_then(|_| {
        let names = AREAS
            .iter()
            .find(|a| area.is_some_and(|n| a.names.contains(&n)))?
            .names;
        known
            .iter()
            .find(|k| names.iter().any(|name| fold(name) == fold(k)))
    });
    again
        .or_else(|| named_again(known, sentence))
        .cloned()
        .or_else(|| area.map(str::to_owned))
        .or_else(|| a_name(sentence, text))
}

impl Area {
    fn parse(line: &'static str) -> Option<Self> {
        let mut parts = line.split('|').map(str::trim);
        let names = [parts.next()?, parts.next()?, parts.next()?];
        let (mut whole, mut beginnings) = (HashSet::new(), Vec::new());
        for word in parts.next()?.split_whitespace() {
            match word.strip_suffix('*') {
                Some(beginning) => beginnings.push(fold(beginning)),
                None => drop(whole.insert(fold(word))),
            }
        }
        Some(Area {
            names,
            whole,
            beginnings,
        })
    }

    fn name(&self, lang: &str) -> &'static str {
        let [en, uk, ru] = self.names;
        match lang {
            "uk" => uk,
            "ru" => ru,
            _ => en,
        }
    }

    fn n_words(&self, words: &[Word]) -> usize {
        let speaks = |w: &&Word| {
            self.whole.contains(&w.folded)
                || self
                    .beginnings
                    .iter()
                    .any(|b| w.folded.starts_with(b.as_str()))
        };
        words.iter().filter(speaks).count()
    }
}

/// The area most words speak of, those of the sentence three times as loud; it must speak of it at all. Ties go to the
/// one that stands first in the list.
fn area_of(sentence: &[Word], around: &[Word]) -> Option<&'static Area> {
    let mut best: Option<(usize, &Area)> = None;
    for area in AREAS.iter() {
        let here = area.n_words(sentence);
        if here == 0 {
            continue;
        }
        let loudness = here * 3 + area.n_words(around).min(6);
        if best.is_none_or(|(most, _)| loudness > most) {
            best = Some((loudness, area));
        }
    }
    best.map(|(_, area)| area)
}

/// A subject of the chat all of whose words stand in the sentence.
fn named_again<'a>(known: &'a [String], sentence: &[Word]) -> Option<&'a String> {
    let stems: HashSet<_> = sentence
        .iter()
        .map(|w| stem(&w.folded).into_owned())
        .collect();
    known.iter().find(|name| {
        let words = words(name);
        !words.is_empty() && words.iter().all(|w| stems.contains(&*stem(&w.folded)))
    })
}

fn a_name(sentence: &[Word], text: &str) -> Option<String> {
    let name = sentence.iter().find(|w| w.is_name && w.has_content())?;
    let name = text.get(name.range.clone())?.trim_matches(['#', '@']);
    (name.chars().count() <= 40).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(known: &[&str], text: &str, lang: &str) -> Option<String> {
        let known: Vec<String> = known.iter().map(|k| (*k).to_owned()).collect();
        let words = words(text);
        subject(&known, &words, &words, text, lang)
    }

    #[test]
    fn every_area_has_three_names_and_words() {
        assert!(AREAS.len() >= 20);
        for area in AREAS.iter() {
            assert!(area.names.iter().all(|n| !n.is_empty()));
            assert!(
                area.whole.len() + area.beginnings.len() >= 5,
                "{}",
                area.names[0]
            );
        }
    }

    #[test]
    fn a_subject_is_named_in_the_language_of_the_message() {
        let text = "Оплата карткою падає на телефонах";
        assert_eq!(of(&[], text, "uk").as_deref(), Some("оплата"));
        let text = "Card payments fail on phones";
        assert_eq!(of(&[], text, "en").as_deref(), Some("payments"));
        assert_eq!(of(&["оплата"], text, "en").as_deref(), Some("оплата"));
    }

    #[test]
    fn what_the_chat_speaks_of_is_named_again_and_nothing_is_made_up() {
        assert_eq!(
            of(&["галерея"], "Галереї не відкриваються", "uk").as_deref(),
            Some("галерея")
        );
        assert_eq!(
            of(&[], "#photo_import stopped today", "en").as_deref(),
            Some("photo_import")
        );
        assert_eq!(of(&[], "It stopped today", "en"), None);
    }
}
