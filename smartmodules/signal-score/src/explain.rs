//! Why a message got its score: the same judgement, with its intermediate values and words.

use crate::{Factor, MessageView, Rules, Scored, analysis::Witness};

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
            evidence: evidence.of(factor),
        })
        .collect();
    factors.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    Explanation {
        bias: rules.bias(),
        factors,
        logit: scored.logit,
        score: scored.score,
        weak_signal_from: rules.weak_signal_from(),
        signal_from: rules.signal_from(),
        class: scored.class.as_str(),
        rules: rules.version().to_owned(),
    }
}

/// Words kept per factor.
const MAX_WORDS: usize = 12;

#[derive(Default)]
struct Evidence(Vec<(Factor, String)>);

impl Evidence {
    fn of(&self, factor: Factor) -> Vec<String> {
        let words = self.0.iter().filter(|(f, _)| *f == factor);
        words
            .map(|(_, word)| word.clone())
            .take(MAX_WORDS)
            .collect()
    }
}

impl Witness for Evidence {
    fn saw(&mut self, factor: Factor, word: &str) {
        self.0.push((factor, word.to_owned()));
    }
}
