//! Explanations: the modules' own rules, run natively over a raw record.

use telesift_ports::explain::{Explainer, Explanation, Factor};
use telesift_schemas::Normalized;
use telesift_signal_score::{MessageView, Rules, explain};

/// Explains by the rules it was made with; the same pure functions that stand in the guests, so the score is the same.
#[derive(Clone, Debug, Default)]
pub struct NativeExplainer {
    rules: Rules,
}

impl NativeExplainer {
    /// Explains by `rules`; those that ship are the default.
    pub fn new(rules: Rules) -> Self {
        NativeExplainer { rules }
    }
}

impl Explainer for NativeExplainer {
    fn explain(&self, raw: &[u8]) -> Option<Explanation> {
        let Ok(Normalized::Message(message)) = telesift_normalize::normalize(raw) else {
            return None;
        };
        let explained = explain(&MessageView::from(message.as_ref()), &self.rules);
        let factor = |share: telesift_signal_score::FactorShare| Factor {
            name: share.name.to_owned(),
            value: share.value,
            weight: share.weight,
            contribution: share.contribution,
            evidence: share.evidence,
        };
        Some(Explanation {
            bias: explained.bias,
            factors: explained.factors.into_iter().map(factor).collect(),
            logit: explained.logit,
            score: explained.score,
            weak_signal_from: explained.weak_signal_from,
            signal_from: explained.signal_from,
            class: explained.class.to_owned(),
            rules: explained.rules,
        })
    }
}
