//! What the chain gave for one record, read just as far as the stage must know it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_ports::record_log::UniqueKey;
use telesift_schemas::{
    Class, DeadLetterCode, Generation, MessageKey, MessageKind, Offset, Origin, TopicPartition,
};

/// A value that left the chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Screened {
    /// A message of this identity.
    Message { identity: UniqueKey },
    /// How people react to a message: the record, without its origin.
    Reacted(Bytes),
    /// No message, for this reason.
    Skip(String),
    /// Unreadable, or no output at all.
    Fail {
        code: DeadLetterCode,
        message: String,
    },
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    skip: Option<Cow<'a, str>>,
    #[serde(default)]
    fail: Option<Fail>,
    #[serde(borrow, default)]
    reacted: Option<&'a RawValue>,
    #[serde(default)]
    id: Option<MessageKey>,
    #[serde(default)]
    edit: Option<i64>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    screen: Option<ScreenHead>,
}

#[derive(Deserialize)]
struct Fail {
    code: DeadLetterCode,
    message: String,
}

#[derive(Deserialize)]
struct ScreenHead {
    #[expect(dead_code, reason = "a value without a class is no screened message")]
    class: Class,
}

/// Reads a value that is to become a message of `generation`.
pub(super) fn read(generation: Generation, value: &[u8]) -> Screened {
    let head: Head<'_> = match serde_json::from_slice(value) {
        Ok(head) => head,
        // Not the parser's own words: they may quote the message.
        Err(e) => {
            let (line, column) = (e.line(), e.column());
            return broken(format!("not the JSON of a message, at {line}:{column}"));
        }
    };
    match head {
        Head {
            skip: Some(reason), ..
        } => Screened::Skip(reason.into_owned()),
        Head {
            fail: Some(Fail { code, message }),
            ..
        } => Screened::Fail { code, message },
        Head {
            reacted: Some(record),
            ..
        } => Screened::Reacted(Bytes::copy_from_slice(record.get().as_bytes())),
        Head {
            id: Some(id),
            edit: Some(edit),
            screen: Some(_),
            kind,
            ..
        } => Screened::Message {
            identity: identity(generation, (&id, edit), kind.as_deref()),
        },
        Head { .. } => broken("a message without id, edit or screen".to_owned()),
    }
}

/// What refuses a second record of a message version in a generation. A message is deleted once, and that is not the edit of
/// the same second.
pub(crate) fn identity(
    generation: Generation,
    (id, edit): (&MessageKey, i64),
    kind: Option<&str>,
) -> UniqueKey {
    let id = id.to_string();
    if kind == Some(MessageKind::Deleted.as_str()) {
        return UniqueKey::of_generation(generation, "screened-deletion", &[&id]);
    }
    UniqueKey::of_generation(generation, "screened", &[&id, &edit.to_string()])
}

fn broken(message: String) -> Screened {
    Screened::Fail {
        code: DeadLetterCode::GuestOutput,
        message,
    }
}

/// The identity of a record of the messages of `generation`; `None` for what is no message.
pub(crate) fn identity_of(generation: Generation, value: &[u8]) -> Option<UniqueKey> {
    match read(generation, value) {
        Screened::Message { identity } => Some(identity),
        _ => None,
    }
}

/// Adds `origin`, and the number of the retry that brought it where there is one, as the last fields of the message object,
/// without parsing and writing it again.
pub(super) fn with_origin(
    message: &[u8],
    (at, offset): (&TopicPartition, Offset),
    retry: Option<u32>,
) -> Bytes {
    let origin = Origin {
        topic: at.topic.clone(),
        partition: at.partition,
        offset,
    };
    let origin = serde_json::to_vec(&origin).expect("a topic and two numbers");
    let body = message.trim_ascii_end();
    let body = body.strip_suffix(b"}").unwrap_or(body);
    let mut value = Vec::with_capacity(body.len() + origin.len() + 12);
    value.extend_from_slice(body);
    value.extend_from_slice(b",\"origin\":");
    value.extend_from_slice(&origin);
    if let Some(attempt) = retry {
        value.extend_from_slice(format!(",\"retry\":{attempt}").as_bytes());
    }
    value.push(b'}');
    value.into()
}

#[cfg(test)]
mod tests {
    use telesift_schemas::{PartitionId, Topic};

    use super::*;

    #[test]
    fn origin_becomes_the_last_field() {
        let at = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(2));
        let message = br#"{"id":"1:2","text":"}"}"#;
        let again = with_origin(message, (&at, Offset(7)), Some(2));
        assert!(again.ends_with(br#""offset":7},"retry":2}"#));
        let value = with_origin(message, (&at, Offset(7)), None);
        let json: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(
            json["origin"],
            serde_json::json!({"topic": "telegram-raw", "partition": 2, "offset": 7})
        );
        assert_eq!(json["text"], "}");
    }

    #[test]
    fn a_deletion_is_no_edit_of_the_same_second() {
        let of = |kind: &str, edit: i64| {
            let value = format!(
                r#"{{"id":"1:2","edit":{edit},"kind":"{kind}","screen":{{"class":"noise"}}}}"#
            );
            read(Generation::FIRST, value.as_bytes())
        };
        assert_ne!(of("text", 7), of("deleted", 7));
        assert_eq!(of("deleted", 7), of("deleted", 9), "deleted once");
        assert_ne!(of("text", 7), of("text", 9));
    }

    #[test]
    fn reactions_leave_as_the_record_itself() {
        let Screened::Reacted(record) =
            read(Generation::FIRST, br#"{"reacted":{"v":1,"id":"1:2"}}"#)
        else {
            panic!("not read as reactions");
        };
        assert_eq!(record, &br#"{"v":1,"id":"1:2"}"#[..]);
    }

    #[test]
    fn output_that_is_no_message_is_refused() {
        for value in [
            &b"not json"[..],
            b"{}",
            b"[]",
            br#"{"id":"1:2","edit":0}"#,
            br#"{"id":"x","edit":0,"screen":{"class":"noise"}}"#,
        ] {
            assert!(matches!(
                read(Generation::FIRST, value),
                Screened::Fail {
                    code: DeadLetterCode::GuestOutput,
                    ..
                }
            ));
        }
    }
}
