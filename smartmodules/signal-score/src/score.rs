//! The score: contributions added up in a fixed order, made a probability, cut into classes.

use telesift_schemas::{Class, Screen, flags};

use crate::{
    Factor, MessageView, Rules,
    analysis::{Analysis, NoWitness, Witness},
    factors::{Values, values},
    spam::{self, CueValues},
};

/// A message judged, with all that led to it.
#[derive(Clone, Debug)]
pub struct Scored {
    /// By the two thresholds on `score`.
    pub class: Class,
    /// 0..1: probability that an analyst would not call it noise; four decimals.
    pub score: f64,
    /// Bias plus contributions.
    pub logit: f64,
    /// Whether the probability of spam reaches its threshold.
    pub is_spam: bool,
    /// 0..1: probability that it is spam, apart from importance.
    pub spam_score: f64,
    pub(crate) values: Values,
    pub(crate) contributions: Values,
    /// The column of the model that decided its contribution.
    pub(crate) model_column: usize,
    pub(crate) cues: CueValues,
}

/// What screening says about the message.
pub fn score(message: &MessageView<'_>, rules: &Rules) -> Screen {
    let scored = Scored::new(message, rules);
    Screen {
        class: scored.class,
        score: scored.score,
        factors: scored
            .counting()
            .map(|(f, c)| (f.name().to_owned(), c))
            .collect(),
        flags: scored.flags(message).map(str::to_owned).collect(),
        spam_score: Some(scored.spam_score),
        rules: rules.version().to_owned(),
    }
}

impl Scored {
    /// Judges the message.
    pub fn new(message: &MessageView<'_>, rules: &Rules) -> Self {
        Self::witnessed(message, rules, &mut NoWitness)
    }

    pub(crate) fn witnessed(
        message: &MessageView<'_>,
        rules: &Rules,
        witness: &mut impl Witness,
    ) -> Self {
        let text = Analysis::new(&message.text, rules, witness);
        let chat = rules.chat(message.chat);
        let cues = spam::values(&text);
        let spam_score = four_decimals(logistic(spam::logit(&cues, rules)));
        let is_spam = spam_score >= chat.spam_from;
        let spam = if is_spam { spam_score } else { 0.0 };
        let (values, model_column) = values(message, &text, rules, spam);

        let mut contributions = [0.0; Factor::COUNT];
        let mut logit = rules.bias();
        for &factor in Factor::ALL {
            let i = factor as usize;
            if values[i] != 0.0 {
                contributions[i] = four_decimals(values[i] * rules.weight(factor));
                logit += contributions[i];
            }
        }
        // Nothing is certain; and a threshold of 1 lets nothing through.
        let score = four_decimals(logistic(logit)).clamp(0.0001, 0.9999);
        let class = if score >= chat.signal_from {
            Class::Signal
        } else if score >= chat.weak_signal_from {
            Class::WeakSignal
        } else {
            Class::Noise
        };
        Scored {
            class,
            score,
            logit,
            is_spam,
            spam_score,
            values,
            contributions,
            model_column,
            cues,
        }
    }

    /// The factors that counted, with their contributions, in order.
    pub fn counting(&self) -> impl Iterator<Item = (Factor, f64)> + '_ {
        let all = Factor::ALL
            .iter()
            .map(|f| (*f, self.contributions[*f as usize]));
        all.filter(|(_, contribution)| *contribution != 0.0)
    }

    /// The message's flags, and that of spam.
    pub(crate) fn flags<'a>(
        &self,
        message: &'a MessageView<'_>,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let known = message.flags.iter().map(|flag| flag.0.as_ref());
        let is_new = self.is_spam && !known.clone().any(|flag| flag == flags::SPAM);
        known.chain(is_new.then_some(flags::SPAM))
    }
}

/// 1 / (1 + e^−x), by the `exp` that guest and host share.
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// Enough to tell scores apart, and short in JSON.
fn four_decimals(x: f64) -> f64 {
    libm::round(x * 10_000.0) / 10_000.0
}

#[cfg(test)]
mod tests;
