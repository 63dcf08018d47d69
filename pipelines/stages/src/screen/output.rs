//! What the chain gave for one record, read just as far as the stage must know it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use telesift_ports::record_log::UniqueKey;
use telesift_schemas::{
    Class, DeadLetterCode, Generation, MessageKey, Offset, Origin, TopicPartition,
};

/// A value that left the chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Screened {
    /// A message of this identity.
    Message { identity: UniqueKey },
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
    #[serde(default)]
    id: Option<MessageKey>,
    #[serde(default)]
    edit: Option<i64>,
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
        Err(e) => return broken(format!("not the JSON of a message: {e}")),
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
            id: Some(id),
            edit: Some(edit),
            screen: Some(_),
            ..
        } => Screened::Message {
            identity: identity(generation, &id, edit),
        },
        Head { .. } => broken("a message without id, edit or screen".to_owned()),
    }
}

/// What refuses a second record of a message version in a generation.
pub(crate) fn identity(generation: Generation, id: &MessageKey, edit: i64) -> UniqueKey {
    UniqueKey::of_generation(
        generation,
        "screened",
        &[&id.to_string(), &edit.to_string()],
    )
}

fn broken(message: String) -> Screened {
    Screened::Fail {
        code: DeadLetterCode::GuestOutput,
        message,
    }
}

/// Adds `origin` as the last field of the message object, without parsing and writing it again.
pub(super) fn with_origin(message: &[u8], (at, offset): (&TopicPartition, Offset)) -> Bytes {
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
        let value = with_origin(br#"{"id":"1:2","text":"}"}"#, (&at, Offset(7)));
        let json: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(
            json["origin"],
            serde_json::json!({"topic": "telegram-raw", "partition": 2, "offset": 7})
        );
        assert_eq!(json["text"], "}");
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
