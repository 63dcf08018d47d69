//! Spooled export files in, raw records out: one import at a time, each batch committed together with the import's
//! progress, so that a kill anywhere loses and repeats nothing.

mod append;
mod batch;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, ExportReader, Imports, RecordLog,
    catalog::ImportRow,
    imports::{ImportError, ImportProgress, ImportRequest, ImportState, ImportStatus},
    leases::Fence,
    record_log::Transaction,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::consumer::{delays, pause};
use batch::{Running, state_key};

/// Where and how imports run.
#[derive(Clone, Debug)]
pub struct ImportConfig {
    /// Uploads and queued files lie here.
    pub spool_dir: PathBuf,
    /// Imports that may wait; more are refused.
    pub max_queued: usize,
    /// Entries per append.
    pub batch_entries: usize,
    /// Bytes per append, about.
    pub batch_bytes: usize,
    /// The name of this process where several share the catalog: it runs the imports whose files lie with it, and counts
    /// them in a row of its own. `None`: it is alone.
    pub process: Option<String>,
}

impl ImportConfig {
    /// Defaults with `spool_dir`: 100 waiting imports, 1,000 entries or 1 MiB per append.
    pub fn new(spool_dir: PathBuf) -> Self {
        ImportConfig {
            spool_dir,
            max_queued: 100,
            batch_entries: 1_000,
            batch_bytes: 1 << 20,
            process: None,
        }
    }

    /// Where the file of an import waits.
    fn queued(&self, id: &str) -> PathBuf {
        let name = match &self.process {
            Some(process) => format!("{id}@{process}.json"),
            None => format!("{id}.json"),
        };
        self.spool_dir.join(name)
    }

    /// Whether the file of an import lies here. Others may have a folder of the same name.
    fn is_ours(&self, row: &ImportRow) -> bool {
        let Some(process) = &self.process else {
            return true;
        };
        let file = &row.request.file;
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        match stem.and_then(|stem| stem.split_once('@')) {
            Some((_, owner)) => owner == process,
            // It was alone when it took that in.
            None => file.parent() == Some(self.spool_dir.as_path()) && file.exists(),
        }
    }
}

/// Takes in exports and runs them one after the other.
pub struct ImportRunner {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    reader: Arc<dyn ExportReader>,
    clock: Arc<dyn Clock>,
    config: ImportConfig,
    queued: Notify,
    /// Validation reads whole files; two at a time are enough for two cores.
    validations: Semaphore,
}

#[async_trait]
impl Imports for ImportRunner {
    fn spool_dir(&self) -> PathBuf {
        self.config.spool_dir.clone()
    }

    async fn submit(&self, request: ImportRequest) -> Result<ImportStatus, ImportError> {
        let spooled = request.file.clone();
        let outcome = self.take_in(request).await;
        if outcome.is_err() {
            remove(&spooled).await;
        }
        outcome
    }

    async fn status(&self, id: &str) -> Result<Option<ImportStatus>, ImportError> {
        match self.catalog.import(id).await.map_err(storage)? {
            Some(row) => Ok(Some(self.with_progress(row).await?)),
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ImportStatus>, ImportError> {
        let mut statuses = Vec::new();
        for row in self.catalog.imports(after, limit).await.map_err(storage)? {
            statuses.push(self.with_progress(row).await?);
        }
        Ok(statuses)
    }
}

impl ImportRunner {
    /// A runner; nothing runs before [`ImportRunner::run`].
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        reader: Arc<dyn ExportReader>,
        clock: Arc<dyn Clock>,
        config: ImportConfig,
    ) -> Self {
        ImportRunner {
            log,
            catalog,
            reader,
            clock,
            config,
            queued: Notify::new(),
            validations: Semaphore::new(2),
        }
    }

    async fn take_in(&self, mut request: ImportRequest) -> Result<ImportStatus, ImportError> {
        let waiting = self
            .catalog
            .unfinished_imports()
            .await
            .map_err(storage)?
            .len();
        if waiting >= self.config.max_queued {
            return Err(ImportError::QueueFull(waiting));
        }
        let _permit = self.validations.acquire().await.map_err(storage)?;
        let (reader, asked) = (Arc::clone(&self.reader), request.clone());
        let summary = tokio::task::spawn_blocking(move || reader.validate(&asked))
            .await
            .map_err(storage)??;
        tracing::info!(
            n_chats = summary.n_chats,
            n_entries = summary.n_entries,
            "export taken in"
        );

        let id = uuid::Uuid::now_v7().to_string();
        let queued = self.config.queued(&id);
        let bytes_total = tokio::fs::metadata(&request.file)
            .await
            .map_err(storage)?
            .len();
        tokio::fs::rename(&request.file, &queued)
            .await
            .map_err(storage)?;
        request.file = queued;
        let created_at = self.clock.now();
        if let Err(e) = self
            .catalog
            .create_import(&id, &request, bytes_total, created_at)
            .await
        {
            remove(&request.file).await;
            return Err(storage(e));
        }
        self.queued.notify_one();
        Ok(ImportStatus {
            id,
            name: request.name,
            state: ImportState::Queued,
            created_at,
            progress: ImportProgress::default(),
            bytes_total,
            error: None,
        })
    }

    /// Removes what lies in the spool directory without an import that waits for it: uploads a crash cut short, files of
    /// imports that had just ended. To be called before uploads are accepted.
    ///
    /// # Errors
    /// If the catalog or the directory cannot be read; nothing is removed then.
    pub async fn sweep(&self) -> Result<(), ImportError> {
        let waiting = self.catalog.unfinished_imports().await.map_err(storage)?;
        let mut files = tokio::fs::read_dir(&self.config.spool_dir)
            .await
            .map_err(storage)?;
        while let Some(file) = files.next_entry().await.map_err(storage)? {
            if waiting
                .iter()
                .all(|row| row.request.file.file_name() != Some(&file.file_name()))
            {
                remove(&file.path()).await;
            }
        }
        Ok(())
    }

    /// Runs queued imports, oldest first, until `shutdown`; those a restart interrupted go on where they stood. Progress
    /// is committed under `fence`.
    ///
    /// # Errors
    /// What no retry mends: the catalog or the log is damaged. [`ImportError::HandedOver`] if another runs them now.
    pub async fn run(&self, fence: Fence, shutdown: CancellationToken) -> Result<(), ImportError> {
        let mut delays = delays();
        while !shutdown.is_cancelled() {
            let rows = match self.catalog.unfinished_imports().await {
                Ok(rows) => rows,
                Err(e) if e.is_retryable() => {
                    tracing::warn!(error = %e, "imports wait for the catalog");
                    pause(delays.next().unwrap_or_default(), &shutdown).await;
                    continue;
                }
                Err(e) => return Err(storage(e)),
            };
            delays = crate::consumer::delays();
            match rows.into_iter().find(|row| self.config.is_ours(row)) {
                Some(row) => self.run_one(row, &fence, &shutdown).await?,
                None => tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = self.queued.notified() => {}
                },
            }
        }
        Ok(())
    }

