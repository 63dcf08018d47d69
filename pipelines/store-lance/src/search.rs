//! Searching: candidates of each leg, prefiltered; the query's requirements checked on the text; fused and cut.

mod words;

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use futures::{TryStreamExt, try_join};
use lancedb::{
    DistanceType, Table,
    query::{ExecutableQuery, QueryBase, Select},
};
use telesift_ports::message_store::{
    Candidate, Error, Hit, LegDepths, Ranked, Result, SearchMode, SearchRequest, rank,
    searched_text,
};
use telesift_schemas::Message;

use crate::{
    error::Attempt,
    filter::Predicate,
    rows::{self, Rows},
    schema::columns as col,
    store::LanceStore,
};

const SCORE: &str = "_score";
const DISTANCE: &str = "_distance";

/// Parts of the vector index to look into, nearest first; all of them where too few rows pass the filter. A part has about 8,000
/// vectors, so below 250,000 that is all of them anyway. Lance would look into nearly all by itself, and checking the filter
/// for each vector is what takes longest.
const PROBES: usize = 32;
/// The index compares compressed vectors; this many times the candidates are compared again in full.
const REFINE: u32 = 2;
/// How much further to look when the query's requirements threw candidates out.
const WIDEN: usize = 4;
/// How many times as many as are wanted are looked at by nearness, at most: what lies beyond has little to do with the query.
const MAX_WIDER: usize = 64;

/// A message as a leg found it, known by its row: its key costs a look into the table, and most candidates are no hits.
type Found = Candidate<u64>;

/// A leg of a search: text or vector.
#[derive(Clone, Copy, Debug)]
enum Leg<'a> {
    Text(&'a telesift_text::Query),
    Vector(&'a [f32]),
}

/// The messages of one search that were read, by row.
#[derive(Debug, Default)]
struct Seen {
    messages: HashMap<u64, Message>,
    /// How many were read, those too that did not pass.
    n_read: usize,
}

impl LanceStore {
    pub(crate) async fn find(&self, request: &SearchRequest) -> Result<Vec<Hit>> {
        self.check_vector(request)?;
        let predicate = Predicate::from(&request.filter);
        if predicate == Predicate::Nothing || request.limit == 0 {
            return Ok(Vec::new());
        }
        let snapshot = self.snapshot().await?;
        let Legs {
            text,
            vector,
            mut seen,
        } = legs(&snapshot, request, &predicate).await?;
        let mut ranked = rank(request.mode, text, vector);
        // Those that only their keys tell from the last one, too.
        if let Some(last) = ranked.get(request.limit - 1).copied() {
            let is_tied =
                |r: &Ranked<u64>| (r.score, r.event_time) == (last.score, last.event_time);
            let n_tied = ranked[request.limit..].iter().take_while(|r| is_tied(r));
            let n_kept = request.limit + n_tied.count();
            ranked.truncate(n_kept);
        }
        let row_ids: Vec<u64> = ranked.iter().map(|r| r.key).collect();
        seen.fetch(&snapshot, &row_ids).await?;
        let hits = ranked.into_iter().filter_map(|r| {
            Some(Hit {
                message: seen.messages.remove(&r.key)?,
                score: r.score,
                text_score: r.text_score,
                vector_score: r.vector_score,
            })
        });
        Ok(in_order(hits.collect(), request.limit))
    }

    /// Refuses a query vector that cannot be compared with the store's.
    fn check_vector(&self, request: &SearchRequest) -> Result<()> {
        let model = self.config.model.as_ref();
        match &request.vector {
            None => Ok(()),
            Some(v) if model.is_some_and(|m| m.dimensions == v.len()) => Ok(()),
            Some(v) => Err(Error::ModelMismatch {
                actual: model.map_or_else(|| "no model".to_owned(), |m| m.id.clone()),
                configured: format!("a query vector of {} floats", v.len()),
            }),
        }
    }
}

/// What both legs found, and the messages read to tell.
struct Legs {
    text: Vec<Found>,
    vector: Vec<Found>,
    seen: Seen,
}

async fn legs(snapshot: &Table, request: &SearchRequest, predicate: &Predicate) -> Attempt<Legs> {
    let depths = LegDepths::of(request.mode, request.limit);
    let query = &request.query;
    let pointing = request.vector.as_deref();
    let pointing = pointing.filter(|v| v.iter().any(|x| *x != 0.0));
    let pointing = pointing.filter(|_| request.mode != SearchMode::Text);
    let leg = |leg, depth| accepted(snapshot, request, leg, predicate, depth);
    if let Some(pointing) = pointing
        && !query.required.is_empty()
        && !query.ranked.is_empty()
    {
        // What is required is found by its words: by vectors, nearly all messages would be read to look for it.
        let (text, seen) = leg(Some(Leg::Text(query)), depths.text).await?;
        let vector = near(snapshot, pointing, &text).await?;
        return Ok(Legs { text, vector, seen });
    }
    let has_text = request.mode != SearchMode::Vector && !query.ranked.is_empty();
    let text = has_text.then_some(Leg::Text(query));
    let vector = pointing.map(Leg::Vector);
    // Side by side: neither needs what the other finds.
    let ((text, mut seen), (vector, also_seen)) =
        try_join!(leg(text, depths.text), leg(vector, depths.vector))?;
    seen.messages.extend(also_seen.messages);
    Ok(Legs { text, vector, seen })
}

/// The first `limit` hits: by score, the newer first, then by key.
fn in_order(mut hits: Vec<Hit>, limit: usize) -> Vec<Hit> {
    let place = |hit: &Hit| (Reverse(hit.message.event_time), hit.message.id);
    hits.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| place(a).cmp(&place(b)))
    });
    // Should a writer that lost its lease have written a message a second time.
    let mut keys = HashSet::with_capacity(hits.len());
    hits.retain(|hit| keys.insert(hit.message.id));
    hits.truncate(limit);
    hits
}

