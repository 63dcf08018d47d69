//! Configuration: the embedded default, then a file, then the environment; unknown keys are refused with the nearest name.

mod embed;
mod enrich;
mod knowledge;
mod merge;
mod secret;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use telesift_api::{LimitsConfig, Network};
use telesift_ports::record_log::Retention;

pub(crate) use embed::{Embed, EmbedKind};
pub(crate) use enrich::Enrich;
use knowledge::{Extract, Units};
use secret::Secret;

/// The default configuration, every key documented: `deploy/telesift.toml`.
pub(crate) const DEFAULTS: &str = include_str!("../../../deploy/telesift.toml");

/// What the server runs with. The meaning, unit and default of each key stand in `deploy/telesift.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) limits: LimitsConfig,
    pub(crate) data: Data,
    pub(crate) log: Log,
    pub(crate) screen: Screen,
    pub(crate) stories: Stories,
    pub(crate) windows: Windows,
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) index: Index,
    pub(crate) embed: Embed,
    pub(crate) units: Units,
    pub(crate) extract: Extract,
    pub(crate) enrich: Enrich,
    pub(crate) import: Import,
    pub(crate) replay: Replay,
    pub(crate) telegram: Telegram,
    pub(crate) workers: Workers,
    pub(crate) telemetry: Telemetry,
}

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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) kind: LogKind,
    pub(crate) fluvio: FluvioLog,
    pub(crate) partitions: u32,
    pub(crate) cache_mib: u64,
    pub(crate) write_buffer_mib: u64,
    pub(crate) min_free_mib: u64,
    pub(crate) retention: BTreeMap<String, TopicRetention>,
}

