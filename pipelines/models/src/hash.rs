//! The built-in embedder `hash`: words and their letters, hashed into a vector.

use async_trait::async_trait;
use telesift_ports::embedder::{EmbedError, Embedder, EmbeddingCost, EmbeddingModel, Purpose};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Floats per vector.
const DIMENSIONS: usize = 256;
/// Lengths of the letter n-grams, word ends marked.
const NGRAMS: std::ops::RangeInclusive<usize> = 3..=5;
/// What a whole stem weighs against one of its n-grams.
const STEM_WEIGHT: f32 = 1.0;
/// Letters of a word that n-grams are made of; the rest of a long one is data.
const MAX_LETTERS: usize = 32;

const STEM_SEED: u64 = 1;
const NGRAM_SEED: u64 = 2;

/// An embedder without a model: lexical, not semantic. Texts that share words, inflections of words or misspelt words
/// come close; synonyms and translations do not. It needs no download and no warm-up, costs microseconds a text, and
/// gives the same vector on every machine.
///
/// Features are the index terms of the text ([`telesift_text::terms`]) and the letter n-grams (3 to 5) of those terms.
/// Each is hashed to a dimension and a sign (signed feature hashing: Weinberger et al., "Feature Hashing for Large Scale
/// Multitask Learning", 2009), counts as the root of its frequency, an n-gram in inverse proportion to the root of how many its word has,
/// so that long words do not drown short ones; the sum is scaled to length 1.
#[derive(Clone, Debug)]
pub struct HashEmbedder {
    model: EmbeddingModel,
}

impl Default for HashEmbedder {
    fn default() -> Self {
        HashEmbedder {
            model: EmbeddingModel {
                id: "hash@1".to_owned(),
                dimensions: DIMENSIONS,
            },
        }
    }
}

impl HashEmbedder {
    /// The vector of one text: of length 1, or all zero for a text without any token.
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut terms = telesift_text::terms(text);
        // In a fixed order, so that the sum is the same whatever the order of the words.
        terms.sort_unstable();
        let mut vector = vec![0.0f32; DIMENSIONS];
        let mut rest = terms.as_slice();
        while let Some(term) = rest.first() {
            let n = rest.iter().take_while(|t| *t == term).count();
            rest = &rest[n..];
            add_term(term, (n as f32).sqrt(), &mut vector);
        }
        normalise(&mut vector);
        vector
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

/// Adds the stem and its n-grams.
fn add_term(term: &str, tf: f32, vector: &mut [f32]) {
    add(
        xxh3_64_with_seed(term.as_bytes(), STEM_SEED),
        STEM_WEIGHT * tf,
        vector,
    );
    let marked = format!("^{term}$");
    // Byte offsets of the letters, and the end.
    let mut at: Vec<usize> = marked
        .char_indices()
        .map(|(i, _)| i)
        .take(MAX_LETTERS)
        .collect();
    if marked.chars().count() <= MAX_LETTERS {
        at.push(marked.len());
    }
    let n_letters = at.len() - 1;
    let n_ngrams: usize = NGRAMS.map(|n| (n_letters + 1).saturating_sub(n)).sum();
    if n_ngrams == 0 {
        return;
    }
    let weight = tf / (n_ngrams as f32).sqrt();
    for n in NGRAMS {
        for window in at.windows(n + 1) {
            let ngram = &marked.as_bytes()[window[0]..window[n]];
            add(xxh3_64_with_seed(ngram, NGRAM_SEED), weight, vector);
        }
    }
}

fn add(hash: u64, weight: f32, vector: &mut [f32]) {
    let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
    vector[(hash % DIMENSIONS as u64) as usize] += sign * weight;
}

fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

#[cfg(test)]
mod tests;
