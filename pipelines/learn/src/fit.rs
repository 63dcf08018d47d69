//! Fitting: examples of dense values and hashed n-grams in, weights out.
//!
//! One linear function `f` of an example, and two cuts on it: `P(not noise) = σ(f)` and `P(signal) = σ(f − gap)`, the
//! cumulative-logit model of ordered classes (McCullagh, "Regression Models for Ordinal Data", JRSS B, 1980), fitted as two
//! logistic losses that share `f`; where each cut has n-gram weights of its own, they share the dense part only (a partial
//! proportional odds model: Peterson and Harrell, Applied Statistics, 1990). With one loss only it is plain logistic
//! regression. Weights are held near a given start by a quadratic penalty, so that few labels move them little.

use telesift_signal_score::model::{N_BUCKETS, damping};

/// An example, reduced to what is fitted.
#[derive(Clone, Debug)]
pub struct Example {
    /// Values of the dense features.
    pub dense: Vec<f64>,
    /// Buckets of its n-grams.
    pub buckets: Vec<u32>,
    /// 0, 1 or 2: noise, weak signal, signal; or 0 and 1.
    pub level: u8,
    /// How much it counts.
    pub weight: f64,
}

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Penalty on the squares of n-gram weights.
    pub gram_penalty: f64,
    /// Penalty on the squares of what dense weights move from their start.
    pub dense_penalty: f64,
    /// What the second cut counts beside the first; 0 for two levels.
    pub second_cut: f64,
    /// With two cuts: whether each has n-gram weights of its own.
    pub apart: bool,
    /// Steps of the descent.
    pub n_steps: u32,
}

/// What was fitted.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The intercept.
    pub bias: f64,
    /// Where the second cut lies above the first.
    pub gap: f64,
    /// Weights of the dense features.
    pub dense: Vec<f64>,
    /// Weights of the buckets; empty if n-grams were not fitted.
    pub grams: Vec<f64>,
    /// Weights of the buckets for the second cut; empty if it has none of its own.
    pub second_grams: Vec<f64>,
}

impl Fitted {
    /// The linear function of an example.
    pub fn logit(&self, example: &Example) -> f64 {
        self.dense_logit(example) + self.grams_logit(&example.buckets)
    }

    /// The linear function of the second cut, above 0 from there on.
    pub fn second_logit(&self, example: &Example) -> f64 {
        let grams = if self.second_grams.is_empty() {
            &self.grams
        } else {
            &self.second_grams
        };
        self.dense_logit(example) + damped_sum(grams, &example.buckets) - self.gap
    }

    /// The intercept and the dense part.
    pub fn dense_logit(&self, example: &Example) -> f64 {
        let weighted = example.dense.iter().zip(&self.dense).map(|(v, w)| v * w);
        self.bias + weighted.sum::<f64>()
    }

    /// The part of the n-grams.
    pub fn grams_logit(&self, buckets: &[u32]) -> f64 {
        damped_sum(&self.grams, buckets)
    }
}

fn damped_sum(grams: &[f64], buckets: &[u32]) -> f64 {
    if grams.is_empty() {
        return 0.0;
    }
    let sum: f64 = buckets.iter().map(|b| grams[*b as usize]).sum();
    sum / damping(buckets.len() as u32)
}

/// Fits weights to the examples, from `start` on, by full-batch Adam (Kingma and Ba, ICLR 2015) with a step that falls to
/// nothing; deterministic.
pub fn fit(examples: &[Example], start: &Fitted, with_grams: bool, options: Options) -> Fitted {
    let n_dense = start.dense.len();
    let n_grams = if with_grams { N_BUCKETS } else { 0 };
    let n_second = if with_grams && options.apart {
        N_BUCKETS
    } else {
        0
    };
    // bias, gap, dense, grams, grams of the second cut
    let mut weights: Vec<f64> = [start.bias, start.gap]
        .into_iter()
        .chain(start.dense.iter().copied())
        .collect();
    weights.resize(2 + n_dense + n_grams + n_second, 0.0);
    let origin = weights.clone();
    let total: f64 = examples.iter().map(|e| e.weight).sum::<f64>().max(1e-9);
    let mut adam = Adam::new(weights.len());
    let mut gradient = vec![0.0; weights.len()];
    for step in 0..options.n_steps {
        gradient.fill(0.0);
        for example in examples {
            add_gradient(
                example,
                &weights,
                n_dense,
                n_grams > 0,
                options.second_cut,
                &mut gradient,
            );
        }
        for (i, g) in gradient.iter_mut().enumerate() {
            let penalty = match i {
                0 | 1 => options.dense_penalty * 0.1,
                i if i < 2 + n_dense => options.dense_penalty,
                _ => options.gram_penalty,
            };
            *g = (*g + penalty * (weights[i] - origin[i])) / total;
        }
        let progress = f64::from(step) / f64::from(options.n_steps.max(1));
        adam.step(&mut weights, &gradient, 0.1 * (1.0 - progress));
        weights[1] = weights[1].max(0.0);
    }
    Fitted {
        bias: weights[0],
        gap: weights[1],
        dense: weights[2..2 + n_dense].to_vec(),
        grams: weights[2 + n_dense..2 + n_dense + n_grams].to_vec(),
        second_grams: weights[2 + n_dense + n_grams..].to_vec(),
    }
}

