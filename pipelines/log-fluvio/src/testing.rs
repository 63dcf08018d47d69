//! A Fluvio cluster for tests: started by them from the binaries that `TELESIFT_TEST_FLUVIO_BIN` names, on free ports of
//! this machine, and stopped with them. Its processes can be killed, frozen and started again.

mod certificates;
mod damage;

use std::{
    env, fs, io,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use fluvio::{
    FluvioAdmin, FluvioClusterConfig,
    metadata::{customspu::CustomSpuSpec, partition::PartitionSpec, spu::SpuSpec},
};
use tempfile::TempDir;

use crate::Tls;
use certificates::Certificates;

/// The folder with `fluvio` and `fluvio-run`.
const BIN: &str = "TELESIFT_TEST_FLUVIO_BIN";
/// `host:port` of a running cluster, for tests that kill nothing.
const RUNNING: &str = "TELESIFT_TEST_FLUVIO";
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_SPU: i32 = 5001;

/// A cluster of one controller and some SPUs.
pub struct TestCluster {
    directory: TempDir,
    bin: PathBuf,
    public: u16,
    private: u16,
    controller: Option<Child>,
    spus: Vec<TestSpu>,
    certificates: Option<Certificates>,
    /// Where servers listen without TLS, one after the other.
    plain: u16,
}

struct TestSpu {
    id: i32,
    public: u16,
    private: u16,
    plain: u16,
    process: Option<Child>,
}

/// The running cluster, or one started for this test; `None`, said aloud, where neither is named.
pub async fn any_cluster() -> Option<(String, Option<TestCluster>)> {
    match env::var(RUNNING) {
        Ok(endpoint) if !endpoint.is_empty() => Some((endpoint, None)),
        _ => {
            let cluster = TestCluster::start(1).await?;
            Some((cluster.endpoint(), Some(cluster)))
        }
    }
}

impl TestCluster {
    /// Starts a cluster of `n_spus`; `None`, said aloud, where the binaries are not named.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start(n_spus: usize) -> Option<Self> {
        Self::start_as(n_spus, false).await
    }

    /// The same with encrypted connections alone, for clients that show a certificate; `None`, said aloud, where there is no
    /// `openssl` either.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start_with_tls(n_spus: usize) -> Option<Self> {
        Self::start_as(n_spus, true).await
    }

    async fn start_as(n_spus: usize, with_tls: bool) -> Option<Self> {
        let Some(bin) = env::var_os(BIN).filter(|bin| !bin.is_empty()) else {
            eprintln!("skipped: {BIN} names no folder with the binaries of Fluvio");
            return None;
        };
        let bin = fs::canonicalize(bin).expect("the folder that the variable names exists");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let certificates = match with_tls {
            true => Some(Certificates::make(directory.path())?),
            false => None,
        };
        let mut cluster = TestCluster {
            directory,
            certificates,
            plain: free_port(),
            bin,
            public: free_port(),
            private: free_port(),
            controller: None,
            spus: Vec::new(),
        };
        cluster.start_controller();
        let admin = cluster.admin().await;
        for i in 0..n_spus {
            let spu = TestSpu {
                id: FIRST_SPU + i as i32,
                public: free_port(),
                private: free_port(),
                plain: free_port(),
                process: None,
            };
            register(&admin, &spu).await;
            cluster.spus.push(spu);
            cluster.start_spu(i);
        }
        for i in 0..n_spus {
            cluster.wait_for_spu(i).await;
        }
        Some(cluster)
    }

    /// `host:port` of its controller.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.public)
    }

    /// How its clients connect.
    pub fn tls(&self) -> Tls {
        let certificates = self.certificates.as_ref();
        certificates.map_or(Tls::Off, Certificates::of_client)
    }

    /// Starts the controller.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_controller(&mut self) {
        let metadata = self.directory.path().join("metadata");
        let mut command = self.command("fluvio-run", "controller");
        command
            .arg("sc")
            .arg("--local")
            .arg(metadata)
            .arg("--bind-public")
            .arg(self.endpoint())
            .arg("--bind-private")
            .arg(format!("127.0.0.1:{}", self.private));
        if let Some(certificates) = &self.certificates {
            certificates.secure(&mut command, self.plain);
        }
        self.controller = Some(command.spawn().expect("the controller starts"));
    }

    /// Kills the controller, as `kill -9` does.
    pub fn kill_controller(&mut self) {
        kill(&mut self.controller);
    }

    /// Starts an SPU, by its number from 0.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_spu(&mut self, i: usize) {
        let spu = &self.spus[i];
        let data = self.directory.path().join(format!("spu-{}", spu.id));
        let mut command = self.command("fluvio-run", &format!("spu-{}", spu.id));
        command
            .arg("spu")
            .arg("--id")
            .arg(spu.id.to_string())
            .arg("--public-server")
            .arg(format!("127.0.0.1:{}", spu.public))
            .arg("--private-server")
            .arg(format!("127.0.0.1:{}", spu.private))
            .arg("--sc-addr")
            .arg(format!("127.0.0.1:{}", self.private))
            .arg("--log-base-dir")
            .arg(data);
        if let Some(certificates) = &self.certificates {
            certificates.secure(&mut command, spu.plain);
        }
        self.spus[i].process = Some(command.spawn().expect("the SPU starts"));
    }

    /// Kills an SPU, as `kill -9` does.
    pub fn kill_spu(&mut self, i: usize) {
        kill(&mut self.spus[i].process);
    }

    /// Stops an SPU where it stands, without a word to anybody, or lets it go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze_spu(&self, i: usize, frozen: bool) {
        let process = self.spus[i].process.as_ref().expect("the SPU runs");
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill")
            .arg(signal)
            .arg(process.id().to_string())
            .status();
        assert!(status.is_ok_and(|s| s.success()), "the SPU takes a signal");
        // On a busy machine its threads may run on for a moment.
        while frozen && !is_stopped(process.id()) {
            std::thread::yield_now();
        }
    }

    /// Waits until an SPU is online.
    ///
    /// # Panics
    /// If it is not within a minute.
    pub async fn wait_for_spu(&self, i: usize) {
        let id = self.spus[i].id;
        let since = Instant::now();
        loop {
            let admin = self.admin().await;
            let spus = admin.all::<SpuSpec>().await.unwrap_or_default();
            let spu = spus.iter().find(|s| s.spec.id == id);
            if spu.is_some_and(|s| s.status.is_online()) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "SPU {id} is not online");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The number of the SPU that leads partition 0 of a topic, by its name on the cluster.
    ///
    /// # Panics
    /// If nobody does.
    pub async fn leader(&self, topic: &str) -> usize {
        let name = format!("{topic}-0");
        let partitions = self.admin().await.all::<PartitionSpec>().await;
        let partitions = partitions.expect("the controller answers");
        let partition = partitions.into_iter().find(|p| p.name == name);
        let leader = partition.expect("the partition is there").spec.leader;
        let place = self.spus.iter().position(|spu| spu.id == leader);
        place.expect("an SPU of this cluster leads")
    }

    /// Runs Fluvio's own command line on this cluster.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn fluvio(&self, arguments: &[&str]) -> io::Result<Output> {
        self.fluvio_command(arguments).output()
    }

    /// The same, to be run.
    pub fn fluvio_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("fluvio"));
        command
            .env("HOME", self.directory.path())
            .arg("--cluster")
            .arg(self.endpoint())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn command(&self, program: &str, name: &str) -> Command {
        let log = self.directory.path().join(format!("{name}.log"));
        let log = fs::OpenOptions::new().create(true).append(true).open(log);
        let log = log.expect("a log file");
        let mut command = Command::new(self.bin.join(program));
        command
            .env("HOME", self.directory.path())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        command
    }

    async fn admin(&self) -> FluvioAdmin {
        let config = FluvioClusterConfig::new(self.endpoint()).with_tls(self.tls().policy());
        let since = Instant::now();
        loop {
            match FluvioAdmin::connect_with_config(&config).await {
                Ok(admin) => return admin,
                Err(e) => assert!(since.elapsed() < PATIENCE, "no controller: {e}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        for spu in &mut self.spus {
            kill(&mut spu.process);
        }
        kill(&mut self.controller);
        if std::thread::panicking() {
            self.show_logs();
        }
    }
}

impl TestCluster {
    fn show_logs(&self) {
        let Ok(entries) = fs::read_dir(self.directory.path()) else {
            return;
        };
        for path in entries.flatten().map(|e| e.path()) {
            if path.extension().is_some_and(|e| e == "log") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = &lines[lines.len().saturating_sub(20)..];
                eprintln!("--- {}\n{}", path.display(), last.join("\n"));
            }
        }
    }
}

async fn register(admin: &FluvioAdmin, spu: &TestSpu) {
    // The types of its parts have no public names: built as the JSON they are read from.
    let mut json = serde_json::to_value(CustomSpuSpec::default()).expect("JSON");
    json["id"] = spu.id.into();
    json["publicEndpoint"]["port"] = spu.public.into();
    json["publicEndpoint"]["ingress"] = serde_json::json!([{"hostname": "127.0.0.1"}]);
    json["privateEndpoint"]["port"] = spu.private.into();
    json["privateEndpoint"]["host"] = "127.0.0.1".into();
    let spec: CustomSpuSpec = serde_json::from_value(json).expect("a specification");
    let name = format!("custom-spu-{}", spu.id);
    let created = admin.create(name, false, spec).await;
    created.expect("the SPU is registered");
}

/// A process that was started here, by its own handle.
fn kill(process: &mut Option<Child>) {
    if let Some(mut process) = process.take() {
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Whether every thread of a process stands still, where the system tells.
fn is_stopped(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return true;
    };
    let mut states = threads.flatten().map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // After the name, which is in brackets and may hold anything.
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('T'))
    });
    states.all(|is_stopped| is_stopped)
}

/// A port nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address").port()
}
