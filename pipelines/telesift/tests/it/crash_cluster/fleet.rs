//! A deployment of many processes, each of which can be killed and started again: controller and SPU of a cluster, and workers
//! that share the flow by roles.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use telesift_log_fluvio::testing::TestCluster;

use crate::{
    server::{Home, Server, telesift},
    workers::postgres,
};

/// Seals what the catalog keeps secret: all workers must have the same.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Short, so that the test is.
const LEASE_MS: u64 = 2_000;
/// Every role is somebody's; `screen` is shared.
const WORKERS: [(&str, &str); 5] = [
    ("front", "api,ingest"),
    ("store", "index,embed"),
    ("teller", "stories,extract,alert,windows"),
    ("screen-a", "screen"),
    ("screen-b", "screen"),
];
const FRONT: usize = 0;

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
             [catalog]\nurl = \"{}\"\n[store]\nuri = \"{}\"\n[workers]\nlease_ms = {LEASE_MS}\n",
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

    /// `kill -9`, `away` without it, and a new start; how long the start took.
    pub(super) async fn kill(&mut self, victim: Victim, away: Duration) -> Duration {
        match victim {
            Victim::Spu => self.cluster.kill_spu(0),
            Victim::Controller => self.cluster.kill_controller(),
            Victim::Worker(i) => self.workers[i].take().unwrap().kill(),
        }
        tokio::time::sleep(away).await;
        let started = Instant::now();
        match victim {
            Victim::Spu => self.cluster.start_spu(0),
            Victim::Controller => self.cluster.start_controller(),
            Victim::Worker(i) => self.start(i),
        }
        if !matches!(victim, Victim::Worker(_)) {
            self.cluster.wait_for_spu(0).await;
        }
        started.elapsed()
    }
}
