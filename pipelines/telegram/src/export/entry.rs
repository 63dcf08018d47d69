//! One entry of an export becomes a raw update: enveloped byte for byte, with its identity and, where dates have no
//! zone, the times they were taken for.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, de::IgnoredAny};
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
        let head: Option<Head<'_>> = serde_json::from_str(raw.get()).ok();
        let assumed = head.as_ref().and_then(|h| self.assume(h));
        let unique = match &head {
            Some(head) => message_identity(chat, head.id, head.edit(assumed.as_ref())),
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
