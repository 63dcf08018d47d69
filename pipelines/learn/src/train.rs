//! The whole training: labelled sources in; the file of n-gram weights, the weights of a rule set, and figures out.

use telesift_schemas::Class;
use telesift_signal_score::{
    Factor, Rules, SpamCue,
    model::{MAGIC, N_BUCKETS, SIGNAL_FROM, joined},
};

use crate::{
    fit::{Example, Fitted, Options, fit},
    folds::fold_of,
    labels::Labelled,
    metrics::{Binary, Confusion},
    screening::{self, Sample, calibrate, class_of, learned_factors},
    spam::{self, learned_cues},
};

/// Labels of one origin.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called in figures.
    pub name: String,
    /// Its labels.
    pub labels: Vec<Labelled>,
    /// How much each counts for importance.
    pub weight: f64,
    /// How much each counts for spam; 0 leaves the source out there.
    pub spam_weight: f64,
}

/// What was learned.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The file of n-gram weights; see [`telesift_signal_score::model::Model`].
    pub model: Vec<u8>,
    /// The intercept of the rules.
    pub bias: f64,
    /// Weights of factors, two decimals.
    pub weights: Vec<(Factor, f64)>,
    /// Scores from which a message is `weak_signal` and `signal`, two decimals.
    pub thresholds: (f64, f64),
    /// The intercept of spam.
    pub spam_bias: f64,
    /// Weights of cues of spam, two decimals.
    pub spam_weights: Vec<(SpamCue, f64)>,
    /// Per source with classes: its name and what models that have not seen a message call it.
    pub out_of_fold: Vec<(String, Confusion)>,
    /// Spam, likewise.
    pub spam_out_of_fold: Vec<(String, Binary)>,
}

/// How importance is fitted. The penalties were chosen by cross-validation over the training data.
pub const IMPORTANCE: Options = Options {
    gram_penalty: 0.05,
    dense_penalty: 1.0,
    second_cut: 1.0,
    apart: true,
    n_steps: 200,
};

/// How spam is fitted.
pub const SPAM: Options = Options {
    gram_penalty: 0.01,
    dense_penalty: 2.0,
    second_cut: 0.0,
    apart: false,
    n_steps: 200,
};

/// What a spam message counts beside an honest one, of which there are many more.
const SPAM_BALANCE: f64 = 2.0;

/// Folds of the cross-validation that calibrates.
const N_FOLDS: u64 = 5;

/// Learns from `sources`, starting at the weights of `rules`. The same sources give the same bytes.
pub fn train(sources: &[Source], rules: &Rules) -> Trained {
    let importance = Importance::learn(sources, rules);
    let spam = Spam::learn(sources, rules);
    Trained {
        model: file(&importance.fitted, &spam.fitted),
        bias: two_decimals(importance.fitted.bias),
        weights: rounded(learned_factors(), &importance.fitted),
        thresholds: importance.thresholds,
        spam_bias: two_decimals(spam.fitted.bias),
        spam_weights: rounded(learned_cues(), &spam.fitted),
        out_of_fold: importance.out_of_fold,
        spam_out_of_fold: spam.out_of_fold,
    }
}

fn rounded<T>(names: impl Iterator<Item = T>, fitted: &Fitted) -> Vec<(T, f64)> {
    let weights = fitted.dense.iter().map(|w| two_decimals(*w));
    names.zip(weights).collect()
}

/// Importance, learned.
#[derive(Clone, Debug)]
pub struct Importance {
    /// Calibrated weights, before anything is rounded.
    pub fitted: Fitted,
    /// Scores from which a message is `weak_signal` and `signal`.
    pub thresholds: (f64, f64),
    /// Per source with classes: its name and what models that have not seen a message call it.
    pub out_of_fold: Vec<(String, Confusion)>,
}

impl Importance {
    /// The logit of an example, as the shipped function gives it.
    pub fn logit(&self, example: &Example) -> f64 {
        joined(
            self.fitted.logit(example),
            self.fitted.second_logit(example),
        )
    }