impl Log {
    /// What only a cluster asks for.
    fn check(&self, screen_batch_records: usize) -> Result<()> {
        if self.kind == LogKind::Embedded {
            return Ok(());
        }
        let fluvio = &self.fluvio;
        anyhow::ensure!(
            !fluvio.endpoint.is_empty() && fluvio.request_timeout_s >= 1,
            "log.fluvio.endpoint must be set and log.fluvio.request_timeout_s at least 1"
        );
        // Readers look back over twice what a frozen owner may have left behind.
        let max_batch = telesift_stages::origins::LOOK_BACK / 2;
        anyhow::ensure!(
            screen_batch_records as u64 <= max_batch,
            "screen.batch_records must be at most {max_batch} with log.kind = \"fluvio\""
        );
        let files = [&fluvio.tls_ca_cert, &fluvio.tls_cert, &fluvio.tls_key];
        anyhow::ensure!(
            fluvio.tls != TlsMode::Verified
                || !(fluvio.tls_domain.is_empty()
                    || files.iter().any(|f| f.as_os_str().is_empty())),
            "log.fluvio.tls = \"verified\" needs tls_domain, tls_ca_cert, tls_cert and tls_key"
        );
        Ok(())
    }
}

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogKind {
    Embedded,
    Fluvio,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FluvioLog {
    pub(crate) endpoint: String,
    pub(crate) prefix: String,
    pub(crate) topics: PathBuf,
    pub(crate) request_timeout_s: u64,
    pub(crate) tls: TlsMode,
    pub(crate) tls_domain: String,
    pub(crate) tls_ca_cert: PathBuf,
    pub(crate) tls_cert: PathBuf,
    pub(crate) tls_key: PathBuf,
}

/// How connections to the cluster are secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TlsMode {
    Off,
    Unverified,
    Verified,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicRetention {
    max_age_days: u64,
    max_mib: u64,
}

impl From<TopicRetention> for Retention {
    fn from(from: TopicRetention) -> Self {
        let limit = |n: u64, unit: u64| (n > 0).then(|| n.saturating_mul(unit));
        Retention {
            max_age_s: limit(from.max_age_days, 24 * 3600),
            max_bytes: limit(from.max_mib, 1 << 20),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Screen {
    pub(crate) batch_records: usize,
    pub(crate) memory_limit_mib: usize,
    pub(crate) watchdog_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stories {
    pub(crate) window_h: u32,
    pub(crate) repeat_min: u32,
    pub(crate) window_messages: usize,
    pub(crate) batch_records: usize,
    pub(crate) min_interval_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Windows {
    pub(crate) batch_records: usize,
    pub(crate) min_interval_ms: u64,
}

impl From<&Stories> for telesift_stages::stories::StoriesConfig {
    fn from(from: &Stories) -> Self {
        telesift_stages::stories::StoriesConfig {
            window_s: i64::from(from.window_h) * 3_600,
            repeat_s: i64::from(from.repeat_min) * 60,
            max_records: from.window_messages,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) uri: String,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: Secret,
    pub(crate) secret_access_key: Secret,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    pub(crate) url: String,
    pub(crate) max_connections: u32,
    pub(crate) secret_key_lost: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) batch_records: usize,
    pub(crate) min_interval_ms: u64,
    pub(crate) maintain_every_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    pub(crate) max_queued: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    pub(crate) cpu_share: f64,
    pub(crate) keep_days: u64,
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workers {
    pub(crate) name: String,
    pub(crate) lease_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telemetry {
    pub(crate) log: String,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Reads the defaults, `file` if given, and the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let text = file
            .map(|f| {
                std::fs::read_to_string(f)
                    .with_context(|| format!("cannot read the configuration {}", f.display()))
            })
            .transpose()?;
        let name = file.map(|f| f.display().to_string()).unwrap_or_default();
        let environment = std::env::vars().filter(|(k, _)| k.starts_with(merge::ENV_PREFIX));
        Self::from_parts(text.as_deref().map(|t| (name.as_str(), t)), environment)
    }

    fn from_parts(
        file: Option<(&str, &str)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut table: toml::Table = DEFAULTS
            .parse()
            .context("the embedded configuration is broken")?;
        if let Some((name, text)) = file {
            let over: toml::Table = text
                .parse()
                .with_context(|| format!("{name} is no valid TOML"))?;
            merge::merge(&mut table, over, "").with_context(|| format!("in {name}"))?;
        }
        for (variable, value) in environment {
            merge::set_from_environment(&mut table, &variable, &value)?;
        }
        let config: Config = table
            .try_into()
            .context("the configuration has a value of the wrong type")?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        for origin in &self.server.allowed_origins {
            anyhow::ensure!(
                is_origin(origin),
                "server.allowed_origins: `{origin}` is no origin such as https://console.example"
            );
        }
        anyhow::ensure!(
            self.log.partitions >= 1,
            "log.partitions must be at least 1"
        );
        anyhow::ensure!(
            (1..=64).contains(&self.log.write_buffer_mib),
            "log.write_buffer_mib must be from 1 to 64"
        );
        let server = &self.server;
        anyhow::ensure!(
            server.max_body_kib >= 16 && server.max_connections >= 1 && server.max_streams >= 1,
            "server.max_body_kib must be at least 16, server.max_connections and server.max_streams at least 1"
        );
        anyhow::ensure!(
            self.screen.batch_records >= 1,
            "screen.batch_records must be at least 1"
        );
        self.log.check(self.screen.batch_records)?;
        anyhow::ensure!(
            self.stories.batch_records >= 1 && self.stories.window_messages >= 1,
            "stories.batch_records and stories.window_messages must be at least 1"
        );
        anyhow::ensure!(
            self.windows.batch_records >= 1,
            "windows.batch_records must be at least 1"
        );
        anyhow::ensure!(
            self.index.batch_records >= 1,
            "index.batch_records must be at least 1"
        );
        anyhow::ensure!(
            self.replay.cpu_share > 0.0 && self.replay.cpu_share <= 1.0,
            "replay.cpu_share must be above 0 and at most 1"
        );
        anyhow::ensure!(
            self.catalog.max_connections >= 1,
            "catalog.max_connections must be at least 1"
        );
        anyhow::ensure!(
            self.workers.lease_ms >= 600,
            "workers.lease_ms must be at least 600"
        );
        anyhow::ensure!(
            self.screen.watchdog_s >= 1,
            "screen.watchdog_s must be at least 1"
        );
        let url = self.telegram.public_url.as_str();
        anyhow::ensure!(
            url.is_empty() || url.starts_with("https://") || url.starts_with("http://"),
            "telegram.public_url must be a URL such as https://sift.example.org"
        );
        anyhow::ensure!(
            self.telegram.conflict_retry_s >= 1 && self.telegram.resync_s >= 1,
            "telegram.conflict_retry_s and telegram.resync_s must be at least 1"
        );
        anyhow::ensure!(
            self.screen.memory_limit_mib >= 8,
            "screen.memory_limit_mib must be at least 8"
        );
        self.embed.check()?;
        self.units.check()?;
        self.extract.check()?;
        self.enrich.check()?;
        Ok(())
    }

    /// Whether several processes may share the work: what each does is then decided by leases.
    pub(crate) fn is_shared(&self) -> bool {
        let url = &self.catalog.url;
        let is_postgres = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        self.log.kind == LogKind::Fluvio && is_postgres
    }

    /// The directory everything lies in.
    pub(crate) fn data_dir(&self) -> Result<PathBuf> {
        data_dir((!self.data.dir.as_os_str().is_empty()).then_some(self.data.dir.as_path()))
    }
}

/// Whether browsers would send this as an origin: a scheme, a host and perhaps a port, nothing after them.
fn is_origin(text: &str) -> bool {
    let host = text
        .split_once("://")
        .map(|(_, host)| host.trim_end_matches('/'));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
}

/// `dir`, or the platform's data folder, `telesift/`.
pub(crate) fn data_dir(dir: Option<&Path>) -> Result<PathBuf> {
    match dir {
        Some(dir) => Ok(dir.to_owned()),
        None => directories::ProjectDirs::from("", "", "telesift")
            .map(|dirs| dirs.data_dir().to_owned())
            .context("this account has no home directory; name a data directory with --data-dir"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let environment: Vec<_> = environment
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        Config::from_parts(
            (!file.is_empty()).then_some(("test.toml", file)),
            environment.into_iter(),
        )
    }

    #[test]
    fn defaults_load() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:8080");
        assert_eq!(config.limits, LimitsConfig::default());
        assert_eq!(
            Retention::from(config.log.retention["messages"]),
            Retention::default()
        );
    }

    #[test]
    fn a_file_overrides_defaults_and_the_environment_overrides_both() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\nrequest_timeout_s = 5\n[log.retention.messages]\nmax_age_days = 2";
        let config = load(file, &[("TELESIFT__SERVER__LISTEN", "127.0.0.1:2")]).unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:2");
        assert_eq!(config.server.request_timeout_s, 5);
        assert_eq!(
            Retention::from(config.log.retention["messages"]).max_age_s,
            Some(172_800)
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_name() {
        let error = format!(
            "{:#}",
            load("[server]\nlisten_on = \"x\"", &[]).unwrap_err()
        );
        assert!(
            error.contains("unknown key `server.listen_on`") && error.contains("`server.listen`"),
            "{error}"
        );
        let error = format!(
            "{:#}",
            load("", &[("TELESIFT__SERVER__LISTN", "x")]).unwrap_err()
        );
        assert!(
            error.contains("TELESIFT__SERVER__LISTN") && error.contains("server.listen"),
            "{error}"
        );
    }

    #[test]
    fn a_cluster_as_the_log_needs_what_its_security_asks_for() {
        assert!(load("[log]\nkind = \"fluvio\"", &[]).is_ok());
        let verified = "[log]\nkind = \"fluvio\"\n[log.fluvio]\ntls = \"verified\"";
        assert!(load(verified, &[]).is_err());
        let files = "tls_domain = \"a\"\ntls_ca_cert = \"b\"\ntls_cert = \"c\"\ntls_key = \"d\"";
        assert!(load(&format!("{verified}\n{files}"), &[]).is_ok());
        let wide = "[log]\nkind = \"fluvio\"\n[screen]\nbatch_records = 100000";
        assert!(load(wide, &[]).is_err());
    }

    #[test]
    fn providers_and_budgets_come_from_the_file() {
        let usual = load("", &[]).unwrap().enrich;
        assert!(usual.providers().is_empty());
        assert_eq!(usual.limits().daily.micro_usd, Some(1_000_000));
        let file = "[enrich]\ndaily_usd = 0\ndaily_tokens = 5\nlocal = \"here\"\n[[enrich.providers]]\nname = \"here\"\nkind = \"ollama\"\nurl = \"http://127.0.0.1:11434\"\nmodel = \"small\"";
        let enrich = load(file, &[]).unwrap().enrich;
        let limits = enrich.limits();
        assert_eq!(
            (limits.daily.tokens, limits.daily.micro_usd),
            (Some(5), None)
        );
        assert_eq!(enrich.choice().local.as_deref(), Some("here"));
        let provider = &enrich.providers()[0].provider;
        assert!(provider.key.is_none() && provider.terms.max_tokens_out == 2_048);
        assert!(load(&format!("{file}\nprice = 3"), &[]).is_err());
        assert!(load("[enrich]\ndaily_usd = -1", &[]).is_err());
    }

    #[test]
    fn values_of_a_wrong_type_are_refused() {
        assert!(load("[log]\npartitions = \"many\"", &[]).is_err());
        assert!(load("", &[("TELESIFT__LOG__PARTITIONS", "0")]).is_err());
        assert!(load("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]", &[]).is_err());
        assert!(load("[server]\nallowed_origins = [\"*\"]", &[]).is_err());
        assert!(load("[limits]\nkey_burst = -1", &[]).is_err());
    }
}
