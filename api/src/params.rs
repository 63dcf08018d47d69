//! Query parameters: strict about names and values, so that a typing error is not an empty list.

use serde::de::DeserializeOwned;
use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use telesift_schemas::Timestamp;

use crate::{
    problem::{Code, Problem, Result},
    state::App,
};

mod closed;
mod filter;
mod percent;

pub(crate) use closed::{Closed, nearest, parse_closed, reject_unknown_fields};
pub(crate) use filter::{FilterBody, MessageQuery};

/// Default length of a list.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// Greatest length of a list.
pub(crate) const MAX_LIMIT: usize = 500;

/// A segment of a path, decoded; `None` if it is no percent-encoded UTF-8.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    // In a path, unlike in a query, `+` is itself.
    percent::decode(&segment.replace('+', "%2B")).ok()
}

/// The query parameters of a request. Take what the route knows, then [`Params::finish`].
#[derive(Debug)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Params {
    /// # Errors
    /// 400 if the query is not percent-encoded UTF-8.
    pub(crate) fn parse(query: Option<&str>) -> Result<Params> {
        let mut pairs = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|p| !p.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((percent::decode(name)?, percent::decode(value)?));
        }
        Ok(Params {
            pairs,
            known: Vec::new(),
        })
    }

    /// Every value of a repeatable parameter.
    pub(crate) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        self.pairs
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// The value of a parameter that may stand once.
    pub(crate) fn one(&mut self, name: &'static str) -> Result<Option<String>> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(Problem::invalid(
                name,
                format!("`{name}` may be given once only"),
            )),
        }
    }

    /// The value of a parameter that may stand once, parsed. `expected` completes "expected …".
    pub(crate) fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>> {
        self.one(name)?
            .map(|value| parse_value(name, &value, expected))
            .transpose()
    }

    /// Every value of a repeatable parameter, parsed.
    pub(crate) fn all_parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Vec<T>> {
        self.all(name)
            .iter()
            .map(|value| parse_value(name, value, expected))
            .collect()
    }

    /// Every value of a repeatable parameter, each out of a closed list.
    pub(crate) fn all_closed<T: Closed>(&mut self, name: &'static str) -> Result<Vec<T>> {
        self.all(name)
            .iter()
            .map(|value| parse_closed(name, value))
            .collect()
    }

    /// `true` or `false`; absent means false.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool> {
        match self.one(name)?.as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(Problem::invalid(
                name,
                format!("`{name}` is `true` or `false`, not `{other}`"),
            )),
        }
    }

    /// A moment in RFC 3339.
    pub(crate) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>> {
        self.one(name)?
            .map(|value| parse_time(name, &value))
            .transpose()
    }

    /// `limit`, 1..=500.
    pub(crate) fn limit(&mut self) -> Result<usize> {
        let limit = self.parsed("limit", "a number from 1 to 500")?;
        valid_limit(limit.unwrap_or(DEFAULT_LIMIT))
    }

    /// `limit` of a list that is short by nature and mostly wanted whole, 1..=500.
    pub(crate) fn limit_of_short(&mut self) -> Result<usize> {
        let limit = self.parsed("limit", "a number from 1 to 500")?;
        valid_limit(limit.unwrap_or(MAX_LIMIT))
    }

    /// `cursor`: the place in the list `list` after which to go on.
    pub(crate) fn after<C: DeserializeOwned>(&mut self, list: &str) -> Result<Option<C>> {
        self.one("cursor")?
            .map(|text| crate::cursor::decode(list, &text))
            .transpose()
    }

    /// # Errors
    /// 400 if a parameter is left that the route does not know.
    pub(crate) fn finish(self) -> Result<()> {
        let unknown: Vec<&str> = self
            .pairs
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !self.known.contains(name))
            .collect();
        closed::reject_unknown("parameter", &unknown, &self.known)
    }
}

impl FromRequestParts<Arc<App>> for Params {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        Params::parse(parts.uri.query())
    }
}

/// Parses one value. `expected` completes "expected …".
pub(crate) fn parse_value<T: FromStr>(name: &str, value: &str, expected: &str) -> Result<T> {
    value.parse().map_err(|_| {
        Problem::invalid(
            name,
            format!("`{name}`: expected {expected}, found `{value}`"),
        )
        .with("value", value)
    })
}

/// A moment in RFC 3339. A `+` that a client forgot to escape arrives as a space.
pub(crate) fn parse_time(name: &str, value: &str) -> Result<Timestamp> {
    let unescaped = || match value.rsplit_once(' ') {
        Some((head, zone)) => format!("{head}+{zone}").parse().ok(),
        None => None,
    };
    let parsed = value.parse().ok().or_else(unescaped);
    parsed.or_else(|| beyond_all_times(value)).ok_or_else(|| {
        let expected = "a time such as 2026-01-05T10:00:00Z";
        Problem::invalid(
            name,
            format!("`{name}`: expected {expected}, found `{value}`"),
        )
        .with("value", value)
    })
}

/// The last hours of the year 9999, which RFC 3339 has and [`Timestamp`] has not: people write them for "no end".
fn beyond_all_times(value: &str) -> Option<Timestamp> {
    let (date, time) = value.split_at_checked("9999-12-31".len())?;
    let is_late = date == "9999-12-30" || date == "9999-12-31";
    // The day before tells whether the rest is a time.
    let day_before: Option<Timestamp> = format!("9999-12-29{time}").parse().ok();
    day_before.filter(|_| is_late).map(|_| Timestamp::MAX)
}

/// # Errors
/// 400 outside of 1..=500.
pub(crate) fn valid_limit(limit: usize) -> Result<usize> {
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid(
        "limit",
        format!("`limit` is a number from 1 to {MAX_LIMIT}, not {limit}"),
    ))
}

/// A segment of the path, parsed.
///
/// # Errors
/// 400 naming what was expected.
pub(crate) fn path_value<T>(name: &str, value: &str) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    value.parse().map_err(|e: T::Err| {
        Problem::new(Code::InvalidParameter, format!("`{name}`: {e}"))
            .with("parameter", name)
            .with("value", value)
    })
}
