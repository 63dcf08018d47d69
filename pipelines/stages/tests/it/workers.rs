//! Who runs what: shares, take-overs, lost leases. Leases here are short, and ended by the clock of who keeps them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use telesift_ports::{
    Leases,
    catalog::Error,
    leases::SoleLeases,
    memory::{ManualClock, MemoryCatalog},
};
use telesift_schemas::Timestamp;
use telesift_stages::{
    Crew, StageError, WorkerConfig,
    workers::{DutyError, Held},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const LEASE: Duration = Duration::from_millis(600);
const DUTIES: [&str; 4] = ["screen/0", "screen/1", "screen/2", "screen/3"];

/// What runs where, as the duties themselves tell.
#[derive(Clone)]
struct Board(watch::Sender<BTreeMap<String, Vec<(String, u64)>>>);

impl Board {
    fn new() -> Self {
        Board(watch::Sender::new(BTreeMap::new()))
    }

    /// A duty of `worker` that runs until it is asked to end, on the board meanwhile.
    fn duty(
        &self,
        worker: &str,
        held: Held,
    ) -> impl Future<Output = Result<(), DutyError>> + use<> {
        let fence = held.fence();
        let (lease, token) = fence.lease().unwrap_or(("alone", 0));
        let entry = Entry {
            board: self.clone(),
            worker: worker.to_owned(),
            lease: (lease.to_owned(), token),
        };
        async move {
            let _entry = entry.put();
            held.stop.cancelled().await;
            Ok(())
        }
    }

    /// The leases each worker holds, once that is as wanted.
    async fn wait(&self, wanted: impl FnMut(&BTreeMap<String, Vec<(String, u64)>>) -> bool) {
        let mut board = self.0.subscribe();
        board.wait_for(wanted).await.unwrap();
    }

    async fn wait_for_shares(&self, shares: &[(&str, usize)]) {
        self.wait(|board| {
            let n = |worker: &str| board.get(worker).map_or(0, Vec::len);
            shares.iter().all(|(worker, share)| n(worker) == *share)
        })
        .await;
    }
}

/// Takes its line off the board however the duty ends.
struct Entry {
    board: Board,
    worker: String,
    lease: (String, u64),
}

impl Entry {
    fn put(self) -> Self {
        self.board.0.send_modify(|board| {
            let all = board.values().flatten();
            let same: Vec<_> = all.filter(|(name, _)| *name == self.lease.0).collect();
            assert!(same.is_empty(), "{:?} beside {same:?}", self.lease);
            let mine = board.entry(self.worker.clone()).or_default();
            mine.push(self.lease.clone());
        });
        self
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.board.0.send_modify(|board| {
            if let Some(mine) = board.get_mut(&self.worker) {
                mine.retain(|lease| *lease != self.lease);
            }
        });
    }
}

/// A worker at work.
struct Worker {
    stop: CancellationToken,
    task: JoinHandle<Result<(), DutyError>>,
}

impl Worker {
    fn start(name: &'static str, leases: &Arc<MemoryCatalog>, board: &Board) -> Self {
        let mut crew = Crew::new(config(name), leases.clone());
        for duty in DUTIES {
            let board = board.clone();
            crew.add("screen", "screen", duty, move |held| board.duty(name, held));
        }
        let stop = CancellationToken::new();
        Worker {
            task: tokio::spawn(crew.run(stop.clone())),
            stop,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn config(name: &str) -> WorkerConfig {
    WorkerConfig {
        id: name.to_owned(),
        roles: BTreeSet::from(["screen"]),
        lease: LEASE,
    }
}

#[tokio::test]
async fn workers_share_fairly_and_take_over_what_is_given_back() {
    let (leases, board) = (Arc::new(MemoryCatalog::new()), Board::new());
    let first = Worker::start("a", &leases, &board);
    board.wait_for_shares(&[("a", 4)]).await;
    let second = Worker::start("b", &leases, &board);
    board.wait_for_shares(&[("a", 2), ("b", 2)]).await;
    let third = Worker::start("c", &leases, &board);
    board.wait_for_shares(&[("a", 2), ("b", 1), ("c", 1)]).await;
    first.stop().await;
    board.wait_for_shares(&[("a", 0), ("b", 2), ("c", 2)]).await;
    second.stop().await;
    board.wait_for_shares(&[("c", 4)]).await;
    third.stop().await;
    assert_eq!(leases.held_leases().await.unwrap(), []);
    assert_eq!(leases.live_workers().await.unwrap(), []);
}

#[tokio::test]
async fn what_a_dead_worker_leaves_is_taken_over() {
    let (leases, board) = (Arc::new(MemoryCatalog::new()), Board::new());
    let first = Worker::start("a", &leases, &board);
    board.wait_for_shares(&[("a", 4)]).await;
    let second = Worker::start("b", &leases, &board);
    board.wait_for_shares(&[("a", 2), ("b", 2)]).await;
    // Nothing is given back: it is gone.
    first.task.abort();
    board.wait_for_shares(&[("a", 0), ("b", 4)]).await;
    second.stop().await;
}

#[tokio::test]
async fn a_lost_lease_stops_its_duty_where_it_stands() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let leases = Arc::new(MemoryCatalog::with_clock(clock.clone()));
    let board = Board::new();
    let worker = Worker::start("a", &leases, &board);
    board.wait_for_shares(&[("a", 4)]).await;
    let tokens = |board: &BTreeMap<String, Vec<(String, u64)>>| -> Vec<u64> {
        board["a"].iter().map(|(_, token)| *token).collect()
    };
    assert_eq!(tokens(&board.0.borrow()), [1, 1, 1, 1]);
    clock.advance(2 * LEASE);
    // Nobody was there to take them: it has them again, as another holder.
    board.wait(|board| tokens(board) == [2, 2, 2, 2]).await;
    worker.stop().await;
}

#[tokio::test]
async fn who_finds_that_another_committed_starts_over() {
    let leases = Arc::new(MemoryCatalog::new());
    let mut crew = Crew::new(config("a"), leases.clone());
    let (terms, mut seen) = watch::channel(Vec::new());
    crew.add("screen", "screen", "screen/0", move |held| {
        let token = held.fence().lease().unwrap().1;
        terms.send_modify(|terms| terms.push(token));
        async move {
            if token < 3 {
                let what = "stage/screen/telegram-raw/0".to_owned();
                return Err(StageError::from(Error::Conflict { what }).into());
            }
            held.stop.cancelled().await;
            Ok(())
        }
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(crew.run(stop.clone()));
    seen.wait_for(|terms| *terms == [1, 2, 3]).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_no_other_worker_mends_ends_everything() {
    let (leases, board) = (Arc::new(MemoryCatalog::new()), Board::new());
    let mut crew = Crew::new(config("a"), leases.clone());
    let shown = board.clone();
    crew.add("screen", "screen", "screen/0", move |held| {
        shown.duty("a", held)
    });
    crew.add("screen", "stories", "stories", |_| async { Ok(()) });
    let ended = crew.run(CancellationToken::new()).await;
    assert!(
        matches!(&ended, Err(DutyError::EndedByItself(lease)) if lease == "stories"),
        "{ended:?}"
    );
    board.wait_for_shares(&[("a", 0)]).await;
    assert_eq!(leases.held_leases().await.unwrap(), []);
}

#[tokio::test]
async fn alone_a_process_has_everything_of_its_roles_at_once() {
    let board = Board::new();
    let mut crew = Crew::new(config("a"), Arc::new(SoleLeases));
    let shown = board.clone();
    crew.add("screen", "screen", "screen/0", move |held| {
        assert_eq!(held.fence().lease(), None, "nobody to be fenced off from");
        shown.duty("a", held)
    });
    crew.add("index", "store", "store", |_| async {
        panic!("a duty of another role")
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(crew.run(stop.clone()));
    board.wait_for_shares(&[("a", 1)]).await;
    stop.cancel();
    running.await.unwrap().unwrap();

    // There is nobody else who could go on.
    let mut crew = Crew::new(config("a"), Arc::new(SoleLeases));
    crew.add("screen", "screen", "screen/0", |_| async {
        let what = "stage/screen/telegram-raw/0".to_owned();
        Err(StageError::from(Error::Conflict { what }).into())
    });
    let ended = crew.run(CancellationToken::new()).await;
    assert!(ended.is_err_and(|e| e.is_handover()));
}
