//! Judgements against labels: counted as they come, made precision and recall when asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telesift_schemas::Class;

use super::{Twin, Verdict};
use crate::replays::Label;

/// Labelled message versions, and how both rule sets judge them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCounts {
    /// By class.
    pub classes: Twin<Confusion>,
    /// By the flag `spam`.
    pub spam: Twin<SpamCounts>,
}

impl LabelCounts {
    /// Counts one labelled message.
    pub fn add(&mut self, label: Label, verdicts: Twin<Verdict>) {
        if let Some(class) = label.class {
            self.classes.base.add(class, verdicts.base.class);
            self.classes.new.add(class, verdicts.new.class);
        }
        if let Some(spam) = label.spam {
            self.spam.base.add(spam, verdicts.base.spam);
            self.spam.new.add(spam, verdicts.new.spam);
        }
    }

    /// Whether no label was met.
    pub fn is_empty(&self) -> bool {
        *self == LabelCounts::default()
    }
}

/// How often each labelled class was judged as each class: `[labelled][judged]`, ascending by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confusion(pub [[u64; 3]; 3]);

impl Confusion {
    fn add(&mut self, labelled: Class, judged: Class) {
        self.0[labelled as usize][judged as usize] += 1;
    }

    /// Messages labelled.
    pub fn n(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// With everything but noise as positive: what was wanted and found.
    pub fn wanted(&self) -> Quality {
        let is_wanted = |class: usize| class != Class::Noise as usize;
        self.quality(is_wanted)
    }

    /// Each class against the other two.
    pub fn by_class(&self) -> BTreeMap<&'static str, Quality> {
        let of = |class: Class| (class.as_str(), self.quality(|c| c == class as usize));
        Class::ALL.into_iter().map(of).collect()
    }

    fn quality(&self, is_positive: impl Fn(usize) -> bool) -> Quality {
        let mut counts = SpamCounts::default();
        for (labelled, row) in self.0.iter().enumerate() {
            for (judged, n) in row.iter().enumerate() {
                *counts.cell(is_positive(labelled), is_positive(judged)) += n;
            }
        }
        counts.quality()
    }
}

/// How often a labelled property was judged to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpamCounts {
    /// There, and found.
    pub true_positive: u64,
    /// Not there, but found.
    pub false_positive: u64,
    /// There, but not found.
    pub false_negative: u64,
    /// Not there, and not found.
    pub true_negative: u64,
}

impl SpamCounts {
    fn add(&mut self, labelled: bool, judged: bool) {
        *self.cell(labelled, judged) += 1;
    }

    fn cell(&mut self, labelled: bool, judged: bool) -> &mut u64 {
        match (labelled, judged) {
            (true, true) => &mut self.true_positive,
            (false, true) => &mut self.false_positive,
            (true, false) => &mut self.false_negative,
            (false, false) => &mut self.true_negative,
        }
    }

    /// Messages labelled.
    pub fn n(&self) -> u64 {
        self.true_positive + self.false_positive + self.false_negative + self.true_negative
    }

    /// As precision and recall.
    pub fn quality(&self) -> Quality {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let (found, there) = (
            self.true_positive + self.false_positive,
            self.true_positive + self.false_negative,
        );
        Quality {
            labelled: there,
            judged: found,
            precision: share(self.true_positive, found),
            recall: share(self.true_positive, there),
            f1: share(2 * self.true_positive, found + there),
        }
    }
}

/// How well a property is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Labelled messages that have it.
    pub labelled: u64,
    /// Labelled messages judged to have it.
    pub judged: u64,
    /// 0..1: of those judged to have it, the share that does; `None` if none was.
    pub precision: Option<f64>,
    /// 0..1: of those that have it, the share judged so; `None` if none has.
    pub recall: Option<f64>,
    /// 0..1: harmonic mean of the two, 2·TP / (2·TP + FP + FN).
    pub f1: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_and_recall_are_of_what_is_wanted_and_of_each_class() {
        // Labelled noise: 6 as noise, 2 as weak; weak: 1, 3, 0; signal: 1, 1, 2.
        let confusion = Confusion([[6, 2, 0], [1, 3, 0], [1, 1, 2]]);
        let wanted = confusion.wanted();
        assert_eq!((wanted.labelled, wanted.judged, confusion.n()), (8, 8, 16));
        assert_eq!((wanted.precision, wanted.recall), (Some(0.75), Some(0.75)));
        let by_class = confusion.by_class();
        assert_eq!(by_class["signal"].precision, Some(1.0));
        assert_eq!(by_class["signal"].recall, Some(0.5));
        assert_eq!(by_class["weak_signal"].precision, Some(0.5));
        assert_eq!(by_class["noise"].recall, Some(0.75));
    }

    #[test]
    fn nothing_found_has_no_precision_and_nothing_there_no_recall() {
        let quality = SpamCounts {
            true_negative: 3,
            ..SpamCounts::default()
        }
        .quality();
        assert_eq!(
            (quality.precision, quality.recall, quality.f1),
            (None, None, None)
        );
    }
}
