//! Why a message got its score.

use serde::Serialize;

use crate::rules::RuleSet;

/// Explains scores: the same pure function as the SmartModules, with its intermediate values.
pub trait Explainer: Send + Sync + 'static {
    /// The explanation of the raw record `raw` by `rules`; `None` if the record gives no message, or the rules cannot be
    /// read.
    fn explain(&self, raw: &[u8], rules: &RuleSet) -> Option<Explanation>;
}

/// A score, taken apart. `bias` and all contributions add up to `logit`; `score` is the calibrated probability of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What every message starts with, in logits.
    pub bias: f64,
    /// Every factor that could count, the strongest contribution first.
    pub factors: Vec<Factor>,
    /// `bias` + the contributions.
    pub logit: f64,
    /// 0..1.
    pub score: f64,
    /// At or above this score: `weak_signal`.
    pub weak_signal_from: f64,
    /// At or above this score: `signal`.
    pub signal_from: f64,
    /// `noise`, `weak_signal` or `signal`.
    pub class: String,
    /// `name@version+hash` of the rules used.
    pub rules: String,
    /// The judgement on spam, apart from the score.
    pub spam: SpamExplanation,
}

/// A probability of spam, taken apart. `bias` and all contributions add up to `logit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpamExplanation {
    /// What every message starts with, in logits.
    pub bias: f64,
    /// Every cue that could count, the strongest contribution first.
    pub cues: Vec<Factor>,
    /// `bias` + the contributions.
    pub logit: f64,
    /// 0..1.
    pub score: f64,
    /// At or above this probability: the flag `spam`.
    pub spam_from: f64,
    /// Whether that sets the flag.
    pub is_spam: bool,
}

/// One factor of a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Factor {
    /// Its name, as in `screen.factors`.
    pub name: String,
    /// What it measured.
    pub value: f64,
    /// Logits per unit of value.
    pub weight: f64,
    /// `value` × `weight`.
    pub contribution: f64,
    /// The words or n-grams that made it, where there are any.
    pub evidence: Vec<String>,
}
