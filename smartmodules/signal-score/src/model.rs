//! The learned part: hashed n-grams of the words of a text, each with a weight for importance and one for spam.
//!
//! A word gives itself, the pair it makes with the word before, and its parts of two to five characters with its ends marked;
//! all share one table by hash ("the hashing trick": Weinberger et al., "Feature Hashing for Large Scale Multitask
//! Learning", ICML 2009; n-grams of parts of words: Joulin et al., "Bag of Tricks for Efficient Text Classification",
//! EACL 2017). Weights are whole numbers, so their sum is the same in any order and on any machine.

mod grams;

pub(crate) use grams::{Gram, Grams};

/// Buckets of the table: a power of two.
pub const N_BUCKETS: usize = 1 << BUCKET_BITS;
pub(crate) const BUCKET_BITS: u32 = 17;

/// What the weights are for, by column.
pub(crate) const IMPORTANCE: usize = 0;
/// The column of spam.
pub(crate) const SPAM: usize = 1;

/// The file of the weights that ship, made by `make model`; empty before the first training.
const FILE: &[u8] = include_bytes!("../model/ngrams.bin");

/// The model that ships.
pub(crate) const SHIPPED: Model = Model::read(FILE);

/// First bytes of a model file; the digit is the version of features and format.
pub const MAGIC: &[u8; 8] = b"tsgrams1";

/// A table of weights.
///
/// File: [`MAGIC`], two little-endian `f32` (logits per unit of weight, for importance and for spam), then two `i8` per
/// bucket, importance first.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    scale: [f64; 2],
    /// Importance and spam, by bucket.
    weights: &'static [[u8; 2]],
}

impl Model {
    const fn read(file: &'static [u8]) -> Self {
        let Some((head, weights)) = file.split_first_chunk::<16>() else {
            return Model {
                scale: [0.0; 2],
                weights: &[],
            };
        };
        assert!(weights.len() == 2 * N_BUCKETS, "a model of another size");
        let [
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            m6,
            m7,
            a0,
            a1,
            a2,
            a3,
            b0,
            b1,
            b2,
            b3,
        ] = *head;
        let magic = [m0, m1, m2, m3, m4, m5, m6, m7];
        assert!(
            u64::from_le_bytes(magic) == u64::from_le_bytes(*MAGIC),
            "a model of another format"
        );
        Model {
            scale: [
                f32::from_le_bytes([a0, a1, a2, a3]) as f64,
                f32::from_le_bytes([b0, b1, b2, b3]) as f64,
            ],
            weights: weights.as_chunks().0,
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
        if let Some([importance, spam]) = self.weights.get(bucket as usize) {
            sums.weights[IMPORTANCE] += i32::from(*importance as i8);
            sums.weights[SPAM] += i32::from(*spam as i8);
        }
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
    pub(crate) weights: [i32; 2],
}

/// A digest of the model, part of the version of every rule set.
pub(crate) fn digest() -> u64 {
    xxhash_rust::xxh3::xxh3_64(FILE)
}