    /// What the fitted function makes of labelled messages, by the thresholds.
    pub fn judge(&self, labels: &[Labelled], rules: &Rules) -> Confusion {
        let mut confusion = Confusion::default();
        let (weak, signal) = self.thresholds;
        for sample in screening::samples(labels, rules, 1.0) {
            let truth = Class::ALL[sample.example.level as usize];
            confusion.add(truth, class_of(self.logit(&sample.example), weak, signal));
        }
        confusion
    }

    /// Learns importance alone.
    pub fn learn(sources: &[Source], rules: &Rules) -> Self {
        let by_source: Vec<Vec<Sample<'_>>> = sources
            .iter()
            .map(|source| screening::samples(&source.labels, rules, source.weight))
            .collect();
        let samples: Vec<Sample<'_>> = by_source.iter().flatten().cloned().collect();
        let logits = screening::out_of_fold(&samples, rules, IMPORTANCE, N_FOLDS);

        let known: Vec<(f64, bool, f64)> = samples
            .iter()
            .zip(&logits)
            .map(|(s, (logit, _))| (*logit, s.example.level > 0, s.example.weight))
            .collect();
        let (scale, offset) = calibrate(&known);
        let mut judged: Vec<Judged> = samples
            .iter()
            .zip(&logits)
            .map(|(s, (matters, signal))| Judged {
                matters: scale * matters + offset,
                signal: scale * signal,
                truth: Class::ALL[s.example.level as usize],
                weight: s.example.weight,
            })
            .collect();
        let shift = shift_of_signal(&judged);
        judged.iter_mut().for_each(|judged| judged.signal += shift);

        let mut rest = judged.iter();
        let confusions = by_source.iter().map(|samples| {
            let mut confusion = Confusion::default();
            for judged in rest.by_ref().take(samples.len()) {
                confusion.add(judged.truth, judged.called());
            }
            confusion
        });
        let names = sources.iter().map(|source| source.name.clone());
        let out_of_fold = names.zip(confusions).filter(|(_, c)| c.n() > 0).collect();

        let examples: Vec<Example> = samples.into_iter().map(|s| s.example).collect();
        let fitted = fit(&examples, &screening::start(rules), true, IMPORTANCE);
        Importance {
            fitted: scaled(fitted, scale, offset, shift),
            thresholds: (WEAK_FROM, SIGNAL_FROM),
            out_of_fold,
        }
    }
}

/// From this score on a message is no noise: where a message that matters, dropped, costs 1.2 times a noise message let
/// through, the cut of a calibrated score is 1 / (1 + 1.2).
const WEAK_FROM: f64 = 0.45;

/// The two logits of a message by a model that has not seen it, and what it is.
struct Judged {
    matters: f64,
    signal: f64,
    truth: Class,
    weight: f64,
}

impl Judged {
    fn called(&self) -> Class {
        class_of(joined(self.matters, self.signal), WEAK_FROM, SIGNAL_FROM)
    }
}

/// Mean F1 so near the best is as good as the best: which is best among those changes with how the folds were dealt.
const AS_GOOD: f64 = 0.002;

/// What is added to the logit of signal so that its cut gives the best mean F1 over the classes: the middle of the shifts that do.
fn shift_of_signal(judged: &[Judged]) -> f64 {
    let tried: Vec<(f64, f64)> = (-40..=40)
        .map(|step| f64::from(step) / 20.0)
        .map(|shift| (shift, mean_f1(judged, shift)))
        .collect();
    let best = tried.iter().fold(0.0, |best: f64, (_, f1)| best.max(*f1));
    let good: Vec<f64> = tried
        .into_iter()
        .filter_map(|(shift, f1)| (f1 >= best - AS_GOOD).then_some(shift))
        .collect();
    good.iter().sum::<f64>() / good.len() as f64
}

/// The mean F1 over the classes with the logits of signal shifted, each message counting by its weight.
fn mean_f1(judged: &[Judged], shift: f64) -> f64 {
    let mut n = [[0.0; 3]; 3];
    for message in judged {
        let signal = message.signal + shift;
        let called = class_of(joined(message.matters, signal), WEAK_FROM, SIGNAL_FROM);
        n[message.truth as usize][called as usize] += message.weight;
    }
    let f1 = |i: usize| {
        let (truth, called): (f64, f64) = (n[i].iter().sum(), (0..3).map(|t| n[t][i]).sum());
        2.0 * n[i][i] / (truth + called).max(1e-9)
    };
    (0..3).map(f1).sum::<f64>() / 3.0
}