fn add_gradient(
    example: &Example,
    weights: &[f64],
    n_dense: usize,
    with_grams: bool,
    second_cut: f64,
    gradient: &mut [f64],
) {
    let (head, grams) = weights.split_at(2 + n_dense);
    let mut f = head[0];
    for (value, weight) in example.dense.iter().zip(&head[2..]) {
        f += value * weight;
    }
    let per_gram = 1.0 / damping(example.buckets.len() as u32);
    let (mut f1, mut f2) = (f, f - head[1]);
    let apart = grams.len() > N_BUCKETS;
    if with_grams {
        let sum: f64 = example.buckets.iter().map(|b| grams[*b as usize]).sum();
        f1 += sum * per_gram;
        if apart {
            let sum: f64 = example
                .buckets
                .iter()
                .map(|b| grams[N_BUCKETS + *b as usize])
                .sum();
            f2 += sum * per_gram;
        } else {
            f2 += sum * per_gram;
        }
    }
    let level = |at: u8| if example.level >= at { 1.0 } else { 0.0 };
    let first = example.weight * (sigmoid(f1) - level(1));
    let second = example.weight * second_cut * (sigmoid(f2) - level(2));
    let slope = first + second;
    gradient[0] += slope;
    gradient[1] -= second;
    for (value, g) in example.dense.iter().zip(&mut gradient[2..]) {
        *g += slope * value;
    }
    if with_grams {
        let at = 2 + n_dense;
        if apart {
            for bucket in &example.buckets {
                gradient[at + *bucket as usize] += first * per_gram;
                gradient[at + N_BUCKETS + *bucket as usize] += second * per_gram;
            }
        } else {
            for bucket in &example.buckets {
                gradient[at + *bucket as usize] += slope * per_gram;
            }
        }
    }
}

/// 1 / (1 + e^−x).
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

struct Adam {
    mean: Vec<f64>,
    square: Vec<f64>,
    n_steps: i32,
}

impl Adam {
    fn new(n: usize) -> Self {
        Adam {
            mean: vec![0.0; n],
            square: vec![0.0; n],
            n_steps: 0,
        }
    }

    fn step(&mut self, weights: &mut [f64], gradient: &[f64], rate: f64) {
        const KEEP_MEAN: f64 = 0.9;
        const KEEP_SQUARE: f64 = 0.99;
        self.n_steps += 1;
        let mean_part = 1.0 - libm::pow(KEEP_MEAN, f64::from(self.n_steps));
        let square_part = 1.0 - libm::pow(KEEP_SQUARE, f64::from(self.n_steps));
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((weight, g), (mean, square)) in weights.iter_mut().zip(gradient).zip(moments) {
            *mean = KEEP_MEAN * *mean + (1.0 - KEEP_MEAN) * g;
            *square = KEEP_SQUARE * *square + (1.0 - KEEP_SQUARE) * g * g;
            *weight -= rate * (*mean / mean_part) / (libm::sqrt(*square / square_part) + 1e-9);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Fitted {
        Fitted {
            bias: 0.0,
            gap: 1.0,
            dense: vec![0.0],
            grams: Vec::new(),
            second_grams: Vec::new(),
        }
    }

    const OPTIONS: Options = Options {
        gram_penalty: 0.1,
        dense_penalty: 0.1,
        second_cut: 1.0,
        apart: false,
        n_steps: 300,
    };

    #[test]
    fn ordered_classes_are_told_apart_by_value_and_gram() {
        let example = |value: f64, bucket: u32, level: u8| Example {
            dense: vec![value],
            buckets: vec![bucket; 8],
            level,
            weight: 1.0,
        };
        let examples: Vec<Example> = (0..90)
            .map(|i| match i % 3 {
                0 => example(0.0, 1, 0),
                1 => example(1.0, 2, 1),
                _ => example(2.0, 3, 2),
            })
            .collect();
        let fitted = fit(&examples, &start(), true, OPTIONS);
        let logits: Vec<f64> = examples[..3].iter().map(|e| fitted.logit(e)).collect();
        assert!(
            logits[0] < 0.0 && logits[1] > 0.0 && logits[1] < fitted.gap,
            "{logits:?} {}",
            fitted.gap
        );
        assert!(logits[2] > fitted.gap, "{logits:?} {}", fitted.gap);
        assert_eq!(
            fitted.logit(&examples[0]),
            fit(&examples, &start(), true, OPTIONS).logit(&examples[0])
        );
    }
}
