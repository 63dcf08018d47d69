//! A PostgreSQL server of the test's own: on a free port of 127.0.0.1, in a folder that goes with it.

use std::{
    ffi::OsStr,
    fs, io,
    net::TcpListener,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use telesift_catalog::{CatalogConfig, SqlCatalog};

/// A running server; stopped when dropped.
pub(crate) struct Server {
    binaries: PathBuf,
    /// PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    dir: tempfile::TempDir,
    port: u16,
    /// Whether it speaks TLS only.
    tls: bool,
}

impl Server {
    /// `None`, said aloud, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            eprintln!(
                "skipped: no PostgreSQL (`initdb`, `pg_ctl`) in PATH or under /usr/lib/postgresql"
            );
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let is_root = dir.path().metadata().unwrap().uid() == 0;
        let user = if is_root {
            let Some((uid, gid)) = unprivileged_user() else {
                eprintln!(
                    "skipped: PostgreSQL does not run as root, and there is no user `postgres` or `nobody`"
                );
                return None;
            };
            std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
            Some((uid, gid))
        } else {
            None
        };
        let server = Server {
            binaries,
            user,
            dir,
            port: free_port(),
            tls: false,
        };
        let data = server.data();
        server.run(
            "initdb",
            [
                "-D",
                &data,
                "-A",
                "trust",
                "-U",
                "telesift",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            ],
        );
        server.start_again();
        Some(server)
    }

    /// Restarts it as one that takes encrypted connections alone. `false`, said aloud, where no certificate can be made.
    pub(crate) fn demand_tls(&mut self) -> bool {
        let (key, certificate) = (self.file("server.key"), self.file("server.crt"));
        let made = Command::new("openssl")
            .args(["req", "-new", "-x509", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: `openssl` is not there to make a certificate");
            return false;
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&key, private).unwrap();
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(&key, Some(uid), Some(gid)).unwrap();
            std::os::unix::fs::chown(&certificate, Some(uid), Some(gid)).unwrap();
        }
        self.stop();
        let hosts = Path::new(&self.data()).join("pg_hba.conf");
        fs::write(hosts, "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        self.tls = true;
        self.start_again();
        true
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until it answers.
    pub(crate) fn start_again(&self) {
        let tls = match self.tls {
            true => "-c ssl=on -c ssl_cert_file=../server.crt -c ssl_key_file=../server.key",
            false => "",
        };
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off {tls}",
            self.port
        );
        let log = self.dir.path().join("log").display().to_string();
        self.run(
            "pg_ctl",
            [
                "start",
                "-w",
                "-D",
                &self.data(),
                "-l",
                &log,
                "-o",
                &options,
            ],
        );
    }

    /// Waits until it is gone; connections are cut.
    pub(crate) fn stop(&self) {
        self.run(
            "pg_ctl",
            ["stop", "-w", "-m", "immediate", "-D", &self.data()],
        );
    }

    /// A configuration for the database `name`, made if it is not there.
    pub(crate) async fn config(&self, name: &str) -> CatalogConfig {
        let admin: sqlx::postgres::PgConnectOptions = self.url("postgres").parse().unwrap();
        let mut admin = admin.connect().await.unwrap();
        let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut admin)
            .await
            .unwrap();
        if there.is_none() {
            let create = format!("CREATE DATABASE \"{name}\"");
            admin.execute(AssertSqlSafe(create)).await.unwrap();
        }
        admin.close().await.unwrap();
        CatalogConfig::new(self.url(name).parse().unwrap())
    }

    pub(crate) async fn open(&self, name: &str) -> SqlCatalog {
        SqlCatalog::open(self.config(name).await).await.unwrap()
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://telesift@127.0.0.1:{}/{name}", self.port)
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn run<const N: usize>(&self, program: &str, args: [&str; N]) {
        let done = self.command(program, args).status().unwrap();
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(done.success(), "{program} {args:?}: {done}\n{log}");
    }

    fn command<const N: usize>(&self, program: &str, args: [&str; N]) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command
            .args(args)
            .current_dir(self.dir.path())
            // The server inherits these; a pipe would never see its end.
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.gid(gid).uid(uid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // By the pid in its own folder; it may be stopped already.
        let _ = self
            .command(
                "pg_ctl",
                ["stop", "-w", "-m", "immediate", "-D", &self.data()],
            )
            .status();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The folder of the newest PostgreSQL, or the one in PATH.
fn find_binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let version = |dir: &PathBuf| {
        let name = dir
            .parent()
            .and_then(Path::file_name)
            .and_then(OsStr::to_str);
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let mut installed = installed().unwrap_or_default();
    installed.sort_by_key(version);
    let mut dirs = installed.into_iter().rev().chain(in_path);
    dirs.find(|dir| {
        ["initdb", "pg_ctl"]
            .iter()
            .all(|name| dir.join(name).is_file())
    })
}

/// Debian keeps the server's programs out of PATH.
fn installed() -> io::Result<Vec<PathBuf>> {
    fs::read_dir("/usr/lib/postgresql")?
        .map(|entry| Ok(entry?.path().join("bin")))
        .collect()
}

fn unprivileged_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let find = |name: &str| {
        let mut fields = users
            .lines()
            .find(|l| l.split(':').next() == Some(name))?
            .split(':')
            .skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}
