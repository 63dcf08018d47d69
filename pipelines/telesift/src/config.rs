//! Configuration: the embedded default, then a file, then the environment; unknown keys are refused with the nearest name.

mod embed;
mod enrich;
mod knowledge;
mod log;
mod merge;
mod secret;
mod server;
mod stages;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use telesift_api::LimitsConfig;

pub(crate) use embed::{Embed, EmbedKind};
pub(crate) use enrich::Enrich;
use knowledge::{Extract, Units};
pub(crate) use log::{Log, LogKind, TlsMode};
use secret::Secret;
use server::{Server, Telegram};
use stages::{Import, Index, Replay, Screen, Stories, Windows};

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
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
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
        self.server.check()?;
        self.log.check(self.screen.batch_records)?;
        self.screen.check()?;
        self.stories.check()?;
        self.windows.check()?;
        self.index.check()?;
        self.replay.check()?;
        self.telegram.check()?;
        self.embed.check()?;
        self.units.check()?;
        self.extract.check()?;
        self.enrich.check()?;
        if !self.catalog.url.is_empty() {
            let place: Result<telesift_catalog::Location, _> = self.catalog.url.parse();
            place.context("catalog.url")?;
        }
        let uri = self.store.uri.as_str();
        ensure!(
            !uri.contains("://") || uri.starts_with("s3://") || uri.starts_with("file://"),
            "store.uri must be a folder or `s3://bucket/path`"
        );
        let filter = tracing_subscriber::EnvFilter::try_new(&self.telemetry.log);
        filter.context("telemetry.log is no log filter such as \"info,lance=warn\"")?;
        ensure!(
            self.catalog.max_connections >= 1,
            "catalog.max_connections must be at least 1"
        );
        ensure!(
            self.workers.lease_ms >= 600,
            "workers.lease_ms must be at least 600"
        );
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
mod tests;