    /// Runs one import to its end, or until `shutdown`.
    async fn run_one(
        &self,
        row: ImportRow,
        fence: &Fence,
        shutdown: &CancellationToken,
    ) -> Result<(), ImportError> {
        let id = row.status.id.clone();
        let mut import = Running::new(&id, fence.clone(), self.config.process.as_deref());
        let outcome = self.append_all(&row, &mut import, shutdown).await;
        let (state, error) = match outcome {
            Ok(Flow::Finished) => (ImportState::Done, None),
            Ok(Flow::ShutDown) => return Ok(()),
            Err(e @ ImportError::HandedOver(_)) => return Err(e),
            Err(e) => (ImportState::Failed, Some(e.to_string())),
        };
        if state == ImportState::Done {
            import.progress.bytes_read = row.status.bytes_total;
        }
        tracing::info!(
            import = id,
            state = state.as_str(),
            n_read = import.progress.messages_read,
            n_new = import.progress.messages_new,
            "import ended"
        );
        let status = ImportStatus {
            state,
            error,
            progress: import.progress,
            ..row.status
        };
        self.finish(&status, &row.request.file, shutdown).await
    }

    /// The catalog first, then the file and the progress kept with the log: a kill in between only leaves litter.
    async fn finish(
        &self,
        status: &ImportStatus,
        file: &Path,
        shutdown: &CancellationToken,
    ) -> Result<(), ImportError> {
        let mut delays = delays();
        while let Err(e) = self.catalog.update_import(status).await {
            if !e.is_retryable() {
                return Err(storage(e));
            }
            tracing::warn!(error = %e, "the end of an import waits for the catalog");
            pause(delays.next().unwrap_or_default(), shutdown).await;
            if shutdown.is_cancelled() {
                return Ok(());
            }
        }
        remove(file).await;
        let key = state_key(&status.id);
        let forget = Transaction {
            finish: Box::new(move |_| vec![(key, None)]),
            ..Transaction::appends(Vec::new())
        };
        if let Err(e) = self.log.commit(forget).await {
            tracing::debug!(error = %e, "progress of a finished import stays with the log");
        }
        Ok(())
    }

    /// A running import's progress is committed with the log, not with the catalog.
    async fn with_progress(&self, row: ImportRow) -> Result<ImportStatus, ImportError> {
        let mut status = row.status;
        if matches!(status.state, ImportState::Queued | ImportState::Running) {
            let mut import = Running::new(&status.id, Fence::open(), None);
            import.load(&*self.log).await.map_err(storage)?;
            if import.has_started() {
                status.state = ImportState::Running;
                status.progress = import.progress;
            }
        }
        Ok(status)
    }
}

/// How a piece of work ended without failing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Finished,
    ShutDown,
}

impl Flow {
    fn is_shut_down(self) -> bool {
        self == Flow::ShutDown
    }
}

async fn remove(file: &Path) {
    if let Err(e) = tokio::fs::remove_file(file).await
        && e.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(error = %e, "a spooled file could not be removed");
    }
}

fn storage(error: impl std::fmt::Display) -> ImportError {
    ImportError::Storage(error.to_string())
}
