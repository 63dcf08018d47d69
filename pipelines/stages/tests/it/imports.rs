//! Imports: counts that survive an interruption, at every entry.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use telesift_ports::{
    Clock, ExportReader, Imports, RecordLog,
    imports::{ImportError, ImportRequest, ImportState, ImportStatus},
    leases::Fence,
    ledger::{Counters, StageState},
    memory::Fault,
    record_log,
    source::{ExportEntry, ExportSink, ExportSummary, RawUpdate, message_identity},
};
use telesift_schemas::{ChatId, Topic};
use telesift_stages::ingest::{ImportConfig, ImportRunner};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at, conserved};

/// An export of `n` messages, the last of which repeats the first, with one entry skipped in the middle. Stops the
/// import after `cut` entries.
struct Numbers {
    n: i64,
    cut: Option<(u64, CancellationToken)>,
}

impl ExportReader for Numbers {
    fn validate(&self, _: &ImportRequest) -> Result<ExportSummary, ImportError> {
        Ok(ExportSummary {
            n_chats: 1,
            n_entries: self.n as u64 + 2,
        })
    }

    fn read(
        &self,
        _: &str,
        _: &ImportRequest,
        skip: u64,
        sink: &mut ExportSink<'_>,
    ) -> Result<(), ImportError> {
        let update = |id: i64| {
            let chat = ChatId(7);
            let value = Bytes::from(format!("{{\"id\":{id}}}"));
            ExportEntry::Update(RawUpdate {
                chat,
                value,
                unique: vec![message_identity(chat, id, 0)],
            })
        };
        let mut entries: Vec<ExportEntry> = (0..self.n).map(update).collect();
        entries.insert(
            self.n as usize / 2,
            ExportEntry::Skipped("chat_not_selected"),
        );
        entries.push(update(0));
        for (i, entry) in entries.into_iter().enumerate().skip(skip as usize) {
            if let Some((cut, stop)) = &self.cut
                && i as u64 == *cut
            {
                stop.cancel();
                return Ok(());
            }
            if sink(entry, i as u64 + 1) == ControlFlow::Break(()) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn runner(flow: &Flow, dir: PathBuf, reader: Numbers) -> ImportRunner {
    let clock: Arc<dyn Clock> = flow.clock.clone();
    let config = ImportConfig {
        batch_entries: 3,
        ..ImportConfig::new(dir)
    };
    ImportRunner::new(
        flow.log.clone(),
        flow.catalog.clone(),
        Arc::new(reader),
        clock,
        config,
    )
}

async fn run_until_done(runner: &ImportRunner, id: &str) -> ImportStatus {
    let stop = CancellationToken::new();
    let wait = async {
        loop {
            let status = runner.status(id).await.unwrap().unwrap();
            let is_empty = std::fs::read_dir(runner.spool_dir())
                .unwrap()
                .next()
                .is_none();
            if status.state == ImportState::Done && is_empty {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let wait = tokio::time::timeout(Duration::from_secs(60), wait);
    tokio::select! {
        status = wait => status.expect("the import ends and its file goes"),
        ended = runner.run(Fence::open(), stop.clone()) => panic!("the runner ended: {ended:?}"),
    }
}

#[tokio::test]
async fn an_import_cut_at_any_entry_ends_with_the_counts_of_an_undisturbed_one() {
    for cut in 0..12 {
        let flow = Flow::new().await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("upload");
        std::fs::write(&file, "0123456789").unwrap();
        let stop = CancellationToken::new();
        let first = runner(
            &flow,
            dir.path().to_owned(),
            Numbers {
                n: 10,
                cut: Some((cut, stop.clone())),
            },
        );
        let request = ImportRequest {
            name: "numbers".into(),
            chats: Vec::new(),
            tz: "UTC".into(),
            file,
        };
        let id = first.submit(request).await.unwrap().id;
        first.run(Fence::open(), stop).await.unwrap();

        let second = runner(&flow, dir.path().to_owned(), Numbers { n: 10, cut: None });
        let status = run_until_done(&second, &id).await;
        let p = &status.progress;
        assert_eq!(
            (p.messages_read, p.messages_new, p.messages_duplicate),
            (12, 10, 1),
            "cut at {cut}"
        );
        assert_eq!(p.skipped["chat_not_selected"], 1, "cut at {cut}");
        let ledger = ledger(&flow).await;
        assert_eq!((ledger.received, ledger.emitted), (12, 10), "cut at {cut}");
        assert_eq!(ledger.skipped["duplicate"], 1, "cut at {cut}");
        assert!(conserved(&ledger), "cut at {cut}");
        assert_eq!(
            flow.log
                .bounds(&at(Topic::TELEGRAM_RAW))
                .await
                .unwrap()
                .end
                .0,
            10
        );
    }
}

/// What became of the entries of all imports.
async fn ledger(flow: &Flow) -> Counters {
    let state = flow.log.state("stage/ingest/imports/0").await.unwrap();
    let state: StageState = serde_json::from_slice(&state.unwrap()).unwrap();
    state.counters
}

async fn queued(runner: &ImportRunner, file: PathBuf) -> String {
    std::fs::write(&file, "0123456789").unwrap();
    let request = ImportRequest {
        name: "numbers".into(),
        chats: Vec::new(),
        tz: "UTC".into(),
        file,
    };
    runner.submit(request).await.unwrap().id
}

#[tokio::test]
async fn a_log_that_refuses_makes_an_import_wait_not_fail() {
    let full = || {
        Fault::Refuse(record_log::Error::NoSpace {
            path: "/data".into(),
        })
    };
    let away = || record_log::Error::Unavailable {
        reason: "on purpose".into(),
        ambiguous: true,
    };
    for at_batch in 0..4 {
        let flow = Flow::new().await;
        let dir = tempfile::tempdir().unwrap();
        let runner = runner(&flow, dir.path().to_owned(), Numbers { n: 10, cut: None });
        let id = queued(&runner, dir.path().join("upload")).await;
        flow.log.commits.extend((0..at_batch).map(|_| Fault::Pass));
        flow.log
            .commits
            .extend([full(), Fault::Lose(away()), Fault::Refuse(away())]);
        let status = run_until_done(&runner, &id).await;
        assert!(flow.log.commits.is_over());
        assert_eq!(
            status.progress.messages_new, 10,
            "refused at batch {at_batch}"
        );
        assert_eq!(status.progress.messages_read, 12);
        let end = flow.log.bounds(&at(Topic::TELEGRAM_RAW)).await.unwrap().end;
        assert_eq!(end.0, 10);
        assert!(conserved(&ledger(&flow).await));
    }
}

/// Gives a thousand entries, and counts how many were asked for.
struct Counted(Arc<AtomicUsize>);

impl ExportReader for Counted {
    fn validate(&self, _: &ImportRequest) -> Result<ExportSummary, ImportError> {
        Ok(ExportSummary {
            n_chats: 1,
            n_entries: 1_000,
        })
    }

    fn read(
        &self,
        _: &str,
        _: &ImportRequest,
        skip: u64,
        sink: &mut ExportSink<'_>,
    ) -> Result<(), ImportError> {
        for i in skip..1_000 {
            self.0.fetch_add(1, Ordering::SeqCst);
            if sink(ExportEntry::Skipped("chat_not_selected"), i) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_log_that_stands_still_makes_the_reader_stand_still() {
    let flow = Flow::new().await;
    let dir = tempfile::tempdir().unwrap();
    let n_read = Arc::new(AtomicUsize::new(0));
    let config = ImportConfig {
        batch_entries: 3,
        ..ImportConfig::new(dir.path().to_owned())
    };
    let reader = Arc::new(Counted(n_read.clone()));
    let (catalog, clock) = (flow.catalog.clone(), flow.clock.clone());
    let runner = ImportRunner::new(flow.log.clone(), catalog, reader, clock, config);
    let id = queued(&runner, dir.path().join("upload")).await;
    let go = Arc::new(Notify::new());
    flow.log.commits.extend([Fault::Hold(go.clone())]);
    let release = async {
        // One batch at the log, one that waits, one that cannot be handed on: the reader is stuck in its third.
        while n_read.load(Ordering::SeqCst) < 9 {
            tokio::task::yield_now().await;
        }
        assert_eq!(n_read.load(Ordering::SeqCst), 9);
        go.notify_one();
    };
    let (status, ()) = tokio::join!(run_until_done(&runner, &id), release);
    assert_eq!(status.progress.messages_read, 1_000);
}

#[tokio::test]
async fn a_refused_export_leaves_nothing() {
    struct Broken;
    impl ExportReader for Broken {
        fn validate(&self, _: &ImportRequest) -> Result<ExportSummary, ImportError> {
            Err(ImportError::Invalid {
                byte_offset: 4,
                cause: "expected `,`".into(),
            })
        }
        fn read(
            &self,
            _: &str,
            _: &ImportRequest,
            _: u64,
            _: &mut ExportSink<'_>,
        ) -> Result<(), ImportError> {
            panic!("a refused export is never read")
        }
    }
    let flow = Flow::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    std::fs::write(&file, "{").unwrap();
    let clock: Arc<dyn Clock> = flow.clock.clone();
    let config = ImportConfig::new(dir.path().to_owned());
    let runner = ImportRunner::new(
        flow.log.clone(),
        flow.catalog.clone(),
        Arc::new(Broken),
        clock,
        config,
    );
    let request = ImportRequest {
        name: "broken".into(),
        chats: Vec::new(),
        tz: "UTC".into(),
        file,
    };
    let error = runner.submit(request).await.unwrap_err();
    assert!(matches!(error, ImportError::Invalid { byte_offset: 4, .. }));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(runner.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn files_no_import_waits_for_are_swept_at_the_start() {
    let flow = Flow::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    std::fs::write(&file, "0123456789").unwrap();
    std::fs::write(dir.path().join("cut-short.upload"), "0").unwrap();
    let first = runner(&flow, dir.path().to_owned(), Numbers { n: 10, cut: None });
    let request = ImportRequest {
        name: "numbers".into(),
        chats: Vec::new(),
        tz: "UTC".into(),
        file,
    };
    let id = first.submit(request).await.unwrap().id;
    first.sweep().await.unwrap();
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(left, [std::ffi::OsString::from(format!("{id}.json"))]);
}

#[tokio::test]
async fn an_import_is_run_by_the_process_it_lies_with() {
    let flow = Flow::without_transactions().await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of = |dir: &tempfile::TempDir, process: &str| {
        let config = ImportConfig {
            process: Some(process.to_owned()),
            ..ImportConfig::new(dir.path().to_owned())
        };
        ImportRunner::new(
            flow.log.clone(),
            flow.catalog.clone(),
            Arc::new(Numbers { n: 5, cut: None }),
            flow.clock.clone(),
            config,
        )
    };
    let runners = [of(&here, "here"), of(&there, "there")];
    let mut ids = Vec::new();
    for runner in &runners {
        let file = runner.spool_dir().join("upload");
        std::fs::write(&file, "0123456789").unwrap();
        let request = ImportRequest {
            name: "numbers".into(),
            chats: Vec::new(),
            tz: "UTC".into(),
            file,
        };
        ids.push(runner.submit(request).await.unwrap().id);
    }
    // The one whose import came last runs first: it leaves the other's alone.
    run_until_done(&runners[1], &ids[1]).await;
    let waiting = runners[1].status(&ids[0]).await.unwrap().unwrap();
    assert_eq!(waiting.state, ImportState::Queued);
    run_until_done(&runners[0], &ids[0]).await;
    let rows = flow.log.state_with_prefix("stage/ingest/").await.unwrap();
    let names: Vec<&str> = rows.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        names,
        [
            "stage/ingest/imports@here/0",
            "stage/ingest/imports@there/0"
        ]
    );
}