impl Seen {
    /// Reads the messages of rows that were not read yet.
    async fn fetch(&mut self, snapshot: &Table, row_ids: &[u64]) -> Attempt<()> {
        let missing = row_ids
            .iter()
            .filter(|row| !self.messages.contains_key(row));
        let missing: Vec<u64> = missing.copied().collect();
        let messages = rows::take_messages(snapshot, &missing).await?;
        self.n_read += messages.len();
        self.messages.extend(missing.into_iter().zip(messages));
        Ok(())
    }
}

/// The best `depth` candidates of a leg that meet the query's requirements, and the messages read to tell. No leg finds
/// nothing.
async fn accepted(
    snapshot: &Table,
    request: &SearchRequest,
    leg: Option<Leg<'_>>,
    predicate: &Predicate,
    depth: usize,
) -> Attempt<(Vec<Found>, Seen)> {
    let mut seen = Seen::default();
    let Some(leg) = leg else {
        return Ok((Vec::new(), seen));
    };
    let query = &request.query;
    let unconditional = query.required.is_empty() && query.excluded.is_empty();
    if unconditional {
        let found = candidates(snapshot, leg, predicate, depth).await?;
        return Ok((found, seen));
    }
    let mut n_asked = depth.saturating_mul(WIDEN);
    let (mut passed, mut checked) = (Vec::new(), HashSet::new());
    loop {
        let found = candidates(snapshot, leg, predicate, n_asked).await?;
        let exhausted = found.len() < n_asked;
        let mut fresh = found;
        fresh.retain(|c| checked.insert(c.key));
        for part in fresh.chunks(depth.clamp(64, 1_024)) {
            let row_ids: Vec<u64> = part.iter().map(|c| c.key).collect();
            seen.fetch(snapshot, &row_ids).await?;
            for candidate in part {
                let message = seen.messages.get(&candidate.key);
                if message.is_some_and(|m| query.accepts(&searched_text(m))) {
                    passed.push(*candidate);
                } else {
                    seen.messages.remove(&candidate.key);
                }
            }
            if passed.len() >= depth {
                passed.truncate(depth);
                return Ok((passed, seen));
            }
        }
        let is_far = matches!(leg, Leg::Vector(_)) && n_asked >= depth.saturating_mul(MAX_WIDER);
        if exhausted || is_far {
            return Ok((passed, seen));
        }
        n_asked = n_asked.saturating_mul(WIDEN);
    }
}

