//! The filter flags of the command line as query parameters and as the filter of a search.

use serde_json::{Map, Value, json};

use crate::cli::Filters;

/// `?chat=…&class=…`, repeated for OR.
pub(super) fn query(filters: &Filters) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&'static str, String)> = Vec::new();
    let mut all = |name, values: &[String]| query.extend(values.iter().map(|v| (name, v.clone())));
    all("chat", &texts(&filters.chats));
    all("author", &texts(&filters.authors));
    all("class", &filters.classes);
    all("lang", &filters.langs);
    all("kind", &filters.kinds);
    all("flag", &filters.flags);
    let one = [
        ("min_score", filters.min_score.map(|s| s.to_string())),
        ("since", filters.since.clone()),
        ("until", filters.until.clone()),
        (
            "include_noise",
            filters.include_noise.then(|| "true".to_owned()),
        ),
    ];
    query.extend(
        one.into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    query
}

/// The `filter` object of `POST /v1/search`.
pub(super) fn object(filters: &Filters) -> Value {
    let mut object = Map::new();
    let lists = [
        ("chats", texts(&filters.chats)),
        ("authors", texts(&filters.authors)),
        ("classes", filters.classes.clone()),
        ("langs", filters.langs.clone()),
        ("kinds", filters.kinds.clone()),
        ("flags", filters.flags.clone()),
    ];
    for (name, values) in lists {
        if !values.is_empty() {
            object.insert(name.to_owned(), json!(values));
        }
    }
    for (name, value) in [("since", &filters.since), ("until", &filters.until)] {
        if let Some(value) = value {
            object.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(score) = filters.min_score {
        object.insert("min_score".to_owned(), json!(score));
    }
    if filters.include_noise {
        object.insert("include_noise".to_owned(), json!(true));
    }
    Value::Object(object)
}

fn texts(ids: &[i64]) -> Vec<String> {
    ids.iter().map(i64::to_string).collect()
}
