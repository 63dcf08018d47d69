//! A deletion to a tombstone of one of its messages.

use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_schemas::{Message, MessageKind, Normalized, Timestamp};

use super::parties::Party;
use crate::{NormalizeError, Place, json::Int};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Deletion<'a> {
    #[serde(borrow)]
    chat: Option<Party<'a>>,
    message_ids: Vec<Int>,
}

/// The tombstone of message `part` of the deletion. Telegram says neither when it was nor what was deleted, so the time
/// is the one it reached us, and nothing of the message is repeated: its versions keep that.
pub(super) fn normalize(
    payload: &RawValue,
    received: Option<i64>,
    part: Option<u32>,
) -> Result<Normalized, NormalizeError> {
    let deletion: Deletion<'_> =
        serde_json::from_str(payload.get()).map_err(|e| NormalizeError::Payload(Place::of(&e)))?;
    let part = match (part, deletion.message_ids.len()) {
        (Some(part), _) => part as usize,
        (None, 0 | 1) => 0,
        // One record gives one message at most: without a part it is not said which.
        (None, _) => return Err(NormalizeError::Missing("part")),
    };
    let message_id = deletion.message_ids.get(part).and_then(|id| id.0);
    let message_id = message_id.ok_or(NormalizeError::Missing("message_ids"))?;
    let chat = deletion.chat.and_then(|c| c.to_chat());
    let chat = chat.ok_or(NormalizeError::Missing("chat"))?;
    let edit = received.ok_or(NormalizeError::Missing("received"))?;
    let at = Timestamp::from_second(edit).map_err(|_| NormalizeError::Missing("received"))?;
    Ok(Normalized::Message(Box::new(Message {
        edit,
        kind: MessageKind::Deleted,
        deleted_at: Some(at),
        ..Message::blank(chat, message_id, at)
    })))
}
