//! What goes over the wire, and what comes back, checked before it is believed.

use serde::{Deserialize, Serialize};

use super::{RemoteKind, RemoteModel};
use crate::call::CallError;

#[derive(Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
}

pub(super) fn request<'a>(model: &'a RemoteModel, texts: &'a [String]) -> Request<'a> {
    Request {
        model: &model.name,
        input: texts,
        encoding_format: (model.kind == RemoteKind::OpenAi).then_some("float"),
    }
}

#[derive(Deserialize)]
struct OpenAi {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Ollama {
    embeddings: Vec<Vec<f32>>,
}

/// The vectors of an answer, in the order of the texts.
pub(super) fn answer(kind: RemoteKind, bytes: &[u8]) -> Result<Vec<Vec<f32>>, CallError> {
    let bad = |e: serde_json::Error| wrong(format!("{} at column {}", class(&e), e.column()));
    match kind {
        RemoteKind::Ollama => {
            let answer: Ollama = serde_json::from_slice(bytes).map_err(bad)?;
            Ok(answer.embeddings)
        }
        RemoteKind::OpenAi => {
            let answer: OpenAi = serde_json::from_slice(bytes).map_err(bad)?;
            let mut data = answer.data;
            data.sort_by_key(|e| e.index);
            match data.iter().enumerate().all(|(i, e)| e.index == i) {
                true => Ok(data.into_iter().map(|e| e.embedding).collect()),
                false => Err(wrong("its indexes are not those of the texts".to_owned())),
            }
        }
    }
}

/// As many vectors as texts, of the right length, finite; scaled to length 1.
pub(super) fn check(
    mut vectors: Vec<Vec<f32>>,
    n_texts: usize,
    dimensions: usize,
) -> Result<Vec<Vec<f32>>, CallError> {
    if vectors.len() != n_texts {
        return Err(wrong(format!(
            "{} vectors for {n_texts} texts",
            vectors.len()
        )));
    }
    for vector in &mut vectors {
        if vector.len() != dimensions {
            return Err(wrong(format!(
                "vectors of {} floats, not of {dimensions} as configured",
                vector.len()
            )));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return Err(wrong("a vector without a direction".to_owned()));
        }
        vector.iter_mut().for_each(|x| *x /= length);
    }
    Ok(vectors)
}

fn wrong(reason: String) -> CallError {
    CallError::Answer { reason }
}

fn class(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "another shape than expected",
        serde_json::error::Category::Eof => "cut off",
        _ => "no JSON",
    }
}
