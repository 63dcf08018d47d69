//! The order of hits, the same in every store: one leg alone by its own score, two legs fused by reciprocal rank.

use std::{cmp::Ordering, collections::HashMap, hash::Hash};

use telesift_schemas::{MessageKey, Timestamp};

use super::SearchMode;

/// The constant of reciprocal rank fusion: a hit at rank r (from 1) of a leg adds 1 / (60 + r). From Cormack, Clarke,
/// Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods" (SIGIR 2009).
pub const RRF_K: f64 = 60.0;

/// One message as one leg of a search found it. `Id` is what a store tells messages apart by while it searches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<Id = MessageKey> {
    /// Which message.
    pub key: Id,
    /// Breaks ties: the newer is better.
    pub event_time: Timestamp,
    /// BM25 or cosine similarity; comparable within the leg.
    pub score: f64,
}

/// One message, ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked<Id = MessageKey> {
    /// Which message.
    pub key: Id,
    /// Breaks ties: the newer is better.
    pub event_time: Timestamp,
    /// What it is ranked by.
    pub score: f64,
    /// BM25, where the text matched.
    pub text_score: Option<f64>,
    /// Cosine similarity, where vectors were compared.
    pub vector_score: Option<f64>,
}

/// How many candidates each leg of a search contributes. One number for all pages of up to 100, so that a larger limit only
/// ever adds hits behind those of a smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegDepths {
    /// By words: twice the limit, since a store may cut equal scores where it likes, and 200 at least.
    pub text: usize,
    /// By vectors. Alone as deep; fused half as deep: what is further away weighs less than the last that words find.
    pub vector: usize,
}

impl LegDepths {
    /// The depths for `limit` hits.
    pub fn of(mode: SearchMode, limit: usize) -> Self {
        let text = limit.saturating_mul(2).clamp(200, 10_000);
        let vector = match mode {
            SearchMode::Hybrid => limit.clamp(100, 10_000),
            SearchMode::Text | SearchMode::Vector => text,
        };
        LegDepths { text, vector }
    }
}

/// Ranks the candidates of both legs, best first. With [`SearchMode::Hybrid`] the score is the sum of reciprocal ranks,
/// otherwise that of the one leg the mode asks for. Ties go to the newer message, then to the smaller key, so that the
/// same candidates always give the same order, in whatever order they came.
pub fn rank<Id: Copy + Ord + Hash>(
    mode: SearchMode,
    text: Vec<Candidate<Id>>,
    vector: Vec<Candidate<Id>>,
) -> Vec<Ranked<Id>> {
    let mut found: HashMap<Id, Ranked<Id>> = HashMap::with_capacity(text.len() + vector.len());
    let legs = [
        (text, SearchMode::Text, SearchMode::Vector),
        (vector, SearchMode::Vector, SearchMode::Text),
    ];
    for (mut leg, own, other) in legs {
        if mode == other {
            continue;
        }
        leg.sort_by(|a, b| {
            better(
                (a.score, a.event_time, a.key),
                (b.score, b.event_time, b.key),
            )
        });
        for (i, candidate) in leg.into_iter().enumerate() {
            let hit = found.entry(candidate.key).or_insert(Ranked {
                key: candidate.key,
                event_time: candidate.event_time,
                score: 0.0,
                text_score: None,
                vector_score: None,
            });
            hit.score += match mode {
                SearchMode::Hybrid => leg_weight(own) / (RRF_K + (i + 1) as f64),
                SearchMode::Text | SearchMode::Vector => candidate.score,
            };
            match own {
                SearchMode::Vector => hit.vector_score = Some(candidate.score),
                SearchMode::Text | SearchMode::Hybrid => hit.text_score = Some(candidate.score),
            }
        }
    }
    let mut ranked: Vec<Ranked<Id>> = found.into_values().collect();
    ranked.sort_by(|a, b| {
        better(
            (a.score, a.event_time, a.key),
            (b.score, b.event_time, b.key),
        )
    });
    ranked
}

/// Words a message really holds are evidence; nearness of vectors orders what words leave open and adds what they miss.
fn leg_weight(leg: SearchMode) -> f64 {
    if leg == SearchMode::Vector { 0.4 } else { 1.0 }
}

/// The order of hits: by score, the newer first, then by id.
fn better<Id: Ord>(a: (f64, Timestamp, Id), b: (f64, Timestamp, Id)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2))
}

#[cfg(test)]
mod tests {
    use telesift_schemas::ChatId;

    use super::*;

    fn candidate(message_id: i64, score: f64) -> Candidate {
        Candidate {
            key: MessageKey {
                chat: ChatId(-100),
                message_id,
            },
            event_time: Timestamp::UNIX_EPOCH,
            score,
        }
    }

    fn ids(ranked: &[Ranked]) -> Vec<i64> {
        ranked.iter().map(|r| r.key.message_id).collect()
    }

    #[test]
    fn a_vector_too_far_for_its_leg_would_come_behind_all_that_words_find() {
        for limit in [1, 20, 100, 500] {
            let depths = LegDepths::of(SearchMode::Hybrid, limit);
            let last_by_words = 1.0 / (RRF_K + depths.text as f64);
            let first_left_out =
                leg_weight(SearchMode::Vector) / (RRF_K + depths.vector as f64 + 1.0);
            assert!(first_left_out < last_by_words, "of {limit}");
            assert!(depths.vector >= limit);
        }
    }

    #[test]
    fn what_both_legs_find_comes_before_what_one_finds() {
        let text = vec![candidate(1, 9.0), candidate(2, 5.0), candidate(3, 1.0)];
        let vector = vec![candidate(4, 0.9), candidate(3, 0.8)];
        let ranked = rank(SearchMode::Hybrid, text, vector);
        assert_eq!(ids(&ranked), [3, 1, 2, 4]);
        assert_eq!(ranked[0].text_score, Some(1.0));
        assert_eq!(ranked[0].vector_score, Some(0.8));
    }

    #[test]
    fn one_leg_alone_is_ranked_by_its_own_score() {
        let text = vec![candidate(1, 1.0), candidate(2, 5.0)];
        let vector = vec![candidate(3, 0.9)];
        let ranked = rank(SearchMode::Text, text.clone(), vector.clone());
        assert_eq!(ids(&ranked), [2, 1]);
        assert_eq!(ids(&rank(SearchMode::Vector, text, vector)), [3]);
    }

    #[test]
    fn ties_do_not_depend_on_the_order_of_arrival() {
        let mut newer = candidate(3, 2.0);
        newer.event_time = Timestamp::from_second(10).expect("a valid time");
        let there = vec![candidate(2, 2.0), candidate(1, 2.0), newer];
        let back = vec![newer, candidate(1, 2.0), candidate(2, 2.0)];
        assert_eq!(ids(&rank(SearchMode::Text, there, vec![])), [3, 1, 2]);
        assert_eq!(ids(&rank(SearchMode::Text, back, vec![])), [3, 1, 2]);
    }
}
