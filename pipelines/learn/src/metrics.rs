//! Figures: predictions beside truth in; confusion, precision, recall, F1 and calibration out.

use serde::Serialize;
use telesift_schemas::Class;

/// How often each class was called each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// `counts[truth][predicted]`, classes ascending.
    pub counts: [[u64; 3]; 3],
}

/// Precision, recall and F1 of a class; 0 where nothing can be divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Of what was called so, the share that is.
    pub precision: f64,
    /// Of what is so, the share that was called so.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// How many are so.
    pub n: u64,
}

impl Confusion {
    /// Counts one message.
    pub fn add(&mut self, truth: Class, predicted: Class) {
        self.counts[truth as usize][predicted as usize] += 1;
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Confusion) {
        let counts = self.counts.iter_mut().flatten();
        counts
            .zip(other.counts.iter().flatten())
            .for_each(|(n, m)| *n += m);
    }

    /// All messages counted.
    pub fn n(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The share called right.
    pub fn accuracy(&self) -> f64 {
        ratio((0..3).map(|i| self.counts[i][i]).sum(), self.n())
    }

    /// The figures of a class.
    pub fn of(&self, class: Class) -> ClassFigures {
        let i = class as usize;
        let hits = self.counts[i][i];
        let called = (0..3).map(|truth| self.counts[truth][i]).sum();
        let n = self.counts[i].iter().sum();
        figures(hits, called, n)
    }

    /// The mean F1 of the classes that occur.
    pub fn macro_f1(&self) -> f64 {
        let present: Vec<ClassFigures> = Class::ALL
            .map(|c| self.of(c))
            .into_iter()
            .filter(|f| f.n > 0)
            .collect();
        if present.is_empty() {
            return 0.0;
        }
        present.iter().map(|f| f.f1).sum::<f64>() / present.len() as f64
    }
}

/// Yes or no, beside the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Binary {
    /// Yes, and so it is.
    pub true_positive: u64,
    /// Yes, though it is not.
    pub false_positive: u64,
    /// No, though it is.
    pub false_negative: u64,
    /// No, and it is not.
    pub true_negative: u64,
}

impl Binary {
    /// Counts one message.
    pub fn add(&mut self, truth: bool, predicted: bool) {
        self.add_many(truth, predicted, 1);
    }

    /// Counts `n` messages.
    pub fn add_many(&mut self, truth: bool, predicted: bool, n: u64) {
        *match (truth, predicted) {
            (true, true) => &mut self.true_positive,
            (false, true) => &mut self.false_positive,
            (true, false) => &mut self.false_negative,
            (false, false) => &mut self.true_negative,
        } += n;
    }

    /// Precision, recall and F1 of yes.
    pub fn figures(&self) -> ClassFigures {
        figures(
            self.true_positive,
            self.true_positive + self.false_positive,
            self.true_positive + self.false_negative,
        )
    }

    /// Of those that are not, the share called so.
    pub fn false_positive_rate(&self) -> f64 {
        ratio(
            self.false_positive,
            self.false_positive + self.true_negative,
        )
    }
}

fn figures(hits: u64, called: u64, n: u64) -> ClassFigures {
    let (precision, recall) = (ratio(hits, called), ratio(hits, n));
    let f1 = if hits == 0 {
        0.0
    } else {
        2.0 * precision * recall / (precision + recall)
    };
    ClassFigures {
        precision,
        recall,
        f1,
        n,
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A range of scores, and how often those with such a score are not noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Lowest score.
    pub from: f64,
    /// Highest score, not included but for 1.
    pub to: f64,
    /// Messages with such a score.
    pub n: u64,
    /// Their mean score.
    pub mean_score: f64,
    /// The share of them that is not noise.
    pub share: f64,
}

/// Ten bins of equal width over `(score, is it so)`.
pub fn calibration(scores: &[(f64, bool)]) -> Vec<CalibrationBin> {
    let mut bins: Vec<CalibrationBin> = (0..10)
        .map(|i| CalibrationBin {
            from: f64::from(i) / 10.0,
            to: f64::from(i + 1) / 10.0,
            ..CalibrationBin::default()
        })
        .collect();
    for (score, so) in scores {
        let bin = &mut bins[((score * 10.0) as usize).min(9)];
        bin.n += 1;
        bin.mean_score += score;
        bin.share += if *so { 1.0 } else { 0.0 };
    }
    for bin in &mut bins {
        let n = bin.n.max(1) as f64;
        bin.mean_score /= n;
        bin.share /= n;
    }
    bins
}

/// Expected calibration error: mean distance of share and score over the bins, weighted by their size (Naeini et al.,
/// "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015). 0 is best.
pub fn calibration_error(bins: &[CalibrationBin]) -> f64 {
    let n: u64 = bins.iter().map(|bin| bin.n).sum();
    let off: f64 = bins
        .iter()
        .map(|bin| bin.n as f64 * (bin.share - bin.mean_score).abs())
        .sum();
    if n == 0 { 0.0 } else { off / n as f64 }
}

/// The mean of `values` and half the width of its 95 % interval, by Student's t.
pub fn mean_and_interval(values: &[f64]) -> (f64, f64) {
    let n = values.len();
    if n == 0 {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    if n == 1 {
        return (mean, f64::INFINITY);
    }
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1) as f64;
    // Two-sided 95 % quantiles of Student's t by degrees of freedom.
    const T: [f64; 10] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    ];
    let t = T.get(n - 2).copied().unwrap_or(1.96);
    (mean, t * libm::sqrt(variance / n as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_textbook() {
        let mut confusion = Confusion::default();
        for (truth, predicted, n) in [
            (Class::Noise, Class::Noise, 8),
            (Class::Noise, Class::Signal, 2),
            (Class::Signal, Class::Signal, 6),
            (Class::Signal, Class::Noise, 4),
        ] {
            (0..n).for_each(|_| confusion.add(truth, predicted));
        }
        let noise = confusion.of(Class::Noise);
        assert!((noise.precision - 8.0 / 12.0).abs() < 1e-12 && (noise.recall - 0.8).abs() < 1e-12);
        assert!((confusion.accuracy() - 0.7).abs() < 1e-12);
        let signal = confusion.of(Class::Signal);
        assert!(
            (confusion.macro_f1() - (noise.f1 + signal.f1) / 2.0).abs() < 1e-12,
            "an absent class does not count"
        );
    }

    #[test]
    fn calibration_compares_scores_with_shares() {
        let scores: Vec<(f64, bool)> = (0..100)
            .map(|i| (0.85, i < 85))
            .chain([(1.0, true)])
            .collect();
        let bins = calibration(&scores);
        assert_eq!((bins[8].n, bins[9].n), (100, 1));
        assert!(calibration_error(&bins) < 1e-9);
    }

    #[test]
    fn an_interval_is_that_of_students_t() {
        let (mean, half) = mean_and_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((mean - 3.0).abs() < 1e-12);
        assert!(
            (half - 2.776 * (2.5f64 / 5.0).sqrt()).abs() < 1e-9,
            "{half}"
        );
    }
}
