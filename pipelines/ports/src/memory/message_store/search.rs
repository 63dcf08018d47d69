//! Search without an index: every message is analysed and compared.

use std::collections::{HashMap, HashSet};

use telesift_schemas::{Message, MessageKey};

use crate::{
    embedder::EmbeddingModel,
    message_store::{
        Candidate, Error, Hit, IndexedMessage, LegDepths, Result, SearchMode, SearchRequest, rank,
        searched_text,
    },
};

/// Term saturation and length normalisation of BM25, as Lucene and Lance set them.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Refuses a query vector that cannot be compared with the store's.
pub(super) fn check(model: Option<&EmbeddingModel>, request: &SearchRequest) -> Result<()> {
    let Some(vector) = &request.vector else {
        return Ok(());
    };
    match model {
        Some(model) if model.dimensions == vector.len() => Ok(()),
        _ => Err(Error::ModelMismatch {
            actual: model.map_or_else(|| "no model".to_owned(), |m| m.id.clone()),
            configured: format!("a query vector of {} floats", vector.len()),
        }),
    }
}

/// Searches those of `all` that pass the filter.
pub(super) fn search(
    all: Vec<&IndexedMessage>,
    request: &SearchRequest,
    passes: impl Fn(&Message) -> bool,
) -> Vec<Hit> {
    let depths = LegDepths::of(request.mode, request.limit);
    let accepted: HashMap<MessageKey, &IndexedMessage> = all
        .iter()
        .filter(|i| passes(&i.message))
        .filter(|i| request.query.accepts(&searched_text(&i.message)))
        .map(|i| (i.message.id, *i))
        .collect();
    let leg = |candidates: Vec<Candidate>, depth: usize| {
        let passed = candidates
            .into_iter()
            .filter(|c| accepted.contains_key(&c.key))
            .collect();
        let ranked = rank(SearchMode::Text, passed, Vec::new());
        let best = ranked.into_iter().take(depth).map(|r| Candidate {
            key: r.key,
            event_time: r.event_time,
            score: r.score,
        });
        best.collect::<Vec<_>>()
    };
    let text = leg(by_words(&all, &request.query.ranked), depths.text);
    let vector = leg(by_vector(&all, request.vector.as_deref()), depths.vector);
    let ranked = rank(request.mode, text, vector);
    let hits = ranked.into_iter().take(request.limit);
    hits.filter_map(|r| {
        Some(Hit {
            message: accepted.get(&r.key)?.message.clone(),
            score: r.score,
            text_score: r.text_score,
            vector_score: r.vector_score,
        })
    })
    .collect()
}

/// BM25 over all messages, whatever the filter, so that a word's weight does not depend on who asks.
fn by_words(all: &[&IndexedMessage], words: &[String]) -> Vec<Candidate> {
    let words: HashSet<&str> = words.iter().map(String::as_str).collect();
    let documents: Vec<Vec<String>> = all
        .iter()
        .map(|i| telesift_text::terms(&searched_text(&i.message)))
        .collect();
    let n_terms: usize = documents.iter().map(Vec::len).sum();
    let mean_length = (n_terms as f64 / documents.len().max(1) as f64).max(1.0);
    let mut found_in: HashMap<&str, f64> = HashMap::new();
    let counts: Vec<HashMap<&str, f64>> = documents
        .iter()
        .map(|terms| {
            let mut counts = HashMap::new();
            for term in terms {
                if let Some(word) = words.get(term.as_str()) {
                    *counts.entry(*word).or_insert(0.0) += 1.0;
                }
            }
            for word in counts.keys() {
                *found_in.entry(word).or_insert(0.0) += 1.0;
            }
            counts
        })
        .collect();
    let weight = |word: &str| {
        let n = found_in.get(word).copied().unwrap_or(0.0);
        (1.0 + (documents.len() as f64 - n + 0.5) / (n + 0.5)).ln()
    };
    let scored = all.iter().zip(&documents).zip(&counts);
    scored
        .filter(|(_, counts)| !counts.is_empty())
        .map(|((indexed, terms), counts)| {
            let norm = K1 * (1.0 - B + B * terms.len() as f64 / mean_length);
            let mut parts: Vec<f64> = counts
                .iter()
                .map(|(word, n)| weight(word) * n * (K1 + 1.0) / (n + norm))
                .collect();
            parts.sort_by(f64::total_cmp); // one order of summation, so that equal messages score alike
            Candidate {
                key: indexed.message.id,
                event_time: indexed.message.event_time,
                score: parts.iter().sum(),
            }
        })
        .collect()
}

/// Cosine similarities above zero: what has nothing in common with the query is no hit.
fn by_vector(all: &[&IndexedMessage], query: Option<&[f32]>) -> Vec<Candidate> {
    let Some(query) = query else {
        return Vec::new();
    };
    let scored = all.iter().filter_map(|i| {
        let similarity = cosine(query, i.vector.as_deref()?)?;
        Some(Candidate {
            key: i.message.id,
            event_time: i.message.event_time,
            score: similarity,
        })
    });
    scored.filter(|c| c.score > 0.0).collect()
}

/// `None` where a vector has no direction.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    (norms > 0.0).then(|| dot(a, b) / norms)
}
