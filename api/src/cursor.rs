//! Opaque cursors of lists: base64url JSON with a tag, so that a cursor of another list is refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::problem::{Code, Problem, Result};

#[derive(Serialize, Deserialize)]
struct Tagged<T> {
    /// Which list.
    k: String,
    /// Where in it.
    at: T,
}

/// The text of a place in the list `kind`.
pub(crate) fn encode<T: Serialize>(kind: &str, at: T) -> Result<String> {
    let tagged = Tagged {
        k: kind.to_owned(),
        at,
    };
    let json = serde_json::to_vec(&tagged).map_err(Problem::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The place in the list `kind`.
///
/// # Errors
/// 400 if the text is no cursor, or one of another list.
pub(crate) fn decode<T: DeserializeOwned>(kind: &str, text: &str) -> Result<T> {
    let invalid = |detail: &str| Problem::new(Code::InvalidCursor, detail);
    let tagged: Tagged<serde_json::Value> = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| invalid("this is no cursor; take `next_cursor` of the last answer"))?;
    if tagged.k != kind {
        return Err(invalid("this cursor belongs to another list"));
    }
    serde_json::from_value(tagged.at)
        .map_err(|_| invalid("this is no cursor; take `next_cursor` of the last answer"))
}

/// One page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// In the order of the list.
    pub(crate) items: Vec<T>,
    /// For the next page; `null` at the end.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Cuts `items`, of which one more than `limit` was fetched, and names the place of the last one kept.
    pub(crate) fn cut<C: Serialize>(
        mut items: Vec<T>,
        limit: usize,
        kind: &str,
        place: impl FnOnce(&T) -> C,
    ) -> Result<Page<T>> {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next_cursor = match items.last() {
            Some(last) if goes_on => Some(encode(kind, place(last))?),
            _ => None,
        };
        Ok(Page { items, next_cursor })
    }

    pub(crate) fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_only() {
        let text = encode("messages", 7).unwrap();
        assert_eq!(decode::<i32>("messages", &text).unwrap(), 7);
        assert!(decode::<i32>("keys", &text).is_err());
        assert!(decode::<String>("messages", &text).is_err());
    }

    #[test]
    fn garbage_is_no_cursor() {
        for text in ["", "x", "e30", "bnVsbA", "Ω", "eyJrIjoibWVzc2FnZXMifQ"] {
            assert!(decode::<i32>("messages", text).is_err(), "{text}");
        }
    }
}
