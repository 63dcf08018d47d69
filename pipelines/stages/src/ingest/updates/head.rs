//! As much of an update as the door must know: its id, its chat, and which message versions it speaks of.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use telesift_schemas::{ChatId, update_kinds};

/// How deep brackets may nest: what reads an update later must not run out of stack.
const MAX_DEPTH: usize = 100;

/// What the door knows of an update. What cannot be found is absent: no odd field keeps an update out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) update_id: Option<i64>,
    pub(super) chat: Option<ChatId>,
    /// Id and edit date of the message it holds.
    pub(super) message: Option<(i64, i64)>,
    /// The messages it says were deleted.
    pub(super) deleted: Vec<i64>,
}

/// Checks that `payload` is one JSON object, of bounded depth if a stranger might have sent it, and reads its head.
///
/// # Errors
/// Why it is none, and where, without a word of it.
pub(super) fn read(payload: &[u8], bound_depth: bool) -> Result<(&RawValue, Head), String> {
    let raw: &RawValue = serde_json::from_slice(payload).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        format!("the update is no valid JSON, at line {line} column {column}")
    })?;
    if !raw.get().starts_with('{') {
        return Err("the update is not a JSON object".to_owned());
    }
    if bound_depth && is_deeper_than(raw.get(), MAX_DEPTH) {
        return Err(format!(
            "the update nests deeper than {MAX_DEPTH} lists and objects"
        ));
    }
    // Only a key that is no text could fail here, and JSON has none.
    let head = serde_json::from_str(raw.get()).unwrap_or_default();
    Ok((raw, head))
}

/// Whether the brackets of a valid JSON text nest deeper than `limit`.
fn is_deeper_than(json: &str, limit: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Head;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an update")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
                let mut head = Head::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "update_id" {
                        head.update_id = int(map.next_value()?);
                        continue;
                    }
                    let raw: &RawValue = map.next_value()?;
                    if let Ok(Some(inner)) = serde_json::from_str::<Option<Inner<'_>>>(raw.get()) {
                        inner.put_into(&mut head, &key);
                    }
                }
                Ok(head)
            }
        }
        d.deserialize_map(Fields)
    }
}

/// What an update holds, of whatever kind.
#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(default, borrow)]
    chat: Option<&'a RawValue>,
    /// Of a pressed button: the message it stands under.
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    edit_date: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message_ids: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Holder<'a> {
    #[serde(default, borrow)]
    chat: Option<&'a RawValue>,
}

impl Inner<'_> {
    fn put_into(self, head: &mut Head, kind: &str) {
        let held = self.message.and_then(nested::<Holder<'_>>);
        let chat = self.chat.or(held.and_then(|m| m.chat));
        let chat = chat.and_then(nested::<Chat<'_>>).and_then(|c| int(c.id));
        head.chat = head.chat.or(chat.map(ChatId));
        if update_kinds::MESSAGES.contains(&kind)
            && let Some(id) = int(self.message_id)
        {
            let edit = int(self.edit_date).filter(|&e| e > 0).unwrap_or(0);
            head.message = Some((id, edit));
        }
        if kind == update_kinds::DELETED {
            let ids: Vec<&RawValue> = self.message_ids.and_then(nested).unwrap_or_default();
            // One that is no number stays a place of its own, so that `part` counts as the list does.
            head.deleted = ids
                .into_iter()
                .map(|id| int(Some(id)).unwrap_or(0))
                .collect();
        }
    }
}

fn nested<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// A whole number, written as a number or as a text.
fn int(raw: Option<&RawValue>) -> Option<i64> {
    match serde_json::from_str(raw?.get()).ok()? {
        Value::Number(n) => n.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(json: &str) -> Head {
        read(json.as_bytes(), true).unwrap().1
    }

    #[test]
    fn heads_are_read_of_every_kind() {
        let message = head(
            r#"{"update_id":7,"edited_channel_post":{"message_id":42,"edit_date":9,"chat":{"id":-1001,"title":"x"}}}"#,
        );
        assert_eq!(
            message,
            Head {
                update_id: Some(7),
                chat: Some(ChatId(-1001)),
                message: Some((42, 9)),
                deleted: Vec::new(),
            }
        );
        let deleted = head(
            r#"{"deleted_business_messages":{"chat":{"id":5},"message_ids":[1,"x",3]},"update_id":"8"}"#,
        );
        assert_eq!(
            (deleted.update_id, deleted.deleted),
            (Some(8), vec![1, 0, 3])
        );
        let button =
            head(r#"{"update_id":1,"callback_query":{"id":"4","message":{"chat":{"id":5}}}}"#);
        assert_eq!((button.chat, button.message), (Some(ChatId(5)), None));
        let reaction =
            head(r#"{"update_id":1,"message_reaction":{"message_id":1,"chat":{"id":5}}}"#);
        assert_eq!(
            reaction.message, None,
            "a reaction is no version of the message"
        );
        assert_eq!(head(r#"{"update_id":3,"poll":{"id":"1"}}"#).chat, None);
        assert_eq!(head("{}"), Head::default());
    }

    #[test]
    fn odd_values_keep_nothing_out() {
        for json in [
            r#"{"update_id":null,"message":null}"#,
            r#"{"update_id":{},"message":[1]}"#,
            r#"{"update_id":1.5,"message":{"chat":7,"message_id":[]}}"#,
            r#"{"update_id":99999999999999999999,"message":"x"}"#,
            r#"{"message":{"chat":{"id":{}},"message_id":true,"edit_date":"x"}}"#,
            r#"{"deleted_business_messages":{"message_ids":7}}"#,
        ] {
            let head = head(json);
            assert_eq!((head.chat, head.message), (None, None), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        for bad in [
            "",
            "[]",
            "7",
            "null",
            "{",
            "{\"a\":}",
            "\u{feff}{}",
            "{} {}",
        ] {
            assert!(read(bad.as_bytes(), true).is_err(), "{bad}");
        }
        assert!(read(b"{\"a\":\"\xff\"}", true).is_err());
        let error = read(b"{\"update_id\":1,\n \"secret text", true).unwrap_err();
        assert!(
            error.contains("line 2") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn nesting_is_bounded_outside_of_texts_only() {
        let nested = |n: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(read(nested(MAX_DEPTH - 1).as_bytes(), true).is_ok());
        assert!(read(nested(MAX_DEPTH).as_bytes(), true).is_err());
        assert!(read(nested(200_000).as_bytes(), true).is_err());
        let text = format!(r#"{{"a":"\\\"{}"}}"#, "[".repeat(500));
        assert!(read(text.as_bytes(), true).is_ok());
    }
}
