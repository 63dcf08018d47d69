//! A query's words as Lance's full-text query.

use lancedb::index::scalar::{
    BooleanQuery, FtsQuery, FullTextSearchQuery, MatchQuery, Occur, Operator,
};
use telesift_text::{Query, Unit};

use crate::schema::columns as col;

/// Ranks by all terms; what is required narrows the candidates to messages that hold the required words somewhere.
/// Whether they stand in the right order is checked on the text.
pub(super) fn full_text(query: &Query) -> FullTextSearchQuery {
    let ranked = words(&query.ranked, Operator::Or);
    let required: Vec<FtsQuery> = query.required.iter().filter_map(|g| group(g)).collect();
    if required.is_empty() {
        return FullTextSearchQuery::new_query(ranked);
    }
    let clauses = required.into_iter().map(|q| (Occur::Must, q));
    let clauses = clauses.chain([(Occur::Should, ranked)]);
    FullTextSearchQuery::new_query(BooleanQuery::new(clauses).into())
}

fn words(terms: &[String], operator: Operator) -> FtsQuery {
    MatchQuery::new(terms.join(" "))
        .with_column(Some(col::TERMS.to_owned()))
        .with_operator(operator)
        .into()
}

/// One of the units: `None` where a unit has no index terms, so that the group cannot narrow anything.
fn group(units: &[Unit]) -> Option<FtsQuery> {
    let units = units.iter().map(|unit| {
        let terms = match unit {
            Unit::Word(term) => vec![term.clone()],
            Unit::Phrase(words) => telesift_text::terms(&words.join(" ")),
        };
        (!terms.is_empty()).then(|| words(&terms, Operator::And))
    });
    let mut units = units.collect::<Option<Vec<FtsQuery>>>()?;
    match units.len() {
        0 => None,
        1 => units.pop(),
        _ => {
            let either = units.into_iter().map(|q| (Occur::Should, q));
            Some(BooleanQuery::new(either).into())
        }
    }
}
