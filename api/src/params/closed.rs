//! Closed lists of names: unknown ones are refused with the nearest valid one.

use serde_json::{Map, Value};
use telesift_ports::{
    catalog::Scope,
    message_store::SearchMode,
    providers::{CostBy, Enrich, ProviderKind},
};
use telesift_schemas::{
    AtomKind, AtomStatus, BurstKind, Class, DeadLetterCode, LetterState, MessageKind, TrendKind,
};

use crate::problem::{Code, Problem, Result};

/// A type whose values have names, all known.
pub(crate) trait Closed: Copy + 'static {
    /// Every value.
    const VALUES: &'static [Self];
    /// The name in JSON and in parameters.
    fn name(self) -> &'static str;
}

impl Closed for Class {
    const VALUES: &'static [Self] = &Class::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for MessageKind {
    const VALUES: &'static [Self] = &MessageKind::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for SearchMode {
    const VALUES: &'static [Self] = &[SearchMode::Hybrid, SearchMode::Text, SearchMode::Vector];
    fn name(self) -> &'static str {
        match self {
            SearchMode::Hybrid => "hybrid",
            SearchMode::Text => "text",
            SearchMode::Vector => "vector",
        }
    }
}

impl Closed for Scope {
    const VALUES: &'static [Self] = &[Scope::Read, Scope::Review, Scope::Ingest, Scope::Admin];
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for DeadLetterCode {
    const VALUES: &'static [Self] = &DeadLetterCode::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for AtomKind {
    const VALUES: &'static [Self] = &AtomKind::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for AtomStatus {
    const VALUES: &'static [Self] = &AtomStatus::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for LetterState {
    const VALUES: &'static [Self] = &LetterState::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for Enrich {
    const VALUES: &'static [Self] = &Enrich::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for ProviderKind {
    const VALUES: &'static [Self] = &ProviderKind::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for CostBy {
    const VALUES: &'static [Self] = &CostBy::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for TrendKind {
    const VALUES: &'static [Self] = &TrendKind::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Closed for BurstKind {
    const VALUES: &'static [Self] = &BurstKind::ALL;
    fn name(self) -> &'static str {
        self.as_str()
    }
}

/// The value of that name.
///
/// # Errors
/// 400 with the valid names and the nearest of them.
pub(crate) fn parse_closed<T: Closed>(parameter: &str, value: &str) -> Result<T> {
    if let Some(found) = T::VALUES.iter().find(|v| v.name() == value) {
        return Ok(*found);
    }
    let names: Vec<&str> = T::VALUES.iter().map(|v| v.name()).collect();
    let hint = nearest(value, &names).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    let mut problem = Problem::invalid(
        parameter,
        format!(
            "`{parameter}`: unknown value `{value}`{hint} Valid: {}",
            names.join(", ")
        ),
    )
    .with("value", value)
    .with("valid", names.clone());
    if let Some(nearest) = nearest(value, &names) {
        problem = problem.with("nearest", nearest);
    }
    Err(problem)
}

/// The name most like `word`, by edit distance.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .min_by_key(|name| strsim::damerau_levenshtein(word, name))
        .copied()
}

/// # Errors
/// 400 if there are `unknown` names of a `what`, such as `parameter`.
pub(super) fn reject_unknown(what: &str, unknown: &[&str], known: &[&'static str]) -> Result<()> {
    let Some(first) = unknown.first() else {
        return Ok(());
    };
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    let nearest = nearest(first, &known);
    let hint = nearest.map_or(String::new(), |n| {
        format!("; the nearest valid one is `{n}`")
    });
    let quoted: Vec<String> = unknown.iter().map(|u| format!("`{u}`")).collect();
    let mut problem = Problem::new(
        Code::UnknownParameter,
        format!("unknown {what} {}{hint}", quoted.join(", ")),
    )
    .with("unknown", unknown.to_vec())
    .with("valid", known);
    if let Some(nearest) = nearest {
        problem = problem.with("nearest", nearest);
    }
    Err(problem)
}

/// # Errors
/// 400 if the JSON object holds a field that is not among `known`.
pub(crate) fn reject_unknown_fields(
    object: &Map<String, Value>,
    known: &[&'static str],
) -> Result<()> {
    let unknown: Vec<&str> = object
        .keys()
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    reject_unknown("field", &unknown, known)
}
