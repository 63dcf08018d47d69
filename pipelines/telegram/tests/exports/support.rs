//! Exports on disk and what the reader makes of them.

use std::{
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use telesift_ports::{
    ExportReader as _,
    imports::{ImportError, ImportRequest},
    source::{ExportEntry, ExportSummary, RawUpdate},
};
use telesift_schemas::{RawRecord, Source};
use telesift_telegram::DesktopExport;
use tempfile::NamedTempFile;

/// The exports beside the project, where there are any.
pub(crate) fn shared_exports() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/exports");
    if !dir.is_dir() {
        eprintln!("skipped: no {}", dir.display());
        return None;
    }
    Some(dir)
}

/// An export written to a file of its own.
pub(crate) struct Export(NamedTempFile);

impl Export {
    pub(crate) fn new(content: impl AsRef<[u8]>) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content.as_ref()).unwrap();
        Export(file)
    }

    pub(crate) fn request(&self) -> ImportRequest {
        request(self.0.path())
    }

    pub(crate) fn validate(&self) -> Result<ExportSummary, ImportError> {
        DesktopExport.validate(&self.request())
    }

    pub(crate) fn entries(&self) -> Vec<ExportEntry> {
        entries(&self.request(), 0).unwrap()
    }

    pub(crate) fn updates(&self) -> Vec<RawUpdate> {
        self.entries().into_iter().map(update).collect()
    }
}

pub(crate) fn request(file: &Path) -> ImportRequest {
    ImportRequest {
        name: "result.json".to_owned(),
        chats: Vec::new(),
        tz: "UTC".to_owned(),
        file: file.to_owned(),
    }
}

/// All entries after the first `skip`; the bytes read never go back and end within the file.
pub(crate) fn entries(request: &ImportRequest, skip: u64) -> Result<Vec<ExportEntry>, ImportError> {
    let size = request.file.metadata().unwrap().len();
    let (mut found, mut last) = (Vec::new(), 0);
    DesktopExport.read("import-1", request, skip, &mut |entry, bytes_read| {
        assert!(
            last <= bytes_read && bytes_read <= size,
            "{last} <= {bytes_read} <= {size}"
        );
        last = bytes_read;
        found.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

pub(crate) fn update(entry: ExportEntry) -> RawUpdate {
    match entry {
        ExportEntry::Update(update) => update,
        ExportEntry::Skipped(reason) => panic!("skipped: {reason}"),
    }
}

/// Why a file is refused: byte offset and cause. Reading it is refused likewise.
#[track_caller]
pub(crate) fn refusal(content: impl AsRef<[u8]>) -> (u64, String) {
    let content = content.as_ref();
    let export = Export::new(content);
    let refused = export.validate().unwrap_err();
    let read = entries(&export.request(), 0).unwrap_err();
    assert_eq!(read.to_string(), refused.to_string());
    let ImportError::Invalid { byte_offset, cause } = refused else {
        panic!("not the file's fault: {refused}");
    };
    assert!(
        byte_offset <= content.len() as u64,
        "{byte_offset} of {}: {cause}",
        content.len()
    );
    (byte_offset, cause)
}

/// The record of an update, and its payload.
pub(crate) fn record(update: &RawUpdate) -> (RawRecord<'_>, &str) {
    let record: RawRecord<'_> = serde_json::from_slice(&update.value).unwrap();
    let payload = record.payload.get();
    (record, payload)
}

/// What zone-less dates were taken for: zone, date and edit date.
pub(crate) fn assumed(update: &RawUpdate) -> Option<(String, i64, Option<i64>)> {
    match record(update).0.source {
        Source::Export { import, assumed } => {
            assert_eq!(import, "import-1");
            assumed.map(|a| (a.tz, a.date, a.edited))
        }
        other => panic!("{other:?}"),
    }
}

/// A single-chat export with these entries, as text.
pub(crate) fn supergroup(entries: &str) -> String {
    format!(
        r#"{{"name": "Ops", "type": "private_supergroup", "id": 1234567890, "messages": [{entries}]}}"#
    )
}

/// The Bot API id of [`supergroup`].
pub(crate) const SUPERGROUP: telesift_schemas::ChatId =
    telesift_schemas::ChatId(-1_001_234_567_890);
