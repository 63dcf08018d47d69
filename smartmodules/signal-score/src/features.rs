//! What a score is made of, before any weight: for those who learn weights.

use crate::{
    Factor, MessageView, Rules, SpamCue,
    analysis::{Analysis, Witness},
    factors::values,
    model::Gram,
    spam,
};

/// A message as a learner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Values of all factors, by `Factor as usize`; `spam` as if nothing were flagged.
    pub values: [f64; Factor::COUNT],
    /// Values of all cues of spam, by `SpamCue as usize`.
    pub cues: [f64; SpamCue::COUNT],
    /// Buckets of the n-grams, in the order of the text, repeats kept.
    pub buckets: Vec<u32>,
    /// Words of the text, folded, each once.
    pub words: Vec<String>,
}

/// The features of the message. Lexicons are those of `rules`; weights play no part, but for the factors `model`, `terms`
/// and `chat`, which are logits already.
pub fn features(message: &MessageView<'_>, rules: &Rules) -> Features {
    let mut seen = Seen::default();
    let text = Analysis::new(&message.text, rules, &mut seen);
    Features {
        values: values(message, &text, rules, 0.0).0,
        cues: spam::values(&text),
        buckets: seen.buckets,
        words: seen.words,
    }
}

#[derive(Default)]
struct Seen {
    buckets: Vec<u32>,
    words: Vec<String>,
}

impl Witness for Seen {
    fn saw(&mut self, _factor: Factor, _word: &str) {}

    fn saw_gram(&mut self, bucket: u32, gram: Gram<'_>) {
        self.buckets.push(bucket);
        if let Gram::Word(word) = gram
            && !self.words.iter().any(|known| known == word)
        {
            self.words.push(word.to_owned());
        }
    }
}
