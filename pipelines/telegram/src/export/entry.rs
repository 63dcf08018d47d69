//! One entry of an export becomes a raw update: enveloped byte for byte, with its identity and, where dates have no
//! zone, the times they were taken for.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use telesift_ports::{
    record_log::UniqueKey,
    source::{RawUpdate, message_identity, update_identity},
};
use telesift_schemas::{AssumedTimes, ChatId, ExportChat, RawRecord, Source, edit_from_export};

/// Reads the entries of one import.
pub(super) struct EntryReader {
    import: String,
    tz: TimeZone,
}

/// The fields that decide identity and time; everything else is left to `normalize`.
#[derive(Deserialize)]
struct Head<'a> {
    id: i64,
    #[serde(borrow, default)]
    date: Option<Time<'a>>,
    #[serde(borrow, default)]
    date_unixtime: Option<Time<'a>>,
    #[serde(borrow, default)]
    edited: Option<Time<'a>>,
    #[serde(borrow, default)]
    edited_unixtime: Option<Time<'a>>,
}

/// Exports write unix times as strings, other tools as numbers. What is neither costs an entry its time, not its
/// identity.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time<'a> {
    Number(i64),
    Text(#[serde(borrow)] Cow<'a, str>),
    Unreadable(IgnoredAny),
}

impl Time<'_> {
    fn unix_seconds(&self) -> Option<i64> {
        match self {
            Time::Number(n) => Some(*n),
            Time::Text(text) => text.trim().parse().ok(),
            Time::Unreadable(_) => None,
        }
    }

    /// The unix seconds of a local date without a zone.
    fn local_seconds(&self, tz: &TimeZone) -> Option<i64> {
        let Time::Text(text) = self else {
            return None;
        };
        let local: civil::DateTime = text.parse().ok()?;
        // In a gap of the clock the time after it, of two times the first.
        let zoned = local.to_zoned(tz.clone()).ok()?;
        Some(zoned.timestamp().as_second())
    }
}

impl Head<'_> {
    fn unix_date(&self) -> Option<i64> {
        self.date_unixtime.as_ref()?.unix_seconds()
    }

    /// The edit date that names the version; `normalize` works it out in the same way.
    fn edit(&self, assumed: Option<&AssumedTimes>) -> i64 {
        let written = self.edited_unixtime.as_ref().and_then(Time::unix_seconds);
        edit_from_export(written.or_else(|| assumed?.edited).unwrap_or(0))
    }
}

impl EntryReader {
    pub(super) fn new(import: &str, tz: TimeZone) -> Self {
        EntryReader {
            import: import.to_owned(),
            tz,
        }
    }

    /// Never refuses: an entry without a readable head keeps its place in the log under the hash of its bytes, and
    /// `normalize` says what is wrong with it.
    pub(super) fn read(&self, chat: ChatId, header: &ExportChat, raw: &RawValue) -> RawUpdate {
        let head = head(raw);
        let assumed = head.as_ref().and_then(|h| self.assume(h));
        let unique = identity(chat, raw, head.as_ref(), assumed.as_ref());
        RawUpdate {
            chat,
            value: self.envelope(header, assumed, raw),
            unique: vec![unique],
        }
    }

    fn envelope(
        &self,
        header: &ExportChat,
        assumed: Option<AssumedTimes>,
        raw: &RawValue,
    ) -> Bytes {
        let record = RawRecord {
            v: 1,
            source: Source::Export {
                import: self.import.clone(),
                assumed,
            },
            chat: Some(header.clone()),
            received: None,
            part: None,
            payload: raw,
        };
        serde_json::to_vec(&record)
            .expect("strings, numbers and valid JSON always serialise")
            .into()
    }

    /// What zone-less dates are taken for, where the entry has no unix time.
    fn assume(&self, head: &Head<'_>) -> Option<AssumedTimes> {
        if head.unix_date().is_some() {
            return None;
        }
        let edited = head.edited.as_ref().and_then(|t| t.local_seconds(&self.tz));
        Some(AssumedTimes {
            tz: self.tz.iana_name().unwrap_or("UTC").to_owned(),
            date: head.date.as_ref()?.local_seconds(&self.tz)?,
            edited: edited.filter(|&e| edit_from_export(e) > 0),
        })
    }
}

/// The identities of a record of `telegram-raw`, as far as the record says: those under which it was appended.
pub fn raw_identities(value: &[u8]) -> Vec<UniqueKey> {
    let Ok(record) = serde_json::from_slice::<RawRecord<'_>>(value) else {
        return Vec::new();
    };
    match &record.source {
        Source::Export { assumed, .. } => {
            let Some((chat, _)) = record.chat.as_ref().and_then(ExportChat::identify) else {
                return Vec::new();
            };
            let head = head(record.payload);
            vec![identity(
                chat,
                record.payload,
                head.as_ref(),
                assumed.as_ref(),
            )]
        }
        Source::Webhook { bot } | Source::Polling { bot } => {
            let update: Option<Update> = serde_json::from_str(record.payload.get()).ok();
            let update = update.map(|update| update_identity(bot, update.update_id));
            update.into_iter().collect()
        }
        Source::Mtproto { .. } => Vec::new(),
    }
}

#[derive(Deserialize)]
struct Update {
    update_id: i64,
}

/// What decides identity and time; `None` where it is unreadable.
fn head(raw: &RawValue) -> Option<Head<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// A message version, or where its head is unreadable its bytes.
fn identity(
    chat: ChatId,
    raw: &RawValue,
    head: Option<&Head<'_>>,
    assumed: Option<&AssumedTimes>,
) -> UniqueKey {
    match head {
        Some(head) => message_identity(chat, head.id, head.edit(assumed)),
        None => UniqueKey::new("entry", &[&chat.to_string(), raw.get()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_what_it_was_appended_under() {
        let header = ExportChat {
            id: 2_100_000_001,
            kind: "public_supergroup".to_owned(),
            name: None,
        };
        let (chat, _) = header.identify().unwrap();
        let reader = EntryReader::new("i1", TimeZone::UTC);
        for entry in [
            r#"{"id":7,"type":"message","date":"2026-01-05T10:00:00","date_unixtime":"1767607200","text":"a"}"#,
            r#"{"id":8,"type":"message","date":"2026-01-05T10:00:00","edited":"2026-01-05T11:00:00","text":"a"}"#,
            r#"{"text":"no id"}"#,
        ] {
            let raw: &RawValue = serde_json::from_str(entry).unwrap();
            let update = reader.read(chat, &header, raw);
            assert_eq!(raw_identities(&update.value), update.unique, "{entry}");
        }
        let webhook = br#"{"v":1,"source":{"kind":"webhook","bot":"news"},"chat":null,"payload":{"update_id":9}}"#;
        assert_eq!(raw_identities(webhook), [update_identity("news", 9)]);
        assert!(raw_identities(b"no record").is_empty());
    }
}
