//! SmartModule normalize: a raw record becomes a message, or a skip with its reason.

use serde_json::value::RawValue;
use telesift_schemas::{
    DeadLetterCode, Failure, Message, MessageKind, Normalized, RawRecord, SkipReason, Source, flags,
};
use telesift_text::signature::signature;

mod export;
#[cfg(target_arch = "wasm32")]
mod guest;
mod json;
mod links;
mod surrogates;
mod update;

/// Reads one value of `telegram-raw`: a Bot API update or a message of a Telegram Desktop export becomes a [`Message`]
/// without `screen` and `origin`, reactions to one, or a skip with its reason. Pure: no clock, no history.
///
/// # Errors
/// When the value is no raw record, or its payload is not what its source promises. The screen stage makes a dead letter
/// of it. The error names what is missing and where, never what the message says.
pub fn normalize(raw: &[u8]) -> Result<Normalized, NormalizeError> {
    let raw = surrogates::mended(raw);
    let record: RawRecord<'_> =
        serde_json::from_slice(&raw).map_err(|e| NormalizeError::NotARecord(Place::of(&e)))?;
    if record.v != RAW_VERSION {
        return Err(NormalizeError::Version(record.v));
    }
    match &record.source {
        Source::Webhook { .. } | Source::Polling { .. } => {
            update::normalize(record.payload.get(), record.received, record.part)
        }
        Source::Export { assumed, .. } => {
            let chat = record
                .chat
                .as_ref()
                .ok_or(NormalizeError::Missing("chat"))?;
            export::normalize(record.payload.get(), chat, assumed.as_ref())
        }
        Source::Mtproto { .. } => Err(NormalizeError::Source("mtproto")),
    }
}

/// [`normalize`] as the guest does it: the JSON of the outcome, a failure too, appended to `out`.
pub fn normalize_into(raw: &[u8], out: &mut Vec<u8>) {
    let normalized = normalize(raw).unwrap_or_else(|error| Normalized::Fail {
        fail: Failure {
            code: DeadLetterCode::Unreadable,
            message: error.to_string(),
        },
    });
    normalized.write_to(out);
}

/// The version of [`RawRecord`] this reads.
const RAW_VERSION: u32 = 1;

/// Why a raw record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormalizeError {
    /// The value is no raw record.
    #[error("not a raw record: {0}")]
    NotARecord(Place),
    /// A raw record of a version this module does not know.
    #[error("raw record version {0} is not known")]
    Version(u32),
    /// A source whose payload this module does not know.
    #[error("payloads of source `{0}` are not known")]
    Source(&'static str),
    /// The payload is not of the shape that its source promises.
    #[error("payload: {0}")]
    Payload(Place),
    /// The payload lacks what no message can do without, or holds something else in its place.
    #[error("payload: no usable `{0}`")]
    Missing(&'static str),
}

/// What is wrong with a JSON text and where, without a word of it: texts of messages do not belong in errors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line} column {column}")]
pub struct Place {
    what: &'static str,
    line: usize,
    column: usize,
}

impl Place {
    fn of(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Syntax => "invalid JSON",
            serde_json::error::Category::Eof => "JSON ends too early",
            serde_json::error::Category::Data | serde_json::error::Category::Io => {
                "a value of another shape than expected"
            }
        };
        Place {
            what,
            line: error.line(),
            column: error.column(),
        }
    }
}

fn skip(reason: SkipReason) -> Normalized {
    Normalized::Skip { skip: reason }
}

/// Fills what follows from the rest of the message: its language, its story signature, and the flags known before
/// screening.
fn finish(mut message: Message, time_is_uncertain: bool, is_auto_forward: bool) -> Normalized {
    let is_service = message.kind == MessageKind::Service;
    if !is_service && message.kind != MessageKind::Deleted {
        message.signature = signature(&message.text).map(|s| s.to_string());
    }
    message.lang = if is_service {
        // The description is ours, and English.
        "en".to_owned()
    } else {
        let described = message
            .media
            .as_ref()
            .and_then(|m| m.description.as_deref());
        let text = match message.text.as_str() {
            "" => described.unwrap_or(""),
            text => text,
        };
        telesift_text::lang::detect(text).to_owned()
    };
    for (flag, is_set) in [
        (flags::SERVICE, is_service),
        (flags::EDITED, message.edit > 0),
        (flags::FORWARDED, message.forward.is_some()),
        (flags::AUTO_FORWARD, is_auto_forward),
        (flags::TIME_UNCERTAIN, time_is_uncertain),
    ] {
        if is_set {
            message.flags.push(flag.to_owned());
        }
    }
    Normalized::Message(Box::new(message))
}

/// A nested object, read leniently: one that is not as expected is as good as absent.
fn read<'a, T: serde::Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}
