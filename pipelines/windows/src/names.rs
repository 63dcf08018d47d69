//! What a person is shown of a term: the word that most messages of a window write for it.

use std::collections::HashMap;

use telesift_schemas::Timestamp;

use crate::told::Told;

/// The words of some terms, each in a window of its own; to be filled with every message of these windows.
#[derive(Debug, Default)]
pub struct Names {
    asked: Vec<Asked>,
    /// Places in `asked`, by term.
    by_term: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Asked {
    from: Timestamp,
    to: Timestamp,
    /// By how many messages each word is written.
    words: HashMap<String, u64>,
}

impl Names {
    /// Asks for a term in the window `from..to`.
    pub fn ask(&mut self, term: &str, from: Timestamp, to: Timestamp) {
        let place = self.asked.len();
        self.asked.push(Asked {
            from,
            to,
            words: HashMap::new(),
        });
        self.by_term.entry(term.to_owned()).or_default().push(place);
    }

    /// From when until when the windows reach; `None` if nothing is asked for.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let from = self.asked.iter().map(|asked| asked.from).min()?;
        let to = self.asked.iter().map(|asked| asked.to).max()?;
        Some((from, to))
    }

    /// Counts a message.
    pub fn add(&mut self, told: &Told) {
        let Some(said) = &told.said else { return };
        for (term, word) in said.words() {
            for place in self.by_term.get(term).into_iter().flatten() {
                let asked = &mut self.asked[*place];
                if !(asked.from..asked.to).contains(&told.event_time) {
                    continue;
                }
                match asked.words.get_mut(word) {
                    Some(n) => *n += 1,
                    None => drop(asked.words.insert(word.to_owned(), 1)),
                }
            }
        }
    }

    /// A word for each term, in the order they were asked for; `None` where no message has the term.
    ///
    /// It is the word most messages write, whatever its case, in the case most of them write it; of equals the shorter one,
    /// in small letters.
    pub fn names(self) -> Vec<Option<String>> {
        self.asked.into_iter().map(|a| best(a.words)).collect()
    }
}

fn best(words: HashMap<String, u64>) -> Option<String> {
    let mut by_case: HashMap<String, (u64, Vec<(u64, String)>)> = HashMap::new();
    for (word, n) in words {
        let (sum, cases) = by_case.entry(word.to_lowercase()).or_default();
        *sum += n;
        cases.push((n, word));
    }
    let best = by_case.into_iter().max_by(|(a, (n_a, _)), (b, (n_b, _))| {
        let shorter = b.chars().count().cmp(&a.chars().count());
        n_a.cmp(n_b).then(shorter).then_with(|| b.cmp(a))
    });
    // Small letters stand behind capitals.
    let (_, (_, cases)) = best?;
    cases.into_iter().max().map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use telesift_schemas::{Class, MessageKey};

    use super::*;
    use crate::told::Said;

    fn told(second: i64, terms: &str, words: &str) -> Told {
        Told {
            key: MessageKey {
                chat: telesift_schemas::ChatId(-1),
                message_id: second,
            },
            version: (0, 0),
            event_time: at(second),
            said: Some(Said {
                class: Class::Signal,
                score_millionths: 0,
                flags: 0,
                terms: terms.to_owned(),
                words: words.to_owned(),
                links: String::new(),
            }),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_term_is_named_by_the_word_most_messages_write() {
        let mut names = Names::default();
        names.ask("мост", at(0), at(10));
        names.ask("мост", at(10), at(20));
        names.ask("київ", at(0), at(10));
        names.ask("bus", at(0), at(20));
        assert_eq!(names.span(), Some((at(0), at(20))));
        // The word counts whatever its case: `Міст` and `міст` together are more than `мосту`.
        let messages = [
            told(1, "мост київ", "Міст Києва"),
            told(2, "мост київ", "міст Київ"),
            told(3, "мост київ", "мосту Києва"),
            told(4, "мост київ", "мосту КИЇВ"),
            told(5, "мост", "міст"),
            told(12, "мост", "мостами"),
            told(13, "bus", ""),
            told(20, "мост", "мостами"),
        ];
        for message in messages.iter().rev() {
            names.add(message);
        }
        let expected = [Some("міст"), Some("мостами"), Some("Київ"), Some("bus")];
        let found = names.names();
        assert_eq!(
            found.iter().map(Option::as_deref).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn what_nobody_says_has_no_name() {
        let mut names = Names::default();
        assert_eq!(names.span(), None);
        names.ask("мост", at(0), at(10));
        names.add(&told(11, "мост", "міст"));
        assert_eq!(names.names(), [None]);
    }
}
