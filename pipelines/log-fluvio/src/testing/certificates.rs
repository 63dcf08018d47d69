//! Certificates of a test's own: an authority, and what it signed for the cluster and for a client. Made by `openssl`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Tls;

/// The name in the cluster's certificate; SPUs are `<name of the SPU>.<this>`.
const DOMAIN: &str = "fluvio.test";

/// PEM files in a folder.
pub(super) struct Certificates(PathBuf);

impl Certificates {
    /// Makes them in `folder`; `None`, said aloud, where `openssl` is not there.
    ///
    /// # Panics
    /// If it is there and makes none.
    pub(super) fn make(folder: &Path) -> Option<Self> {
        let is_there = Command::new("openssl")
            .arg("version")
            .stdout(Stdio::null())
            .status();
        if !is_there.is_ok_and(|s| s.success()) {
            eprintln!("skipped: `openssl` is not there to make certificates");
            return None;
        }
        let made = Certificates(folder.to_owned());
        made.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=telesift-test -keyout ca.key -out ca.crt");
        let names = format!("subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}\n");
        fs::write(folder.join("names"), names).expect("a file");
        for who in ["server", "client"] {
            made.openssl(&format!(
                "req -newkey rsa:2048 -nodes -subj /CN={DOMAIN} -keyout {who}.key -out {who}.csr"
            ));
            made.openssl(&format!(
                "x509 -req -in {who}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {who}.crt"
            ));
        }
        Some(made)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&self.0);
        let output = command.output().expect("openssl runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// A file, such as `ca.crt`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// How a client of the cluster connects.
    pub(super) fn of_client(&self) -> Tls {
        Tls::Verified {
            domain: DOMAIN.to_owned(),
            ca_cert: self.file("ca.crt"),
            cert: self.file("client.crt"),
            key: self.file("client.key"),
        }
    }

    /// What a server of the cluster is started with; it asks its clients for certificates. It needs one more port, on which
    /// it listens without TLS.
    pub(super) fn secure(&self, server: &mut Command, plain_port: u16) {
        server
            .arg("--tls")
            .arg("--enable-client-cert")
            .arg("--server-cert")
            .arg(self.file("server.crt"))
            .arg("--server-key")
            .arg(self.file("server.key"))
            .arg("--ca-cert")
            .arg(self.file("ca.crt"))
            .arg("--bind-non-tls-public")
            .arg(format!("127.0.0.1:{plain_port}"));
    }
}
