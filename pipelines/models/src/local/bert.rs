//! The transformer: token ids of several texts, one after the other, in; their hidden states out. Matrix products by candle,
//! what stands between them by `kernels`; no text is padded.

use std::ops::Range;

use candle_core::{
    CpuStorage, CustomOp1, Device, InplaceOp1, InplaceOp2, Layout, Result, Shape, Tensor, bail,
};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{Config, HiddenAct};

use super::kernels::{self, Activation, Norm};

/// A BERT-shaped encoder.
pub(super) struct Bert {
    width: usize,
    n_heads: usize,
    /// A row per token of the vocabulary.
    words: Vec<f32>,
    /// A row per position, that of the one type of token there is added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Queries (scaled), keys and values, side by side.
    qkv: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    activation: Activation,
    narrow: Linear,
    narrow_norm: Norm,
}

struct Linear {
    /// As it is multiplied: a row per input.
    weight: Tensor,
    bias: Vec<f32>,
}

impl Bert {
    /// Lays out the weights; a name in front of theirs, as the libraries that wrote them put it, is passed over.
    pub(super) fn load(weights: VarBuilder<'_>, config: &Config) -> Result<Self> {
        const WORDS: &str = "embeddings.word_embeddings.weight";
        let prefixes = [Some("bert"), config.model_type.as_deref()];
        let prefix = prefixes.into_iter().flatten();
        let mut prefix = prefix.filter(|p| weights.contains_tensor(&format!("{p}.{WORDS}")));
        let weights = match prefix.next() {
            Some(prefix) if !weights.contains_tensor(WORDS) => weights.pp(prefix),
            _ => weights,
        };
        let width = config.hidden_size;
        let n_heads = config.num_attention_heads;
        if n_heads == 0 || !width.is_multiple_of(n_heads) {
            bail!("{n_heads} heads do not share {width} values");
        }
        let embeddings = weights.pp("embeddings");
        let table = |n_rows: usize, name: &str| {
            embeddings.get((n_rows, width), &format!("{name}_embeddings.weight"))
        };
        let kind = table(config.type_vocab_size, "token_type")?.narrow(0, 0, 1)?;
        let positions = table(config.max_position_embeddings, "position")?.broadcast_add(&kind)?;
        let layers = (0..config.num_hidden_layers).map(|i| {
            let weights = weights.pp(format!("encoder.layer.{i}"));
            Layer::load(&weights, config)
        });
        Ok(Bert {
            width,
            n_heads,
            words: plain(&table(config.vocab_size, "word")?)?,
            positions: plain(&positions)?,
            norm: norm(&embeddings, config)?,
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// The mean hidden state of each text, which are the `texts` of `ids`.
    pub(super) fn means(&self, ids: &[u32], texts: &[Range<usize>]) -> Result<Vec<Vec<f32>>> {
        let hidden = plain(&self.hidden(ids, texts)?)?;
        let mean = |text: &Range<usize>| {
            let mut mean = vec![0.0f32; self.width];
            let rows = &hidden[text.start * self.width..text.end * self.width];
            for row in rows.chunks_exact(self.width) {
                mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
            }
            let n = text.len().max(1) as f32;
            mean.iter_mut().for_each(|m| *m /= n);
            mean
        };
        Ok(texts.iter().map(mean).collect())
    }

    fn hidden(&self, ids: &[u32], texts: &[Range<usize>]) -> Result<Tensor> {
        let mut hidden = self.embedded(ids, texts)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, texts, self.n_heads)?;
        }
        Ok(hidden)
    }

    fn embedded(&self, ids: &[u32], texts: &[Range<usize>]) -> Result<Tensor> {
        let row = |table: &'_ [f32], i: usize| {
            let row = table.get(i * self.width..(i + 1) * self.width);
            row.map(<[f32]>::to_vec)
        };
        let (mut words, mut positions) = (Vec::new(), Vec::new());
        for text in texts {
            for (position, id) in ids[text.clone()].iter().enumerate() {
                let word = row(&self.words, *id as usize);
                let Some((word, place)) = word.zip(row(&self.positions, position)) else {
                    bail!("token {id} at {position} is none of this model's");
                };
                words.extend(word);
                positions.extend(place);
            }
        }
        let no_bias = vec![0.0; self.width];
        self.norm.apply(&mut words, &no_bias, &positions);
        Tensor::from_vec(words, (ids.len(), self.width), &Device::Cpu)
    }
}

