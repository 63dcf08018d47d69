//! The sections `[server]` and `[telegram]`: who is listened to, and where Telegram finds us.

use anyhow::{Result, ensure};
use serde::Deserialize;
use telesift_api::Network;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: String,
    pub(crate) max_upload_mib: u64,
    pub(crate) max_body_kib: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_streams: usize,
    pub(crate) tail_together_ms: u64,
    pub(crate) request_timeout_s: u64,
    pub(crate) metrics_public: bool,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<Network>,
}

impl Server {
    pub(super) fn check(&self) -> Result<()> {
        for origin in &self.allowed_origins {
            ensure!(
                is_origin(origin),
                "server.allowed_origins: `{origin}` is no origin such as https://console.example"
            );
        }
        ensure!(
            self.max_body_kib >= 16 && self.max_connections >= 1 && self.max_streams >= 1,
            "server.max_body_kib must be at least 16, server.max_connections and server.max_streams at least 1"
        );
        Ok(())
    }
}

/// Whether browsers would send this as an origin: a scheme, a host and perhaps a port, nothing after them.
fn is_origin(text: &str) -> bool {
    let host = text
        .split_once("://")
        .map(|(_, host)| host.trim_end_matches('/'));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telegram {
    pub(crate) public_url: String,
    pub(crate) api_base: String,
    pub(crate) poll_s: u64,
    pub(crate) conflict_retry_s: u64,
    pub(crate) resync_s: u64,
}

impl Telegram {
    pub(super) fn check(&self) -> Result<()> {
        let is_http = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        ensure!(
            self.public_url.is_empty() || is_http(&self.public_url),
            "telegram.public_url must be a URL such as https://sift.example.org"
        );
        ensure!(
            is_http(&self.api_base),
            "telegram.api_base must be a URL such as https://api.telegram.org"
        );
        ensure!(
            self.conflict_retry_s >= 1 && self.resync_s >= 1,
            "telegram.conflict_retry_s and telegram.resync_s must be at least 1"
        );
        Ok(())
    }
}
