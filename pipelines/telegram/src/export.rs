//! Telegram Desktop exports (JSON) in, raw updates out: streaming, in constant memory, single-chat and full-account form.

mod entry;
mod stream;

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::Path,
};

use jiff::tz::TimeZone;
use telesift_ports::{
    ExportReader,
    imports::{ImportError, ImportRequest},
    source::{ExportEntry, ExportSink, ExportSummary},
};
use telesift_schemas::{ChatId, ExportChat};

use entry::EntryReader;
use stream::Event;

/// Reads `result.json` as Telegram Desktop writes it ("Machine-readable JSON").
///
/// Of a full-account export only `chats` and `left_chats` are looked at: contacts, sessions and other personal data are
/// never read into a record. Two passes over the file: headers first, because a chat's `id` may follow its `messages`
/// in files that other tools have re-sorted.
#[derive(Clone, Copy, Debug, Default)]
pub struct DesktopExport;

impl ExportReader for DesktopExport {
    fn validate(&self, request: &ImportRequest) -> Result<ExportSummary, ImportError> {
        time_zone(&request.tz)?;
        let chats = headers(&request.file)?;
        Ok(ExportSummary {
            n_chats: chats.iter().filter(|c| c.n_entries > 0).count() as u64,
            n_entries: chats.iter().map(|c| c.n_entries).sum(),
        })
    }

    fn read(
        &self,
        import: &str,
        request: &ImportRequest,
        skip: u64,
        sink: &mut ExportSink<'_>,
    ) -> Result<(), ImportError> {
        let chats = headers(&request.file)?;
        let reader = EntryReader::new(import, time_zone(&request.tz)?);
        let mut n_seen = 0u64;
        stream::parse(&mut open(&request.file)?, &mut |event, bytes_read| {
            let Event::Entry { chat, raw } = event else { return ControlFlow::Continue(()) };
            n_seen += 1;
            if n_seen <= skip {
                return ControlFlow::Continue(());
            }
            // `headers` has refused files in which a chat with entries has no header.
            let Some(header) = chats.get(chat).and_then(|c| c.header.as_ref()) else {
                return sink(ExportEntry::Skipped("chat_without_header"), bytes_read);
            };
            sink(route(&reader, request, header, raw), bytes_read)
        })
        .map_err(|e| locate(&request.file, &e))
    }
}

/// Decides what becomes of one entry.
fn route(
    reader: &EntryReader,
    request: &ImportRequest,
    header: &ExportChat,
    raw: &serde_json::value::RawValue,
) -> ExportEntry {
    match header.identify() {
        None => ExportEntry::Skipped("unknown_chat_type"),
        Some((id, _)) if !is_selected(&request.chats, id) => ExportEntry::Skipped("chat_not_selected"),
        Some((id, _)) => ExportEntry::Update(reader.read(id, header, raw)),
    }
}

fn is_selected(chats: &[ChatId], id: ChatId) -> bool {
    chats.is_empty() || chats.contains(&id)
}

/// A chat of the export, as the first pass found it.
struct FoundChat {
    header: Option<ExportChat>,
    n_entries: u64,
}

/// First pass: every chat's header in file order, every byte of the file checked.
fn headers(file: &Path) -> Result<Vec<FoundChat>, ImportError> {
    let mut input = open(file)?;
    refuse_mistaken(file, &mut input)?;
    let mut chats: Vec<FoundChat> = Vec::new();
    stream::parse(&mut input, &mut |event, _| {
        match event {
            Event::Entry { chat, .. } => {
                if chats.len() <= chat {
                    chats.resize_with(chat + 1, || FoundChat { header: None, n_entries: 0 });
                }
                chats[chat].n_entries += 1;
            }
            Event::ChatEnd { chat, header } => {
                if chats.len() <= chat {
                    chats.resize_with(chat + 1, || FoundChat { header: None, n_entries: 0 });
                }
                chats[chat].header = header;
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(|e| locate(file, &e))?;
    Ok(chats)
}

fn open(file: &Path) -> Result<File, ImportError> {
    File::open(file).map_err(|e| ImportError::Storage(format!("cannot open the spooled file: {e}")))
}

fn time_zone(name: &str) -> Result<TimeZone, ImportError> {
    TimeZone::get(name).map_err(|_| ImportError::UnknownZone(name.to_owned()))
}

/// Names what people send instead of `result.json`, before a parser complains about a `<`.
fn refuse_mistaken(file: &Path, input: &mut File) -> Result<(), ImportError> {
    let storage = |e: std::io::Error| ImportError::Storage(e.to_string());
    let mut head = [0u8; 512];
    let n = input.read(&mut head).map_err(storage)?;
    input.seek(SeekFrom::Start(0)).map_err(storage)?;
    let head = head[..n].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head[..n]).trim_ascii_start();
    let size = file.metadata().map_err(storage)?.len();
    let cause = if head.starts_with(b"<") {
        "this is an HTML export: in Telegram Desktop export again and choose the format \"Machine-readable JSON\""
    } else if head.starts_with(b"PK\x03\x04") {
        "this is a zip archive: unpack it and import the `result.json` inside"
    } else if head.starts_with(b"\x1f\x8b") {
        "this is a gzip file: unpack it and import the `result.json` inside"
    } else if head.is_empty() && size <= n as u64 {
        "the file is empty"
    } else {
        return Ok(());
    };
    Err(ImportError::Invalid { byte_offset: 0, cause: cause.to_owned() })
}

/// Turns the parser's line and column into a byte offset from the start of the file.
fn locate(file: &Path, error: &stream::Error) -> ImportError {
    if let stream::Error::Io(e) = error {
        return ImportError::Storage(format!("cannot read the spooled file: {e}"));
    }
    let stream::Error::Syntax { line, column, cause } = error else {
        return ImportError::Invalid { byte_offset: 0, cause: error.to_string() };
    };
    match line_start(file, *line) {
        Ok(start) => ImportError::Invalid {
            byte_offset: start + column.saturating_sub(1) as u64,
            cause: cause.clone(),
        },
        Err(e) => ImportError::Storage(format!("cannot read the spooled file: {e}")),
    }
}

/// The offset of the first byte of `line` (from 1).
fn line_start(file: &Path, line: usize) -> std::io::Result<u64> {
    let mut input = File::open(file)?;
    let mut buffer = vec![0u8; 1 << 16];
    let (mut offset, mut left) = (0u64, line.saturating_sub(1));
    while left > 0 {
        let n = input.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        for at in memchr::memchr_iter(b'\n', &buffer[..n]) {
            left -= 1;
            if left == 0 {
                return Ok(offset + at as u64 + 1);
            }
        }
        offset += n as u64;
    }
    Ok(offset)
}
