//! What the units stage needs of a message record.

use std::borrow::Cow;

use serde::Deserialize;
use telesift_ports::record_log::StoredRecord;
use telesift_schemas::{
    Chat, Class, MessageKey, MessageKind, Origin, Timestamp, TopicPartition, UnitMember, flags,
};

/// A message version as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub(super) chat: Chat,
    pub(super) member: UnitMember,
    pub(super) thread: Option<i64>,
    pub(super) reply_to: Option<i64>,
    /// Characters of its text.
    pub(super) chars: usize,
    pub(super) kept: Kept,
}

/// Whether something is to be extracted from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is, and is of this class.
    As(Class),
    /// It is not, for this reason.
    Not(&'static str),
    /// It was deleted.
    Deleted,
}

#[derive(Deserialize)]
struct Record<'a> {
    id: MessageKey,
    chat: Chat,
    edit: i64,
    event_time: Timestamp,
    kind: MessageKind,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default)]
    reply_to: Option<i64>,
    #[serde(default)]
    thread: Option<i64>,
    screen: Screened,
    #[serde(default)]
    origin: Option<Origin>,
}

#[derive(Deserialize)]
struct Screened {
    class: Class,
    #[serde(default)]
    flags: Vec<String>,
}

impl Arrival {
    /// Reads a record of `messages` at `at`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(at: &TopicPartition, record: &StoredRecord) -> serde_json::Result<Self> {
        let read: Record<'_> = serde_json::from_slice(&record.value)?;
        let origin = read.origin.clone().unwrap_or_else(|| Origin {
            topic: at.topic.clone(),
            partition: at.partition,
            offset: record.offset,
        });
        Ok(Arrival {
            kept: kept(&read),
            member: UnitMember {
                message: read.id,
                edit: read.edit,
                event_time: read.event_time,
                origin,
            },
            thread: read.thread,
            reply_to: read.reply_to,
            chars: read.text.chars().count(),
            chat: read.chat,
        })
    }
}

fn kept(read: &Record<'_>) -> Kept {
    let has = |flag: &str| read.screen.flags.iter().any(|f| f == flag);
    match read.kind {
        MessageKind::Deleted => Kept::Deleted,
        MessageKind::Service => Kept::Not("service"),
        _ if has(flags::SERVICE) => Kept::Not("service"),
        _ if has(flags::SPAM) => Kept::Not("spam"),
        _ if has(flags::AUTO_FORWARD) => Kept::Not("auto_forward"),
        _ if read.screen.class == Class::Noise => Kept::Not("noise"),
        _ if read.text.trim().is_empty() => Kept::Not("no_text"),
        _ => Kept::As(read.screen.class),
    }
}
