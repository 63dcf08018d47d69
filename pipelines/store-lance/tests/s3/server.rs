//! An S3-compatible server of the test's own (moto), on a free port of 127.0.0.1, with a bucket in it.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A running server; killed when dropped.
pub(crate) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// `None`, said aloud, where no server is installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = find() else {
            eprintln!(
                "SKIPPED: no S3-compatible server: `moto_server` is neither in PATH nor in the cache (`pip install 'moto[server]'`)"
            );
            return None;
        };
        let port = free_port();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Server { process, port };
        // It listens once Python is up: a try costs nothing.
        while !server.make_bucket().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn make_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return false;
        };
        let request = "PUT /telesift HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let sent = stream.write_all(request.as_bytes()).await;
        sent.is_ok()
            && stream.read_to_end(&mut answer).await.is_ok()
            && answer.starts_with(b"HTTP/1.1 200")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// In PATH, or where CI puts it.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cached = cache.map(|cache| cache.join("telesift/moto/bin"));
    let mut dirs = std::env::split_paths(&path).chain(cached);
    dirs.find_map(|dir| Some(dir.join("moto_server")).filter(|file| file.is_file()))
}