impl Layer {
    fn load(weights: &VarBuilder<'_>, config: &Config) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let attention = weights.pp("attention");
        let of = |name: &str| -> Result<(Tensor, Tensor)> {
            let weights = attention.pp("self").pp(name);
            Ok((
                weights.get((width, width), "weight")?,
                weights.get(width, "bias")?,
            ))
        };
        let (query, query_bias) = of("query")?;
        let (key, key_bias) = of("key")?;
        let (value, value_bias) = of("value")?;
        let scale = 1.0 / ((width / config.num_attention_heads) as f64).sqrt();
        let weight = Tensor::cat(&[&(query * scale)?, &key, &value], 0)?;
        let bias = Tensor::cat(&[&(query_bias * scale)?, &key_bias, &value_bias], 0)?;
        let (attended, narrow) = (attention.pp("output"), weights.pp("output"));
        Ok(Layer {
            qkv: Linear::of(&weight, &bias)?,
            attended: Linear::load(&attended.pp("dense"), width, width)?,
            attended_norm: norm(&attended, config)?,
            wide: Linear::load(&weights.pp("intermediate.dense"), width, inner)?,
            activation: match config.hidden_act {
                HiddenAct::Gelu => Activation::Gelu,
                HiddenAct::GeluApproximate => Activation::GeluByTanh,
                HiddenAct::Relu => Activation::Relu,
            },
            narrow: Linear::load(&narrow.pp("dense"), inner, width)?,
            narrow_norm: norm(&narrow, config)?,
        })
    }

    fn forward(&self, hidden: &Tensor, texts: &[Range<usize>], n_heads: usize) -> Result<Tensor> {
        let attend = Attend {
            texts,
            bias: &self.qkv.bias,
            n_heads,
        };
        let qkv = hidden.matmul(&self.qkv.weight)?;
        let mixed = qkv.apply_op1_no_bwd(&attend)?;
        let attended = mixed.matmul(&self.attended.weight)?;
        attended.inplace_op2(hidden, &Joined(&self.attended.bias, &self.attended_norm))?;
        let wide = attended.matmul(&self.wide.weight)?;
        wide.inplace_op1(&Activated(&self.wide.bias, self.activation))?;
        let narrow = wide.matmul(&self.narrow.weight)?;
        narrow.inplace_op2(&attended, &Joined(&self.narrow.bias, &self.narrow_norm))?;
        Ok(narrow)
    }
}

impl Linear {
    fn load(weights: &VarBuilder<'_>, n_in: usize, n_out: usize) -> Result<Self> {
        Linear::of(
            &weights.get((n_out, n_in), "weight")?,
            &weights.get(n_out, "bias")?,
        )
    }

    fn of(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        Ok(Linear {
            weight: weight.t()?.contiguous()?,
            bias: plain(bias)?,
        })
    }
}

fn norm(weights: &VarBuilder<'_>, config: &Config) -> Result<Norm> {
    let weights = weights.pp("LayerNorm");
    Ok(Norm {
        scale: plain(&weights.get(config.hidden_size, "weight")?)?,
        shift: plain(&weights.get(config.hidden_size, "bias")?)?,
        epsilon: config.layer_norm_eps as f32,
    })
}

fn plain(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// Queries, keys and values in, what each token takes from the others of its text out.
struct Attend<'a> {
    texts: &'a [Range<usize>],
    bias: &'a [f32],
    n_heads: usize,
}

impl CustomOp1 for Attend<'_> {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let qkv = read(storage, layout)?;
        let width = self.bias.len() / 3;
        let n_tokens = qkv.len() / self.bias.len();
        let mut mixed = vec![0.0; n_tokens * width];
        for text in self.texts {
            let at = |width: usize| text.start * width..text.end * width;
            let qkv = &qkv[at(3 * width)];
            kernels::attend(qkv, self.bias, self.n_heads, &mut mixed[at(width)]);
        }
        Ok((CpuStorage::F32(mixed), (n_tokens, width).into()))
    }
}

/// A bias, what went around, and a norm.
struct Joined<'a>(&'a [f32], &'a Norm);

impl InplaceOp2 for Joined<'_> {
    fn name(&self) -> &'static str {
        "joined"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        layout: &Layout,
        others: &CpuStorage,
        others_layout: &Layout,
    ) -> Result<()> {
        let others = read(others, others_layout)?;
        self.1.apply(write(values, layout)?, self.0, others);
        Ok(())
    }
}

/// A bias and an activation.
struct Activated<'a>(&'a [f32], Activation);

impl InplaceOp1 for Activated<'_> {
    fn name(&self) -> &'static str {
        "activated"
    }

    fn cpu_fwd(&self, values: &mut CpuStorage, layout: &Layout) -> Result<()> {
        kernels::activate(write(values, layout)?, self.0, self.1);
        Ok(())
    }
}

fn read<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("values that do not stand in a row"),
    }
}

fn write<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => bail!("values that do not stand in a row"),
    }
}
