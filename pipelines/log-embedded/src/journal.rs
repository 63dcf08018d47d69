//! Makes the journal fit to be opened: cuts a torn tail, refuses damage before it, syncs what was left unsynced.
//!
//! fjall replays its journal and stops at the first batch that is cut short, but refuses to open where the last batch has
//! its full length and the wrong content, which is what a power failure leaves when pages reach the disk out of order. And
//! it cuts silently at damage in the middle, with acknowledged batches behind. So the journal is looked through before:
//!
//! * Only the last batch of the youngest journal can be unacknowledged: there is one writer, and it syncs each batch
//!   before the next. If that batch is not whole, it is cut off. Nothing acknowledged is lost.
//! * If whole batches follow a broken one, this is no torn tail. Opening is refused, and nothing changed.
//! * The last batch is written again and synced. Where a sync failed and the process went down, the page cache may show a
//!   batch the disk never got; it must not become readable on the strength of that.
//!
//! The layout (fjall's format 3): a batch is `01 count:u32 seqno:u64`, its items, `03 xxh3(items):u64 "FJL" 03`; an item is
//! `02 type:u8 compression:u8 keyspace:u64 key_len:u16 value_len:u32 stored_len:u32 key value`, or `04 keyspace:u64`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use telesift_ports::record_log::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{from_io, unavailable};

/// Checks the journals in `dir`, and repairs the youngest.
///
/// # Errors
/// [`Error::Unavailable`] where acknowledged batches are damaged, or files cannot be read or written.
pub(crate) fn prepare(dir: &Path) -> Result<(), Error> {
    let journals = list(dir).map_err(|e| from_io(dir, &e))?;
    let mut last_seqno = None;
    let mut rest = journals.as_slice();
    while let Some((path, younger)) = rest.split_first() {
        let bytes = fs::read(path).map_err(|e| from_io(path, &e))?;
        let scan = scan(&bytes, last_seqno);
        last_seqno = scan.last_seqno;
        match scan.ends {
            Ends::Whole => {}
            Ends::Torn if younger.is_empty() => {
                tracing::warn!(path = %path.display(), at = scan.whole, "cutting a torn journal tail");
            }
            Ends::Torn | Ends::Damaged => {
                return Err(unavailable(format_args!(
                    "journal {} is damaged at byte {}, before acknowledged records: restore a backup, or the file",
                    path.display(),
                    scan.whole
                )));
            }
        }
        if younger.is_empty() {
            settle(path, &bytes, &scan).map_err(|e| from_io(path, &e))?;
        }
        rest = younger;
    }
    Ok(())
}

/// Journal files, oldest first.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "jnl") {
            let id = path
                .file_stem()
                .and_then(|s| s.to_str()?.parse::<u64>().ok());
            journals.extend(id.map(|id| (id, path)));
        }
    }
    journals.sort_unstable();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

fn settle(path: &Path, bytes: &[u8], scan: &Scan) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    if matches!(scan.ends, Ends::Torn) {
        file.set_len(scan.whole as u64)?;
    }
    file.seek(SeekFrom::Start(scan.last_batch.start as u64))?;
    file.write_all(&bytes[scan.last_batch.clone()])?;
    file.sync_all()
}

struct Scan {
    /// Bytes of whole batches at the beginning.
    whole: usize,
    /// Where the last of them lies; empty if there is none.
    last_batch: Range<usize>,
    last_seqno: Option<u64>,
    ends: Ends,
}

enum Ends {
    /// Nothing but preallocated zeros after the last whole batch.
    Whole,
    /// Something, but no whole batch.
    Torn,
    /// Something, and whole batches after it.
    Damaged,
}

fn scan(bytes: &[u8], seqno_before: Option<u64>) -> Scan {
    let used = bytes
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    let mut scan = Scan {
        whole: 0,
        last_batch: 0..0,
        last_seqno: seqno_before,
        ends: Ends::Whole,
    };
    // A batch may end in zeros only within its trailer, which ends in 03: `used` never cuts a whole batch.
    while scan.whole < used {
        let Some(batch) = Batch::parse(bytes, scan.whole, scan.last_seqno) else {
            let follows =
                (scan.whole + 1..used).any(|at| Batch::parse(bytes, at, scan.last_seqno).is_some());
            scan.ends = if follows { Ends::Damaged } else { Ends::Torn };
            return scan;
        };
        scan.last_batch = scan.whole..batch.end;
        scan.whole = batch.end;
        scan.last_seqno = Some(batch.seqno);
    }
    scan
}

struct Batch {
    end: usize,
    seqno: u64,
}

impl Batch {
    /// A whole batch at `at`, later than `seqno_before`.
    fn parse(bytes: &[u8], at: usize, seqno_before: Option<u64>) -> Option<Self> {
        /// Sequence numbers are given to batches and to changes of keyspaces: they hardly jump. One that does was torn.
        const FARTHEST_JUMP: u64 = 1 << 32;
        let mut cursor = Cursor { bytes, at };
        cursor.expect(&[1])?;
        let n_items = u32::from_le_bytes(cursor.array()?);
        let seqno = u64::from_le_bytes(cursor.array()?);
        if seqno_before.is_some_and(|b| seqno <= b || seqno - b > FARTHEST_JUMP) {
            return None;
        }
        let items_from = cursor.at;
        for _ in 0..n_items {
            cursor.skip_item()?;
        }
        let items = bytes.get(items_from..cursor.at)?;
        cursor.expect(&[3])?;
        let checksum = u64::from_le_bytes(cursor.array()?);
        cursor.expect(b"FJL\x03")?;
        (xxh3_64(items) == checksum).then_some(Batch {
            end: cursor.at,
            seqno,
        })
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = self.bytes.get(self.at..self.at.checked_add(N)?)?;
        self.at += N;
        found.try_into().ok()
    }

    fn expect(&mut self, expected: &[u8]) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        self.at += expected.len();
        rest.starts_with(expected).then_some(())
    }

    fn skip_item(&mut self) -> Option<()> {
        match self.array()? {
            [2] => {
                let [value_type, compression] = self.array()?;
                self.array::<8>()?;
                let key_len = u16::from_le_bytes(self.array()?);
                let value_len = u32::from_le_bytes(self.array()?);
                let stored_len = u32::from_le_bytes(self.array()?);
                // Values are journalled as they are (see `store`), so that their lengths agree.
                if value_type > 2 || compression != 0 || value_len != stored_len {
                    return None;
                }
                self.at = self
                    .at
                    .checked_add(usize::from(key_len) + stored_len as usize)?;
                (self.at <= self.bytes.len()).then_some(())
            }
            [4] => self.array::<8>().map(drop),
            _ => None,
        }
    }
}
