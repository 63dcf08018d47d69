//! Tokens in, unit vectors out: the transformer, mean pooling, scaling.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::BertModel;
use telesift_ports::embedder::Purpose;
use tokenizers::Tokenizer;

use super::directory::{Files, LoadError, Prefixes};

/// A loaded model.
pub(super) struct Encoder {
    bert: BertModel,
    tokenizer: Tokenizer,
    prefixes: Prefixes,
    pad: u32,
}

impl Encoder {
    pub(super) fn new(files: Files) -> Result<Self, LoadError> {
        let weights =
            VarBuilder::from_buffered_safetensors(files.weights, DType::F32, &Device::Cpu);
        let bert = weights.and_then(|weights| BertModel::load(weights, &files.config));
        let bert = bert.map_err(|e| LoadError::Content {
            path: files.path,
            reason: e.to_string(),
        })?;
        Ok(Encoder {
            bert,
            tokenizer: files.tokenizer,
            prefixes: files.prefixes,
            pad: u32::try_from(files.config.pad_token_id).unwrap_or(0),
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
        let longest = batch.iter().map(|&i| tokens[i].len()).max().unwrap_or(0);
        let shape = (batch.len(), longest);
        let mut ids = Vec::with_capacity(batch.len() * longest);
        let mut mask = Vec::with_capacity(batch.len() * longest);
        for &i in batch {
            let text = &tokens[i];
            ids.extend_from_slice(text);
            ids.resize(ids.len() + longest - text.len(), self.pad);
            mask.resize(mask.len() + text.len(), 1.0f32);
            mask.resize(mask.len() + longest - text.len(), 0.0);
        }
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let hidden = self.bert.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        pooled(&hidden, &mask)?.to_vec2()
    }
}

/// The mean over each text's own tokens, scaled to length 1.
fn pooled(hidden: &Tensor, mask: &Tensor) -> candle_core::Result<Tensor> {
    let sums = mask.unsqueeze(1)?.matmul(hidden)?.squeeze(1)?;
    let means = sums.broadcast_div(&mask.sum_keepdim(1)?)?;
    let lengths = means.sqr()?.sum_keepdim(1)?.sqrt()?;
    means.broadcast_div(&lengths)
}
