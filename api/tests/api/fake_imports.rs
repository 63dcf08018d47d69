//! Imports that take a file and never work on it.

use std::path::PathBuf;

use async_trait::async_trait;
use telesift_ports::{
    Clock, Imports,
    imports::{ImportError, ImportRequest, ImportState, ImportStatus},
    memory::ManualClock,
};

/// Takes any file whose first byte is `{`; remembers what it was given.
pub(crate) struct FakeImports {
    spool: tempfile::TempDir,
    pub(crate) taken: std::sync::Mutex<Vec<(ImportRequest, ImportStatus)>>,
}

impl FakeImports {
    pub(crate) fn new() -> Self {
        FakeImports {
            spool: tempfile::tempdir().unwrap(),
            taken: std::sync::Mutex::default(),
        }
    }

    /// The files that lie in the spool directory.
    pub(crate) fn spooled(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.spool.path()).unwrap();
        entries.map(|e| e.unwrap().path()).collect()
    }
}

#[async_trait]
impl Imports for FakeImports {
    fn spool_dir(&self) -> PathBuf {
        self.spool.path().to_owned()
    }

    async fn submit(&self, request: ImportRequest) -> Result<ImportStatus, ImportError> {
        let bytes = std::fs::read(&request.file).unwrap();
        if request.tz == "Mars/Olympus" {
            return Err(ImportError::UnknownZone(request.tz));
        }
        if bytes.first() != Some(&b'{') {
            return Err(ImportError::Invalid {
                byte_offset: 0,
                cause: "expected `{`".into(),
            });
        }
        let mut taken = self.taken.lock().unwrap();
        let status = ImportStatus {
            id: format!("import-{:03}", taken.len()),
            name: request.name.clone(),
            state: ImportState::Queued,
            created_at: ManualClock::default().now(),
            progress: Default::default(),
            bytes_total: bytes.len() as u64,
            error: None,
        };
        taken.push((request, status.clone()));
        Ok(status)
    }

    async fn status(&self, id: &str) -> Result<Option<ImportStatus>, ImportError> {
        let taken = self.taken.lock().unwrap();
        Ok(taken.iter().map(|(_, s)| s).find(|s| s.id == id).cloned())
    }

    async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ImportStatus>, ImportError> {
        let taken = self.taken.lock().unwrap();
        let newest_first = taken.iter().rev().map(|(_, s)| s);
        let rest = newest_first.skip_while(|s| after.is_some_and(|a| s.id.as_str() >= a));
        Ok(rest.take(limit).cloned().collect())
    }
}
