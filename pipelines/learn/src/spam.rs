//! Spam: labelled messages in, weights of cues and n-grams out.

use telesift_signal_score::{Features, MessageView, Rules, SpamCue, features};

use crate::{
    fit::{Example, Fitted, Options, fit},
    labels::Labelled,
    screening::Sample,
};

/// The cues whose weights are learned.
pub fn learned_cues() -> impl Iterator<Item = SpamCue> {
    SpamCue::ALL
        .iter()
        .copied()
        .filter(|cue| *cue != SpamCue::Model)
}

/// The labels as examples, each of the given weight; what is not said to be spam is none.
pub fn samples<'a>(labels: &'a [Labelled], rules: &Rules, weight: f64) -> Vec<Sample<'a>> {
    labels
        .iter()
        .map(|label| Sample {
            label,
            example: example(
                &features(&MessageView::of_text(&label.text), rules),
                label.spam == Some(true),
                weight,
            ),
        })
        .collect()
}

fn example(features: &Features, is_spam: bool, weight: f64) -> Example {
    Example {
        dense: learned_cues()
            .map(|cue| features.cues[cue as usize])
            .collect(),
        buckets: features.buckets.clone(),
        level: u8::from(is_spam),
        weight,
    }
}

/// Where fitting starts, and what it is held near: the weights of the rules.
pub fn start(rules: &Rules) -> Fitted {
    Fitted {
        bias: rules.spam_bias(),
        gap: 0.0,
        dense: learned_cues().map(|cue| rules.spam_weight(cue)).collect(),
        grams: Vec::new(),
        second_grams: Vec::new(),
    }
}

/// A model of spam from the examples.
pub fn train(examples: &[Example], rules: &Rules, options: Options) -> Fitted {
    let options = Options {
        second_cut: 0.0,
        ..options
    };
    fit(examples, &start(rules), true, options)
}
