//! Why a message got its score: the same judgement, with its intermediate values and words.

use crate::{
    Factor, MessageView, Rules, Scored,
    analysis::Witness,
    model::{self, Gram},
    spam::SpamCue,
};

/// A score, taken apart. `bias` and all contributions, added in the order of the factors' names, are `logit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What every message starts with, in logits.
    pub bias: f64,
    /// Every factor, the strongest contribution first.
    pub factors: Vec<FactorShare>,
    /// `bias` + the contributions.
    pub logit: f64,
    /// 0..1.
    pub score: f64,
    /// At or above this score: `weak_signal`.
    pub weak_signal_from: f64,
    /// At or above this score: `signal`.
    pub signal_from: f64,
    /// `noise`, `weak_signal` or `signal`.
    pub class: &'static str,
    /// `name@version+hash` of the rules used.
    pub rules: String,
    /// The judgement on spam, apart from the score.
    pub spam: SpamExplanation,
}

/// A probability of spam, taken apart: `bias` and all contributions are `logit`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpamExplanation {
    /// What every message starts with, in logits.
    pub bias: f64,
    /// Every cue, the strongest contribution first.
    pub cues: Vec<FactorShare>,
    /// `bias` + the contributions.
    pub logit: f64,
    /// 0..1.
    pub score: f64,
    /// At or above this probability: the flag `spam`.
    pub spam_from: f64,
    /// Whether the flag is set.
    pub is_spam: bool,
}

/// What one factor added.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorShare {
    /// Its name.
    pub name: &'static str,
    /// What it measured.
    pub value: f64,
    /// Logits per unit of value.
    pub weight: f64,
    /// `value` × `weight`, to four decimals.
    pub contribution: f64,
    /// The words that made it, as they stand in the text.
    pub evidence: Vec<String>,
}

/// The explanation of the score that [`score`](crate::score()) gives.
pub fn explain(message: &MessageView<'_>, rules: &Rules) -> Explanation {
    let mut evidence = Evidence::default();
    let scored = Scored::witnessed(message, rules, &mut evidence);
    let mut factors: Vec<FactorShare> = Factor::ALL
        .iter()
        .map(|&factor| FactorShare {
            name: factor.name(),
            value: scored.values[factor as usize],
            weight: rules.weight(factor),
            contribution: scored.contributions[factor as usize],
            evidence: evidence.of(factor, scored.model_column),
        })
        .collect();
    strongest_first(&mut factors);
    let chat = rules.chat(message.chat);
    Explanation {
        spam: spam(&scored, &evidence, rules, chat.spam_from),
        bias: rules.bias(),
        factors,
        logit: scored.logit,
        score: scored.score,
        weak_signal_from: chat.weak_signal_from,
        signal_from: chat.signal_from,
        class: scored.class.as_str(),
        rules: rules.version().to_owned(),
    }
}

fn spam(scored: &Scored, evidence: &Evidence, rules: &Rules, spam_from: f64) -> SpamExplanation {
    let mut cues: Vec<FactorShare> = SpamCue::ALL
        .iter()
        .map(|&cue| {
            let (value, weight) = (scored.cues[cue as usize], rules.spam_weight(cue));
            FactorShare {
                name: cue.name(),
                value,
                weight,
                contribution: value * weight,
                evidence: match cue {
                    SpamCue::Model => evidence.grams(model::SPAM),
                    _ => Vec::new(),
                },
            }
        })
        .collect();
    strongest_first(&mut cues);
    SpamExplanation {
        bias: rules.spam_bias(),
        cues,
        logit: crate::spam::logit(&scored.cues, rules),
        score: scored.spam_score,
        spam_from,
        is_spam: scored.is_spam,
    }
}

fn strongest_first(shares: &mut [FactorShare]) {
    shares.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
}

/// Words and n-grams kept per factor.
const MAX_EVIDENCE: usize = 12;

#[derive(Default)]
struct Evidence {
    words: Vec<(Factor, String)>,
    /// N-grams with their buckets, each once.
    grams: Vec<(u32, String)>,
    n_grams: u32,
}

impl Evidence {
    fn of(&self, factor: Factor, column: usize) -> Vec<String> {
        if factor == Factor::Model {
            return self.grams(column);
        }
        let words = self.words.iter().filter(|(f, _)| *f == factor);
        words
            .map(|(_, word)| word.clone())
            .take(MAX_EVIDENCE)
            .collect()
    }

    /// The n-grams that pushed most, each with its push in logits: `прод впав +0.42`.
    fn grams(&self, column: usize) -> Vec<String> {
        let push = |bucket| {
            let weight = model::SHIPPED.weight(bucket, column);
            model::SHIPPED.push(weight, self.n_grams, column)
        };
        let mut pushes: Vec<(f64, &str)> = self
            .grams
            .iter()
            .map(|(bucket, gram)| (push(*bucket), gram.as_str()))
            .filter(|(push, _)| push.abs() >= 0.005)
            .collect();
        pushes.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
        let shown = pushes.iter().take(MAX_EVIDENCE);
        shown
            .map(|(push, gram)| format!("{gram} {push:+.2}"))
            .collect()
    }
}

impl Witness for Evidence {
    fn saw(&mut self, factor: Factor, word: &str) {
        self.words.push((factor, word.to_owned()));
    }

    fn saw_gram(&mut self, bucket: u32, gram: Gram<'_>) {
        self.n_grams += 1;
        if !self.grams.iter().any(|(known, _)| *known == bucket) {
            self.grams.push((bucket, gram.to_string()));
        }
    }
}
