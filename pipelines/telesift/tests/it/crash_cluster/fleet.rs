//! A deployment of many processes, each of which can be killed and started again: controller and SPU of a cluster, and workers
//! that share the flow by roles.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use telesift_log_fluvio::testing::TestCluster;

use crate::{
    server::{Home, PATIENCE, Server, telesift},
    workers::postgres,
};

/// Seals what the catalog keeps secret: all workers must have the same.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The default: shorter ones a busy machine loses again and again, and conversations are then hardly read.
const LEASE_MS: u64 = 6_000;
/// Shorter than what comes between two kills, so that conversations end all the time, by their length and by the clock.
const SETTLE_MS: u64 = 300;
/// Every role is somebody's; `screen` is shared.
const WORKERS: [(&str, &str); 5] = [
    ("front", "api,ingest"),
    ("store", "index,embed"),
    ("teller", "stories,extract,alert,windows"),
    ("screen-a", "screen"),
    ("screen-b", "screen"),
];
const FRONT: usize = 0;
const TELLER: usize = 2;

/// What may be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Victim {
    Spu,
    Controller,
    /// By its number in [`WORKERS`].
    Worker(usize),
}

impl Victim {
    /// Each once.
    pub(super) fn each() -> Vec<Victim> {
        let workers = (0..WORKERS.len()).map(Victim::Worker);
        [Victim::Spu, Victim::Controller]
            .into_iter()
            .chain(workers)
            .collect()
    }

    /// What it alone does and is waited for before it is killed, and what that follows.
    pub(super) fn work(self) -> Option<&'static (&'static str, &'static str)> {
        const READING: (&str, &str) = ("end \"extractions\"", "end \"units\"");
        (self == Victim::Worker(TELLER)).then_some(&READING)
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victim::Spu => f.pad("SPU"),
            Victim::Controller => f.pad("SC"),
            Victim::Worker(i) => f.pad(WORKERS[*i].1),
        }
    }
}

/// Everything that runs.
pub(super) struct Fleet {
    // Killed before the folder goes that they write to.
    workers: Vec<Option<Server>>,
    cluster: TestCluster,
    _postgres: postgres::Server,
    homes: Vec<Home>,
    config: PathBuf,
    /// Where the front listens now.
    url: Arc<Mutex<String>>,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// `None`, said aloud, where Fluvio or Postgres cannot be had.
    pub(super) async fn open() -> Option<Self> {
        let cluster = TestCluster::start(1).await?;
        let postgres = postgres::Server::start()?;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("workers.toml");
        let text = format!(
            "[log]\nkind = \"fluvio\"\n[log.fluvio]\nendpoint = \"{}\"\n\
             [catalog]\nurl = \"{}\"\n[store]\nuri = \"{}\"\n[workers]\nlease_ms = {LEASE_MS}\n\
             [units]\nsettle_ms = {SETTLE_MS}\n",
            cluster.endpoint(),
            postgres.url("postgres"),
            folder.path().join("store").display(),
        );
        fs::write(&config, text).unwrap();
        let homes = WORKERS.map(|(name, _)| Home::at(&folder.path().join(name)));
        let mut fleet = Fleet {
            workers: WORKERS.map(|_| None).into(),
            cluster,
            _postgres: postgres,
            homes: homes.into(),
            config,
            url: Arc::default(),
            _folder: folder,
        };
        for i in 0..WORKERS.len() {
            fleet.start(i);
        }
        // As docs/fluvio.md says, once the topics are there.
        fleet.cluster.copy_metadata().unwrap();
        Some(fleet)
    }

    /// The worker that serves users.
    pub(super) fn front(&self) -> &Server {
        self.workers[FRONT].as_ref().unwrap()
    }

    /// Where it listens, kept true.
    pub(super) fn url(&self) -> Arc<Mutex<String>> {
        self.url.clone()
    }

    fn start(&mut self, i: usize) {
        let (name, roles) = WORKERS[i];
        let mut command = telesift();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--roles", roles])
            .arg("--config")
            .arg(&self.config)
            .env("TELESIFT__WORKERS__NAME", name)
            .env("TELESIFT_SECRET_KEY", SECRET)
            .env("RUST_LOG", "error");
        let server = Server::start(&self.homes[i], &mut command);
        if i == FRONT {
            let mut url = self.url.lock().unwrap_or_else(PoisonError::into_inner);
            server.url.clone_into(&mut url);
        }
        self.workers[i] = Some(server);
    }

    /// `kill -9`, `away` without it, and a new start; how long the start took, and what of the controller's metadata had to be
    /// mended for it.
    pub(super) async fn kill(&mut self, victim: Victim, away: Duration) -> (Duration, Vec<String>) {
        match victim {
            Victim::Spu => self.cluster.kill_spu(0),
            Victim::Controller => self.cluster.kill_controller(),
            Victim::Worker(i) => self.workers[i].take().unwrap().kill(),
        }
        tokio::time::sleep(away).await;
        // Nobody writes them now.
        let damaged = match victim {
            Victim::Controller => self.cluster.damaged_metadata().unwrap(),
            _ => Vec::new(),
        };
        let started = Instant::now();
        match victim {
            Victim::Spu => self.cluster.start_spu(0),
            Victim::Controller => self.cluster.start_controller(),
            Victim::Worker(i) => self.start(i),
        }
        if !damaged.is_empty() {
            self.mend(&damaged).await;
        }
        if !matches!(victim, Victim::Worker(_)) {
            self.cluster.wait_for_spu(0).await;
        }
        self.assert_alive();
        (started.elapsed(), damaged)
    }

    /// What an operator does when the controller comes back without its partitions, which Fluvio's does when it is killed while
    /// it writes: sees it in `doctor`, and mends the file as docs/fluvio.md says.
    async fn mend(&self, damaged: &[String]) {
        let said = self.doctor();
        let found = said.iter().find(|check| check["check"] == "partitions");
        let found = found.expect("doctor reaches the controller");
        let of_partitions = damaged.iter().any(|file| file.starts_with("Partition/"));
        assert!(!of_partitions || found["ok"] == false, "{found}");
        for file in damaged {
            self.cluster.mend_metadata(file).unwrap();
        }
        let started = Instant::now();
        while !self.doctor().iter().any(has_leaders) {
            assert!(started.elapsed() < PATIENCE, "mended, and not read");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn doctor(&self) -> Vec<Value> {
        let mut command = self.homes[FRONT].command(&["doctor", "--json"]);
        let output = command.arg("--config").arg(&self.config).output().unwrap();
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Nobody ends but who is killed.
    fn assert_alive(&mut self) {
        for (worker, (name, _)) in self.workers.iter_mut().zip(WORKERS) {
            let ended = worker.as_mut().and_then(Server::ended);
            assert!(ended.is_none(), "worker {name} ended by itself: {ended:?}");
        }
    }
}

fn has_leaders(check: &Value) -> bool {
    check["check"] == "partitions" && check["ok"] == true
}
