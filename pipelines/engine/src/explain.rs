//! Explanations: the modules' own rules, run natively over a raw record.

use telesift_ports::{
    explain::{Explainer, Explanation, Factor, SpamExplanation},
    rules::RuleSet,
};
use telesift_schemas::Normalized;
use telesift_signal_score::{MessageView, explain};

use crate::rules::ReadRules;

/// Explains by the same pure functions that stand in the guests, so the score is the same.
#[derive(Debug, Default)]
pub struct NativeExplainer {
    rules: ReadRules,
}

impl Explainer for NativeExplainer {
    fn explain(&self, raw: &[u8], rules: &RuleSet) -> Option<Explanation> {
        let Ok(Normalized::Message(message)) = telesift_normalize::normalize(raw) else {
            return None;
        };
        let rules = self.rules.of(rules)?;
        let explained = explain(&MessageView::from(message.as_ref()), &rules);
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
            spam: SpamExplanation {
                bias: explained.spam.bias,
                cues: explained.spam.cues.into_iter().map(factor).collect(),
                logit: explained.spam.logit,
                score: explained.spam.score,
                spam_from: explained.spam.spam_from,
                is_spam: explained.spam.is_spam,
            },
        })
    }
}