/// Spam, learned.
#[derive(Clone, Debug)]
pub struct Spam {
    /// Its weights, before anything is rounded.
    pub fitted: Fitted,
    /// Per source: its name and what models that have not seen a message call it.
    pub out_of_fold: Vec<(String, Binary)>,
}

impl Spam {
    /// Learns spam alone.
    pub fn learn(sources: &[Source], rules: &Rules) -> Self {
        let by_source: Vec<Vec<Sample<'_>>> =
            sources.iter().map(|s| spam_samples(s, rules)).collect();
        let names = sources.iter().map(|source| source.name.clone());
        let out_of_fold = names
            .zip(spam_out_of_fold(&by_source, rules))
            .filter(|(_, b)| *b != Binary::default())
            .collect();
        let examples: Vec<Example> = by_source.into_iter().flatten().map(|s| s.example).collect();
        Spam {
            fitted: spam::train(&examples, rules, SPAM),
            out_of_fold,
        }
    }
}

/// The examples of a source for spam, spam counting more.
pub fn spam_samples<'a>(source: &'a Source, rules: &Rules) -> Vec<Sample<'a>> {
    if source.spam_weight == 0.0 {
        return Vec::new();
    }
    let mut samples = spam::samples(&source.labels, rules, source.spam_weight);
    for sample in samples.iter_mut().filter(|s| s.example.level == 1) {
        sample.example.weight *= SPAM_BALANCE;
    }
    samples
}

/// Per source, what models of spam that have not seen a sample's fold make of it.
fn spam_out_of_fold(by_source: &[Vec<Sample<'_>>], rules: &Rules) -> Vec<Binary> {
    let mut counts = vec![Binary::default(); by_source.len()];
    let threshold = logit(rules.spam_from());
    for fold in 0..N_FOLDS {
        let is_out = |s: &&Sample<'_>| fold_of(&s.label.text, N_FOLDS) == fold;
        let training: Vec<Example> = by_source
            .iter()
            .flatten()
            .filter(|s| !is_out(s))
            .map(|s| s.example.clone())
            .collect();
        let fitted = spam::train(&training, rules, SPAM);
        for (counts, samples) in counts.iter_mut().zip(by_source) {
            for sample in samples.iter().filter(is_out) {
                let called = fitted.logit(&sample.example) >= threshold;
                counts.add(sample.example.level == 1, called);
            }
        }
    }
    counts
}

/// The same function, calibrated, its logit of signal shifted.
fn scaled(mut fitted: Fitted, scale: f64, offset: f64, shift: f64) -> Fitted {
    fitted.bias = fitted.bias * scale + offset;
    fitted.gap = fitted.gap * scale + offset - shift;
    let grams = fitted.grams.iter_mut().chain(&mut fitted.second_grams);
    for weight in fitted.dense.iter_mut().chain(grams) {
        *weight *= scale;
    }
    fitted
}

/// The weights in whole steps of a 127th of the greatest.
fn file(importance: &Fitted, spam: &Fitted) -> Vec<u8> {
    let columns = [&importance.grams, &importance.second_grams, &spam.grams];
    let steps = columns.map(|column| {
        let greatest = column.iter().fold(0.0f64, |max, w| max.max(w.abs()));
        (greatest / 127.0) as f32
    });
    let mut file = Vec::with_capacity(24 + columns.len() * N_BUCKETS);
    file.extend_from_slice(MAGIC);
    for number in steps.into_iter().chain([importance.gap as f32]) {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for bucket in 0..N_BUCKETS {
        for (column, step) in columns.iter().zip(steps) {
            let n_steps = libm::round(column[bucket] / f64::from(step).max(f64::MIN_POSITIVE));
            file.push((n_steps.clamp(-127.0, 127.0) as i8) as u8);
        }
    }
    file
}

fn logit(p: f64) -> f64 {
    libm::log(p / (1.0 - p))
}

fn two_decimals(x: f64) -> f64 {
    libm::round(x * 100.0) / 100.0
}
