//! What the stories stage needs of a message record.

use std::borrow::Cow;

use serde::Deserialize;
use telesift_ports::record_log::StoredRecord;
use telesift_schemas::{
    ChatId, Class, MessageKey, MessageKind, Origin, Timestamp, Topic, TopicPartition,
};
use telesift_text::signature::Signature;

/// A message as it arrives.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) key: MessageKey,
    pub(super) edit: i64,
    pub(super) event_time: Timestamp,
    pub(super) origin: Origin,
    /// Forwarded, whether Telegram says from where or not.
    pub(super) is_forward: bool,
    /// The message it was forwarded from.
    pub(super) forwarded: Option<MessageKey>,
    /// What it may be recognised by.
    pub(super) signature: Option<Signature>,
}

/// Texts of fewer words are nobody's story: `ok`, `дякую за відповідь`.
const MIN_WORDS: u16 = 4;
/// Nor is small talk, as screening found, of fewer words than this.
const MIN_WORDS_OF_NOISE: u16 = 8;

#[derive(Deserialize)]
struct Record<'a> {
    id: MessageKey,
    edit: i64,
    event_time: Timestamp,
    kind: MessageKind,
    #[serde(default)]
    forward: Option<ForwardedFrom>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(default)]
    screen: Option<Screened>,
    #[serde(default)]
    origin: Option<Origin>,
}

#[derive(Deserialize)]
struct ForwardedFrom {
    #[serde(default)]
    from_id: Option<ChatId>,
    #[serde(default)]
    message_id: Option<i64>,
}

#[derive(Deserialize)]
struct Screened {
    class: Class,
}

impl Arrival {
    /// Reads a record of `messages` at `at`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(at: &TopicPartition, record: &StoredRecord) -> serde_json::Result<Self> {
        let read: Record<'_> = serde_json::from_slice(&record.value)?;
        let says_something = !matches!(read.kind, MessageKind::Service | MessageKind::Deleted);
        let is_noise = read.screen.is_some_and(|s| s.class == Class::Noise);
        // A signature of another version compares with nothing.
        let signature = read
            .signature
            .filter(|_| says_something)
            .and_then(|text| text.parse::<Signature>().ok())
            .filter(|s| {
                s.n_words
                    >= if is_noise {
                        MIN_WORDS_OF_NOISE
                    } else {
                        MIN_WORDS
                    }
            });
        let forwarded = read.forward.as_ref().and_then(|f| {
            Some(MessageKey {
                chat: f.from_id?,
                message_id: f.message_id?,
            })
        });
        Ok(Arrival {
            key: read.id,
            edit: read.edit,
            event_time: read.event_time,
            origin: origin(read.origin, at, record),
            is_forward: read.forward.is_some(),
            forwarded: forwarded.filter(|from| *from != read.id),
            signature,
        })
    }
}

/// The raw record; where a record does not say, itself. The name of the usual topic is not allocated anew.
fn origin(origin: Option<Origin>, at: &TopicPartition, record: &StoredRecord) -> Origin {
    let mut origin = origin.unwrap_or_else(|| Origin {
        topic: at.topic.clone(),
        partition: at.partition,
        offset: record.offset,
    });
    if origin.topic == Topic::TELEGRAM_RAW {
        origin.topic = Topic::TELEGRAM_RAW;
    }
    origin
}
