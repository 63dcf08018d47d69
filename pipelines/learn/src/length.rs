//! The baseline to beat: two cuts on the number of characters, and nothing else.

use std::collections::BTreeSet;

use telesift_schemas::Class;

use crate::{folds::fold_of, labels::Labelled, metrics::Confusion};

/// Folds of [`out_of_fold`].
const N_FOLDS: u64 = 5;

/// The two cuts with the best mean F1: fewest characters of a `weak_signal` and of a `signal`.
pub fn fit(labels: &[&Labelled]) -> (usize, usize) {
    let sized: Vec<(usize, Class)> = labels
        .iter()
        .filter_map(|label| Some((size(label), label.class?)))
        .collect();
    let sizes: BTreeSet<usize> = sized.iter().map(|(size, _)| *size).collect();
    // More cuts than these tell nothing more apart, and the pairs of all would be many.
    let step = sizes.len().div_ceil(120).max(1);
    let cuts: Vec<usize> = sizes.into_iter().step_by(step).collect();
    let f1 = |weak: usize, signal: usize| {
        let mut confusion = Confusion::default();
        for (size, truth) in &sized {
            confusion.add(*truth, class_of(*size, (weak, signal)));
        }
        confusion.macro_f1()
    };
    let mut best = ((0, 0), -1.0);
    for (i, weak) in cuts.iter().enumerate() {
        for signal in &cuts[i..] {
            let f1 = f1(*weak, *signal);
            if f1 > best.1 {
                best = ((*weak, *signal), f1);
            }
        }
    }
    best.0
}

/// What each label is called by cuts fitted to the other folds.
pub fn out_of_fold(labels: &[&Labelled]) -> Vec<Class> {
    let cuts: Vec<(usize, usize)> = (0..N_FOLDS)
        .map(|fold| {
            let others = labels.iter().filter(|l| fold_of(&l.text, N_FOLDS) != fold);
            fit(&others.copied().collect::<Vec<_>>())
        })
        .collect();
    let called = |label: &&Labelled| {
        let fold = fold_of(&label.text, N_FOLDS) as usize;
        class_of(size(label), cuts[fold])
    };
    labels.iter().map(called).collect()
}

fn size(label: &Labelled) -> usize {
    label.text.chars().count()
}

/// The class of a text of `size` characters.
pub fn class_of(size: usize, (weak, signal): (usize, usize)) -> Class {
    if size >= signal {
        Class::Signal
    } else if size >= weak {
        Class::WeakSignal
    } else {
        Class::Noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_found_where_length_decides() {
        let label = |size: usize, class| Labelled {
            text: "а".repeat(size),
            lang: "uk".into(),
            class: Some(class),
            spam: None,
            chat: None,
        };
        let labels: Vec<Labelled> = (1..40)
            .map(|size| label(size, class_of(size, (10, 25))))
            .collect();
        let labels: Vec<&Labelled> = labels.iter().collect();
        assert_eq!(fit(&labels), (10, 25));
    }
}
