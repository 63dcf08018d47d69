//! Where messages come from, before they are in the log.

use std::ops::ControlFlow;

use bytes::Bytes;
use telesift_schemas::ChatId;

use crate::{
    imports::{ImportError, ImportRequest},
    record_log::UniqueKey,
};

/// An update or export message on its way into `telegram-raw`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUpdate {
    /// Its chat: the record's key, which decides the partition.
    pub chat: ChatId,
    /// The encoded [`telesift_schemas::RawRecord`].
    pub value: Bytes,
    /// What makes it the same as another: see [`message_identity`] and [`update_identity`].
    pub unique: Vec<UniqueKey>,
}

/// The identity of a message version, whichever source it came from.
pub fn message_identity(chat: ChatId, message_id: i64, edit: i64) -> UniqueKey {
    UniqueKey::new(
        "message",
        &[
            &chat.to_string(),
            &message_id.to_string(),
            &edit.to_string(),
        ],
    )
}

/// The identity of an update of a bot.
pub fn update_identity(bot: &str, update_id: i64) -> UniqueKey {
    UniqueKey::new("update", &[bot, &update_id.to_string()])
}

/// Reads export files. Blocking; runs on a thread of its own.
pub trait ExportReader: Send + Sync + 'static {
    /// Reads the file from end to end, in constant memory, and tells whether an import of it can succeed.
    ///
    /// # Errors
    /// [`ImportError::Invalid`] with the byte offset of the first fault.
    fn validate(&self, request: &ImportRequest) -> Result<ExportSummary, ImportError>;

    /// Gives the entries of the file after the first `skip` ones to `sink`, in file order, until it breaks.
    ///
    /// # Errors
    /// As [`ExportReader::validate`]; entries before the fault have been given.
    fn read(
        &self,
        import: &str,
        request: &ImportRequest,
        skip: u64,
        sink: &mut ExportSink<'_>,
    ) -> Result<(), ImportError>;
}

/// Takes one entry and the number of bytes of the file read so far.
pub type ExportSink<'a> = dyn FnMut(ExportEntry, u64) -> ControlFlow<()> + 'a;

/// One entry of an export's `messages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportEntry {
    /// To be appended.
    Update(RawUpdate),
    /// Left out, for this reason.
    Skipped(&'static str),
}

/// What an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Chats with at least one entry.
    pub n_chats: u64,
    /// Entries of all `messages` lists.
    pub n_entries: u64,
}
