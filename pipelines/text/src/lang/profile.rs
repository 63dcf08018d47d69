//! Profiles of languages that share a script: which words and endings speak for which of them.

use rustc_hash::FxHashMap;

/// Longest ending, in letters.
const MAX_ENDING: usize = 6;

/// Words and endings with the points they give.
pub(super) struct Profiles {
    words: FxHashMap<&'static str, Vec<(&'static str, f32)>>,
    ends: FxHashMap<&'static str, Vec<(&'static str, f32)>>,
}

impl Profiles {
    /// Reads a profile file: `= code` opens a language, `words …` and `ends …` add to it, `#` comments.
    pub(super) fn parse(text: &'static str) -> Self {
        let mut profiles = Profiles {
            words: FxHashMap::default(),
            ends: FxHashMap::default(),
        };
        let mut code = "";
        for line in text.lines() {
            let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
            let table = match head {
                "=" => {
                    code = rest.trim();
                    continue;
                }
                "words" => &mut profiles.words,
                "ends" => &mut profiles.ends,
                _ => continue,
            };
            for entry in rest.split_whitespace() {
                let codes = table.entry(entry).or_default();
                if codes.iter().all(|&(known, _)| known != code) {
                    codes.push((code, 0.0));
                }
            }
        }
        weigh(&mut profiles.words, |n_letters| match n_letters {
            1 => 0.6,
            2 => 1.0,
            3 => 1.3,
            _ => 1.8,
        });
        weigh(&mut profiles.ends, |n_letters| match n_letters {
            2 => 0.25,
            3 => 0.6,
            _ => 0.9,
        });
        profiles
    }

    /// Adds the points of a lower-case word.
    pub(super) fn score(&self, word: &str, scores: &mut Scores) {
        if let Some(codes) = self.words.get(word) {
            scores.add_all(codes);
            return;
        }
        let n_letters = word.chars().count();
        if n_letters < 5 {
            return;
        }
        // The longest ending known speaks for the word.
        for k in (2..=MAX_ENDING.min(n_letters - 2)).rev() {
            let from = word.char_indices().nth(n_letters - k).map_or(0, |(i, _)| i);
            if let Some(codes) = self.ends.get(&word[from..]) {
                scores.add_all(codes);
                return;
            }
        }
    }
}

/// What `n` languages share says less about each of them: 1, 0.45, 0.25, … of the points.
fn weigh(table: &mut FxHashMap<&'static str, Vec<(&'static str, f32)>>, points: fn(usize) -> f32) {
    for (entry, codes) in table {
        let n = codes.len() as f32;
        let weight = points(entry.chars().count()) / (n * (1.0 + 0.1 * (n - 1.0)));
        for code in codes {
            code.1 = weight;
        }
    }
}

/// Points per language. Few languages ever score in one text, so a scan beats a map.
#[derive(Default)]
pub(super) struct Scores(Vec<(&'static str, f32)>);

impl Scores {
    pub(super) fn add(&mut self, code: &'static str, points: f32) {
        match self.0.iter_mut().find(|(known, _)| *known == code) {
            Some(entry) => entry.1 += points,
            None => self.0.push((code, points)),
        }
    }

    fn add_all(&mut self, codes: &[(&'static str, f32)]) {
        for &(code, points) in codes {
            self.add(code, points);
        }
    }

    /// The language with the most points, unless another has as many or all have next to none. `expected` languages
    /// win over others that have as many.
    pub(super) fn best(&self, expected: &[&str]) -> Option<&'static str> {
        let with_bonus = |&(code, points): &(&'static str, f32)| {
            let bonus = if expected.contains(&code) { 0.3 } else { 0.0 };
            (code, points + bonus)
        };
        let (code, most) = self
            .0
            .iter()
            .map(with_bonus)
            .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let is_tied = self
            .0
            .iter()
            .map(with_bonus)
            .any(|(other, points)| other != code && points > most - 0.02);
        (most >= 0.45 && !is_tied).then_some(code)
    }
}
