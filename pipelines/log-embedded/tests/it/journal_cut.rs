//! Whatever a crash leaves behind the last sync, everything acknowledged is recovered.

use std::{fs, path::Path};

use telesift_ports::{RecordLog, record_log::Error};

use crate::support::{
    append, assert_consistent, config, copy_dir, create, journal, open, read_numbers,
};

/// A log of `N_ACKED` records, and the journal bytes of one more transaction that nobody was told of.
struct Crashed {
    directory: tempfile::TempDir,
    /// Where the unacknowledged transaction begins.
    synced: usize,
    /// The journal with all of it.
    journal: Vec<u8>,
}

const N_ACKED: u64 = 40;
const N_UNACKED: u64 = 3;

impl Crashed {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let live = directory.path().join("live");
        let log = open(&live);
        create(&log, 2, Default::default()).await;
        for n in 0..N_ACKED / 4 {
            append(&log, n * 4..n * 4 + 4).await.unwrap();
        }
        // The directory as it is when the last of them was acknowledged; the log is still open, as in a crash.
        let acked = directory.path().join("acked");
        copy_dir(&live, &acked);
        let (path, synced) = journal(&acked);
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(0)
            .unwrap();
        append(&log, N_ACKED..N_ACKED + N_UNACKED).await.unwrap();
        let (path, n_used) = journal(&live);
        let mut journal = fs::read(path).unwrap();
        journal.truncate(n_used);
        log.close().await.unwrap();
        assert!(synced < n_used);
        Crashed {
            directory,
            synced,
            journal,
        }
    }

    /// The directory as of the acknowledgement, with this journal.
    fn with_journal(&self, bytes: &[u8]) -> tempfile::TempDir {
        let copy = tempfile::tempdir_in(self.directory.path()).unwrap();
        copy_dir(&self.directory.path().join("acked"), copy.path());
        let (path, _) = journal(copy.path());
        fs::write(path, bytes).unwrap();
        copy
    }
}

async fn reopen(path: &Path, what: &str) -> u64 {
    let log = match telesift_log_embedded::EmbeddedLog::open(config(path)) {
        Ok(log) => log,
        Err(e) => panic!("{what}: {e}"),
    };
    let n = assert_consistent(&log, N_ACKED).await;
    log.close().await.unwrap();
    n
}

#[tokio::test]
async fn a_journal_cut_at_any_byte_recovers_everything_acknowledged() {
    let crashed = Crashed::new().await;
    let n_used = crashed.journal.len();
    for cut in crashed.synced..=n_used {
        let copy = crashed.with_journal(&crashed.journal[..cut]);
        let n = reopen(copy.path(), &format!("cut at byte {cut}")).await;
        let expected = if cut == n_used { N_UNACKED } else { 0 };
        assert_eq!(
            n,
            N_ACKED + expected,
            "all or nothing of the transaction, at byte {cut}"
        );
    }
}

#[tokio::test]
async fn a_tail_of_damaged_bytes_recovers_everything_acknowledged() {
    let crashed = Crashed::new().await;
    for at in crashed.synced..crashed.journal.len() {
        // Every third byte keeps the test quick; each field of the journal is longer or met by several records.
        for damage in [0x00, 0xff, crashed.journal[at] ^ 0x01] {
            if at % 3 != 0 || damage == crashed.journal[at] {
                continue;
            }
            let mut bytes = crashed.journal.clone();
            bytes[at] = damage;
            let copy = crashed.with_journal(&bytes);
            reopen(copy.path(), &format!("byte {at} = {damage:#x}")).await;
        }
    }
}

#[tokio::test]
async fn pages_that_reached_the_disk_out_of_order_are_a_torn_tail() {
    let crashed = Crashed::new().await;
    let whole = &crashed.journal;
    for sector in (crashed.synced / 512..whole.len().div_ceil(512)).map(|n| n * 512) {
        let mut bytes = whole.clone();
        let from = sector.max(crashed.synced);
        let to = (sector + 512).min(bytes.len());
        bytes[from..to].fill(0);
        // What is behind is preallocated zeros.
        bytes.resize(whole.len() + 4_096, 0);
        let copy = crashed.with_journal(&bytes);
        let n = reopen(copy.path(), &format!("sector at {from} missing")).await;
        assert_eq!(n, N_ACKED);
    }
}

#[tokio::test]
async fn a_log_with_a_torn_tail_goes_on_and_is_recovered_again() {
    let crashed = Crashed::new().await;
    let middle = (crashed.synced + crashed.journal.len()) / 2;
    let copy = crashed.with_journal(&crashed.journal[..middle]);
    for round in 0..3 {
        let log = open(copy.path());
        let n = read_numbers(&log).await.len() as u64;
        assert_eq!(n, N_ACKED + round * 4);
        append(&log, n..n + 4).await.unwrap();
        log.close().await.unwrap();
    }
    let log = open(copy.path());
    assert_consistent(&log, N_ACKED + 12).await;
}

#[tokio::test]
async fn damage_before_acknowledged_records_is_refused_not_cut_off() {
    let crashed = Crashed::new().await;
    let mut bytes = crashed.journal.clone();
    let middle = crashed.synced / 2;
    bytes[middle] ^= 0xff;
    let copy = crashed.with_journal(&bytes);
    let error = telesift_log_embedded::EmbeddedLog::open(config(copy.path())).err();
    assert!(
        matches!(
            error,
            Some(Error::Unavailable {
                ambiguous: false,
                ..
            })
        ),
        "{error:?}"
    );
    let (path, _) = journal(copy.path());
    assert_eq!(fs::read(path).unwrap(), bytes, "nothing was changed");
}

#[tokio::test]
async fn state_survives_beside_records() {
    let crashed = Crashed::new().await;
    let copy = crashed.with_journal(&crashed.journal[..crashed.synced]);
    let log = open(copy.path());
    let last = log.state("last").await.unwrap().unwrap();
    assert_eq!(last, (N_ACKED - 1).to_string());
}
