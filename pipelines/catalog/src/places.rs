//! Placeholders as SQLite binds them fastest.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
};

/// With fewer parameters it makes no difference.
const MANY: usize = 32;

/// `sql` with `?` for `$1`, `$2`, … if it has many of them, each once and in order; else as it is.
///
/// SQLite keeps the names of placeholders in a list, which the driver has it go through for each one, so that binding costs
/// the square of their number: 40 µs a row in a statement of 200 rows. `?` has no name and says the same.
pub(crate) fn without_names(sql: &'static str, n_args: usize) -> &'static str {
    if n_args < MANY {
        return sql;
    }
    // By where a text lies, which is quicker to find than its words: there are as many as there are queries, and none goes
    // away.
    static KNOWN: LazyLock<RwLock<HashMap<(usize, usize), &'static str>>> =
        LazyLock::new(RwLock::default);
    let place = (sql.as_ptr() as usize, sql.len());
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(nameless) = known.get(&place) {
        return nameless;
    }
    drop(known);
    let nameless = in_order(sql).map_or(sql, |made| &*Box::leak(made.into_boxed_str()));
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.insert(place, nameless);
    nameless
}

fn in_order(sql: &str) -> Option<String> {
    let mut pieces = sql.split('$');
    let mut made = String::with_capacity(sql.len());
    made.push_str(pieces.next()?);
    for (i, piece) in pieces.enumerate() {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &piece[..piece.len() - rest.len()];
        if number.parse() != Ok(i + 1) {
            return None;
        }
        made.push('?');
        made.push_str(rest);
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_where_they_say_nothing() {
        for (sql, expected) in [
            ("VALUES ($1, $2), ($3, $4)", Some("VALUES (?, ?), (?, ?)")),
            ("a = $1 AND (b = $2 OR c = $1)", None),
            ("a = $2 AND b = $1", None),
            ("a = '$' AND b = $1", None),
            ("SELECT 1", Some("SELECT 1")),
        ] {
            assert_eq!(in_order(sql).as_deref(), expected, "{sql}");
        }
        let few = "VALUES ($1)";
        assert_eq!(without_names(few, 1), few);
        assert_eq!(without_names(few, MANY), "VALUES (?)");
        assert_eq!(without_names(few, MANY), "VALUES (?)");
    }
}
