//! The learned part: hashed n-grams of the words of a text, each with three weights: what lifts a message out of noise, what
//! makes it signal, and what makes it spam.
//!
//! A word gives itself, the pair it makes with the word before or with the beginning or end of the text, and its parts of three
//! or four characters with its ends marked; signs between words (`<?>`, `<item>`, `<code>`) are read as words without parts; all share one table by hash ("the hashing trick": Weinberger et al., "Feature Hashing for Large Scale Multitask
//! Learning", ICML 2009; n-grams of parts of words: Joulin et al., "Bag of Tricks for Efficient Text Classification",
//! EACL 2017). Weights are whole numbers, so their sum is the same in any order and on any machine.

mod grams;

pub(crate) use grams::{Gram, Grams};

/// Buckets of the table: as many as 300 kB hold.
pub const N_BUCKETS: usize = 98_304;

/// Weights per bucket, by column.
const N_COLUMNS: usize = 3;
/// The column of what lifts a message out of noise.
pub(crate) const MATTERS: usize = 0;
/// The column of what makes a message signal.
pub(crate) const SIGNAL: usize = 1;
/// The column of spam.
pub(crate) const SPAM: usize = 2;

/// The file of the weights that ship, made by `make model`; empty before the first training.
const FILE: &[u8] = include_bytes!("../model/ngrams.bin");

/// The model that ships.
pub(crate) const SHIPPED: Model = Model::read(FILE);

/// First bytes of a model file; the digit is the version of features and format.
pub const MAGIC: &[u8; 8] = b"tsgrams4";

/// A table of weights.
///
/// File: [`MAGIC`], then little-endian `f32`: logits per unit of weight, one for each column, and where the cut of signal lies
/// above that of noise; then three `i8` per bucket.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    scale: [f64; N_COLUMNS],
    gap: f64,
    weights: &'static [[u8; N_COLUMNS]],
}

impl Model {
    const fn read(file: &'static [u8]) -> Self {
        let (head, rest) = file.as_chunks::<4>();
        if head.len() < 6 {
            return Model {
                scale: [0.0; N_COLUMNS],
                gap: 0.0,
                weights: &[],
            };
        }
        assert!(rest.is_empty(), "a model of another size");
        let (magic, _) = MAGIC.as_chunks::<4>();
        assert!(
            u32::from_le_bytes(head[0]) == u32::from_le_bytes(magic[0])
                && u32::from_le_bytes(head[1]) == u32::from_le_bytes(magic[1]),
            "a model of another format"
        );
        let (_, weights) = file.split_at(24);
        let (weights, rest) = weights.as_chunks();
        assert!(
            weights.len() == N_BUCKETS && rest.is_empty(),
            "a model of another size"
        );
        Model {
            scale: [number(head[2]), number(head[3]), number(head[4])],
            gap: number(head[5]),
            weights,
        }
    }

    /// The weight of a bucket, in units of the scale.
    pub(crate) fn weight(&self, bucket: u32, column: usize) -> i32 {
        self.weights
            .get(bucket as usize)
            .map_or(0, |weights| i32::from(weights[column] as i8))
    }

    /// Adds the weights of a bucket.
    #[inline]
    pub(crate) fn add(&self, bucket: u32, sums: &mut Sums) {
        sums.n += 1;
        if let Some([matters, signal, spam]) = self.weights.get(bucket as usize) {
            sums.weights[MATTERS] += i32::from(*matters as i8);
            sums.weights[SIGNAL] += i32::from(*signal as i8);
            sums.weights[SPAM] += i32::from(*spam as i8);
        }
    }

    /// What the n-grams add to `rest`, the logit of everything else, and the column that decides it.
    pub(crate) fn added(&self, sums: &Sums, rest: f64) -> (f64, usize) {
        let matters = rest + self.logit(sums, MATTERS);
        let signal = rest + self.logit(sums, SIGNAL) - self.gap;
        let column = if signal > -0.5 { SIGNAL } else { MATTERS };
        (joined(matters, signal) - rest, column)
    }

    /// What the n-grams of a text come to, in logits: their weights over the root of their number, so that a long text
    /// does not weigh more because it is long.
    pub(crate) fn logit(&self, sums: &Sums, column: usize) -> f64 {
        self.push(sums.weights[column], sums.n, column)
    }

    /// What a weight pushes in a text of `n` n-grams, in logits.
    pub(crate) fn push(&self, weight: i32, n: u32, column: usize) -> f64 {
        f64::from(weight) * self.scale[column] / damping(n)
    }
}

const fn number(bytes: [u8; 4]) -> f64 {
    f32::from_le_bytes(bytes) as f64
}

/// Where signal begins: the logit of [`SIGNAL_FROM`].
const SIGNAL_LOGIT: f64 = 2.944_438_979_166_440_3;
/// The score from which a message is signal, by the rules that ship.
pub const SIGNAL_FROM: f64 = 0.95;
/// From this logit on, however sure it is that a message is no noise, that alone makes it no signal.
const HELD_FROM: f64 = 2.0;

/// One logit of two: that a message is no noise, and that it is signal. Where the second is above 0 it is the cut of signal and
/// the second; where it is well below, it is the first, which comes near that cut and never reaches it; between, it goes from one
/// to the other. So what is surely worth a look and surely nothing to act on stays below the cut.
pub fn joined(matters: f64, signal: f64) -> f64 {
    if signal >= 0.0 {
        return SIGNAL_LOGIT + signal;
    }
    let held = held(matters);
    held + (SIGNAL_LOGIT - held) * (1.0 + signal).max(0.0)
}

fn held(matters: f64) -> f64 {
    if matters <= HELD_FROM {
        return matters;
    }
    let (above, room) = (matters - HELD_FROM, SIGNAL_LOGIT - HELD_FROM);
    HELD_FROM + above * room / (above + room)
}

/// What a sum over `n` n-grams is divided by.
pub fn damping(n: u32) -> f64 {
    libm::sqrt(f64::from(n.max(MIN_GRAMS)))
}

/// A text of fewer n-grams (a word of three letters has ten) weighs no more per n-gram than one of so many.
const MIN_GRAMS: u32 = 8;

/// Sums over the n-grams of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// How many n-grams.
    pub(crate) n: u32,
    /// Their weights, by column.
    pub(crate) weights: [i32; N_COLUMNS],
}

/// A digest of the model, part of the version of every rule set.
pub(crate) fn digest() -> u64 {
    xxhash_rust::xxh3::xxh3_64(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_surely_no_noise_is_signal_only_where_that_is_said_too() {
        assert_eq!(joined(-1.5, -3.0), -1.5);
        assert!(joined(40.0, -5.0) < SIGNAL_LOGIT);
        assert!(joined(40.0, -5.0) > joined(4.0, -5.0));
        assert_eq!(joined(4.0, 0.5), SIGNAL_LOGIT + 0.5);
        let is_rising = |f: fn(f64) -> f64| {
            (-40..40).all(|i| f(f64::from(i) / 4.0) <= f(f64::from(i + 1) / 4.0))
        };
        assert!(is_rising(|x| joined(x, -1.0)));
        assert!(is_rising(|x| joined(1.0, x)));
    }

    #[test]
    fn signal_begins_at_its_score() {
        assert!((crate::score::logistic(SIGNAL_LOGIT) - SIGNAL_FROM).abs() < 1e-12);
    }
}
