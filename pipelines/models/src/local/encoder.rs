//! Tokens in, unit vectors out: the transformer, mean pooling, scaling.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use telesift_ports::embedder::Purpose;
use tokenizers::Tokenizer;

use super::{
    bert::Bert,
    directory::{Files, LoadError, Prefixes},
};

/// A loaded model.
pub(super) struct Encoder {
    bert: Bert,
    tokenizer: Tokenizer,
    prefixes: Prefixes,
}

impl Encoder {
    pub(super) fn new(files: Files) -> Result<Self, LoadError> {
        let weights =
            VarBuilder::from_buffered_safetensors(files.weights, DType::F32, &Device::Cpu);
        let bert = weights.and_then(|weights| Bert::load(weights, &files.config));
        let bert = bert.map_err(|e| LoadError::Content {
            path: files.path,
            reason: e.to_string(),
        })?;
        Ok(Encoder {
            bert,
            tokenizer: files.tokenizer,
            prefixes: files.prefixes,
        })
    }

    /// The text as the model gets it.
    pub(super) fn prefixed(&self, text: &str, purpose: Purpose) -> String {
        let prefix = match purpose {
            Purpose::Passage => &self.prefixes.passage,
            Purpose::Query => &self.prefixes.query,
        };
        format!("{prefix}{text}")
    }

    /// The token ids of each text, special tokens included, cut at the model's longest input.
    pub(super) fn tokens(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<u32>>, String> {
        let texts: Vec<String> = texts.iter().map(|t| self.prefixed(t, purpose)).collect();
        let encoded = self.tokenizer.encode_batch_fast(texts, true);
        let encoded = encoded.map_err(|e| e.to_string())?;
        Ok(encoded.iter().map(|e| e.get_ids().to_vec()).collect())
    }

    /// The vectors of the texts at `batch`, in that order.
    pub(super) fn encode(
        &self,
        tokens: &[Vec<u32>],
        batch: &[usize],
    ) -> Result<Vec<Vec<f32>>, String> {
        self.forward(tokens, batch).map_err(|e| e.to_string())
    }

    fn forward(&self, tokens: &[Vec<u32>], batch: &[usize]) -> candle_core::Result<Vec<Vec<f32>>> {
        let mut ids = Vec::new();
        let texts: Vec<_> = batch
            .iter()
            .map(|&i| {
                let start = ids.len();
                ids.extend_from_slice(&tokens[i]);
                start..ids.len()
            })
            .collect();
        let mut vectors = self.bert.means(&ids, &texts)?;
        vectors.iter_mut().for_each(|vector| scale(vector));
        Ok(vectors)
    }
}

/// Scales a vector to length 1.
fn scale(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
}
