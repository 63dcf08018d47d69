//! Importance: labelled messages in, weights of factors and n-grams out.

use telesift_schemas::Class;
use telesift_signal_score::{Factor, Features, MessageView, Rules, features};

use crate::{
    fit::{Example, Fitted, Options, fit, sigmoid},
    folds::fold_of,
    labels::Labelled,
};

/// The factors whose weights are learned.
pub fn learned_factors() -> impl Iterator<Item = Factor> {
    Factor::ALL.iter().copied().filter(|f| f.is_learned())
}

/// An example with its text, which says its fold.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// The label it was made of.
    pub label: &'a Labelled,
    /// What is fitted.
    pub example: Example,
}

/// The labels that have a class, as examples, each of the given weight.
pub fn samples<'a>(labels: &'a [Labelled], rules: &Rules, weight: f64) -> Vec<Sample<'a>> {
    let classed = labels
        .iter()
        .filter_map(|label| Some((label, label.class?)));
    classed
        .map(|(label, class)| Sample {
            label,
            example: example(
                &features(&MessageView::of_text(&label.text), rules),
                class,
                weight,
            ),
        })
        .collect()
}

fn example(features: &Features, class: Class, weight: f64) -> Example {
    Example {
        dense: learned_factors()
            .map(|f| features.values[f as usize])
            .collect(),
        buckets: features.buckets.clone(),
        level: class as u8,
        weight,
    }
}

/// Where fitting starts, and what it is held near: the weights of the rules.
pub fn start(rules: &Rules) -> Fitted {
    let logit = |p: f64| libm::log(p / (1.0 - p));
    Fitted {
        bias: rules.bias(),
        gap: logit(rules.signal_from()),
        dense: learned_factors().map(|f| rules.weight(f)).collect(),
        grams: Vec::new(),
        second_grams: Vec::new(),
    }
}

/// Logits of the first and the second cut of all samples, each by a model that has not seen its fold.
pub fn out_of_fold(
    samples: &[Sample<'_>],
    rules: &Rules,
    options: Options,
    n_folds: u64,
) -> Vec<(f64, f64)> {
    let mut logits = vec![(0.0, 0.0); samples.len()];
    for fold in 0..n_folds {
        let is_out = |s: &Sample<'_>| fold_of(&s.label.text, n_folds) == fold;
        let training: Vec<Example> = samples
            .iter()
            .filter(|s| !is_out(s))
            .map(|s| s.example.clone())
            .collect();
        let fitted = fit(&training, &start(rules), true, options);
        for (logits, sample) in logits.iter_mut().zip(samples).filter(|(_, s)| is_out(s)) {
            let example = &sample.example;
            *logits = (fitted.logit(example), fitted.second_logit(example));
        }
    }
    logits
}

/// Scale and offset that make `logits` say how often `is_so` holds (Platt, "Probabilistic Outputs for Support Vector
/// Machines", 1999).
pub fn calibrate(logits: &[(f64, bool, f64)]) -> (f64, f64) {
    let examples: Vec<Example> = logits
        .iter()
        .map(|(logit, is_so, weight)| Example {
            dense: vec![*logit],
            buckets: Vec::new(),
            level: u8::from(*is_so),
            weight: *weight,
        })
        .collect();
    let start = Fitted {
        bias: 0.0,
        gap: 0.0,
        dense: vec![1.0],
        grams: Vec::new(),
        second_grams: Vec::new(),
    };
    let options = Options {
        gram_penalty: 0.0,
        dense_penalty: 1e-3,
        second_cut: 0.0,
        apart: false,
        n_steps: 400,
    };
    let fitted = fit(&examples, &start, false, options);
    (fitted.dense[0], fitted.bias)
}

/// The class of a score between two cuts.
pub fn class_of(logit: f64, weak_from: f64, signal_from: f64) -> Class {
    let score = sigmoid(logit);
    if score >= signal_from {
        Class::Signal
    } else if score >= weak_from {
        Class::WeakSignal
    } else {
        Class::Noise
    }
}