/// The candidates `found` by their nearness to `vector`; those with nothing in common with it, or without one, are left out.
async fn near(snapshot: &Table, vector: &[f32], found: &[Found]) -> Attempt<Vec<Found>> {
    let row_ids: Vec<u64> = found.iter().map(|c| c.key).collect();
    let vectors = rows::take_vectors(snapshot, &row_ids).await?;
    let near = found.iter().filter_map(|candidate| {
        let score = cosine(vector, vectors.get(&candidate.key)?);
        (score > 0.0).then_some(Found {
            score,
            ..*candidate
        })
    });
    Ok(near.collect())
}

/// 0 where one of them is zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    match lengths > 0.0 {
        true => dot(a, b) / lengths,
        false => 0.0,
    }
}

/// The best `n` rows of a leg that pass the filter, best first; rows no index covers yet are compared one by one by Lance.
async fn candidates(
    snapshot: &Table,
    leg: Leg<'_>,
    predicate: &Predicate,
    n: usize,
) -> Attempt<Vec<Found>> {
    let near = match leg {
        Leg::Text(_) => None,
        Leg::Vector(_) => Some(PROBES),
    };
    let mut found = best(snapshot, leg, predicate, n, near).await?;
    if near.is_some() && found.len() < n {
        found = best(snapshot, leg, predicate, n, None).await?;
    }
    // A vector at a right angle, or none at all, has nothing in common with the query.
    found.retain(|candidate| candidate.score > 0.0);
    Ok(found)
}

/// The nearest `n` rows that pass, whatever their score; vectors are looked for in at most `probes` parts of their index.
async fn best(
    snapshot: &Table,
    leg: Leg<'_>,
    predicate: &Predicate,
    n: usize,
    probes: Option<usize>,
) -> Attempt<Vec<Found>> {
    let measure = match leg {
        Leg::Text(_) => SCORE,
        Leg::Vector(_) => DISTANCE,
    };
    let columns = [col::EVENT_TIME, measure];
    let mut query = snapshot
        .query()
        .select(Select::columns(&columns))
        .with_row_id()
        .limit(n);
    if let Some(sql) = predicate.sql() {
        query = query.only_if(sql);
    }
    let mut stream = match leg {
        Leg::Text(wanted) => {
            query
                .full_text_search(words::full_text(wanted))
                .execute()
                .await?
        }
        Leg::Vector(vector) => {
            let query = query
                .nearest_to(vector)?
                .column(col::VECTOR)
                .distance_type(DistanceType::Cosine)
                .minimum_nprobes(PROBES)?
                .maximum_nprobes(probes)?
                .refine_factor(REFINE);
            query.execute().await?
        }
    };
    let mut found = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        let rows = Rows(&batch);
        let times = rows.integers(col::EVENT_TIME)?;
        let measures = rows.floats(measure)?;
        for (i, row_id) in rows.row_ids()?.iter().enumerate() {
            let score = match leg {
                Leg::Text(_) => f64::from(measures[i]),
                Leg::Vector(_) => 1.0 - f64::from(measures[i]),
            };
            found.push(Candidate {
                key: *row_id,
                event_time: rows::time(times[i]),
                score,
            });
        }
    }
    found.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| (Reverse(a.event_time), a.key).cmp(&(Reverse(b.event_time), b.key)))
    });
    Ok(found)
}

#[cfg(test)]
mod tests;
