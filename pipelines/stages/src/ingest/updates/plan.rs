//! What an update comes to: the records to append, and what makes them the same as others.

use bytes::Bytes;
use serde_json::value::RawValue;
use telesift_ports::{
    bots::{BotSource, Delivery, TakeError},
    record_log::{NewRecord, UniqueKey},
    source::{RawUpdate, message_identity, update_identity},
};
use telesift_schemas::{ChatId, RawRecord, Source, TopicPartition};

use super::head::{self, Head};

/// Bytes an update may come to when it is repeated for each message it says was deleted. Telegram tells of 100 at most; one
/// that is larger is kept once, whole, and the screen says that it cannot tell which message is meant.
const MAX_REPEATED_BYTES: usize = 4 << 20;

/// What becomes of updates.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) appends: Vec<(TopicPartition, NewRecord)>,
    /// One for each update, in order.
    pub(super) fates: Vec<Fate>,
}

/// What becomes of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// So many of the appends are its.
    Appended(usize),
    /// Its chat is not among the bot's.
    Dropped,
}

/// Adds an update to `plan`.
pub(super) fn plan(
    plan: &mut Plan,
    bot: &BotSource,
    payload: &[u8],
    received: i64,
    n_partitions: u32,
) -> Result<(), TakeError> {
    // What was fetched from Telegram can only be stored: nobody is there to be refused.
    let bound_depth = bot.delivery == Delivery::Webhook;
    let (raw, head) = head::read(payload, bound_depth).map_err(TakeError::Malformed)?;
    // Where chats are chosen, what names none could come from any: it is left out too.
    if !bot.chats.is_empty() && !head.chat.is_some_and(|chat| bot.chats.contains(&chat)) {
        plan.fates.push(Fate::Dropped);
        return Ok(());
    }
    let n_parts = head.deleted.len().max(1);
    let parts = match raw.get().len().saturating_mul(n_parts) > MAX_REPEATED_BYTES {
        true => vec![None],
        false if head.deleted.is_empty() => vec![None],
        false => (0..n_parts as u32).map(Some).collect(),
    };
    for part in &parts {
        let update = RawUpdate {
            // What belongs to no chat is kept under the bot itself.
            chat: head.chat.unwrap_or(ChatId(bot.id)),
            value: envelope(bot, raw, received, *part),
            unique: identities(bot, &head, *part),
        };
        plan.appends
            .push(super::super::append(update, n_partitions));
    }
    plan.fates.push(Fate::Appended(parts.len()));
    Ok(())
}

fn envelope(bot: &BotSource, payload: &RawValue, received: i64, part: Option<u32>) -> Bytes {
    let name = bot.name.clone();
    let record = RawRecord {
        v: 1,
        source: match bot.delivery {
            Delivery::Webhook => Source::Webhook { bot: name },
            Delivery::Polling => Source::Polling { bot: name },
        },
        chat: None,
        received: Some(received),
        part,
        payload,
    };
    serde_json::to_vec(&record)
        .expect("strings, numbers and valid JSON always serialise")
        .into()
}

/// What makes the record the same as another: the bot's update, and the message version.
fn identities(bot: &BotSource, head: &Head, part: Option<u32>) -> Vec<UniqueKey> {
    let id = bot.id.to_string();
    let mut unique = Vec::with_capacity(2);
    if let Some(update_id) = head.update_id {
        unique.push(match part {
            None | Some(0) => update_identity(&id, update_id),
            Some(n) => UniqueKey::new(
                "update-part",
                &[&id, &update_id.to_string(), &n.to_string()],
            ),
        });
    }
    if let (Some(chat), Some((message_id, edit))) = (head.chat, head.message) {
        unique.push(match chat.channel_id() {
            Some(_) => message_identity(chat, message_id, edit),
            // In private chats and basic groups every account counts messages for itself, so two bots may mean different
            // messages by one id.
            None => UniqueKey::new(
                "message-of-bot",
                &[
                    &id,
                    &chat.to_string(),
                    &message_id.to_string(),
                    &edit.to_string(),
                ],
            ),
        });
    }
    unique
}
