//! One entry of an export becomes a raw update: enveloped byte for byte, with its identity and, where dates have no
//! zone, the times they were taken for.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::{civil, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_ports::{
    record_log::UniqueKey,
    source::{RawUpdate, message_identity},
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
    date: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    date_unixtime: Option<UnixTime<'a>>,
    #[serde(borrow, default)]
    edited: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    edited_unixtime: Option<UnixTime<'a>>,
}

/// Exports write unix times as strings, other tools as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum UnixTime<'a> {
    Number(i64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl UnixTime<'_> {
    fn seconds(&self) -> Option<i64> {
        match self {
            UnixTime::Number(n) => Some(*n),
            UnixTime::Text(text) => text.trim().parse().ok(),
        }
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
        let head: Option<Head<'_>> = serde_json::from_str(raw.get()).ok();
        let assumed = head.as_ref().and_then(|h| self.assume(h));
        let unique = match &head {
            Some(head) => message_identity(chat, head.id, edit(head, assumed.as_ref())),
            None => UniqueKey::new("entry", &[&chat.to_string(), raw.get()]),
        };
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
            payload: raw,
        };
        serde_json::to_vec(&record)
            .expect("strings, numbers and valid JSON always serialise")
            .into()
    }

    /// What zone-less dates are taken for, where the entry has no unix time.
    fn assume(&self, head: &Head<'_>) -> Option<AssumedTimes> {
        if head
            .date_unixtime
            .as_ref()
            .and_then(UnixTime::seconds)
            .is_some()
        {
            return None;
        }
        let unix = |text: &str| -> Option<i64> {
            let local: civil::DateTime = text.parse().ok()?;
            Some(
                local
                    .to_zoned(self.tz.clone())
                    .ok()?
                    .timestamp()
                    .as_second(),
            )
        };
        Some(AssumedTimes {
            tz: self.tz.iana_name().unwrap_or("UTC").to_owned(),
            date: unix(head.date.as_deref()?)?,
            edited: head
                .edited
                .as_deref()
                .and_then(unix)
                .filter(|&e| edit_from_export(e) > 0),
        })
    }
}

/// The edit date that names the version; `normalize` works it out in the same way.
fn edit(head: &Head<'_>, assumed: Option<&AssumedTimes>) -> i64 {
    let written = head.edited_unixtime.as_ref().and_then(UnixTime::seconds);
    edit_from_export(written.or_else(|| assumed?.edited).unwrap_or(0))
}
