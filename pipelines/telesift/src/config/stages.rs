//! The sections of the stages up to the index, of imports and of replays: `[screen]`, `[stories]`, `[windows]`, `[index]`,
//! `[import]`, `[replay]`.

use anyhow::{Result, ensure};
use serde::Deserialize;
use telesift_stages::stories::StoriesConfig;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Screen {
    pub(crate) batch_records: usize,
    pub(crate) memory_limit_mib: usize,
    pub(crate) watchdog_s: u64,
}

impl Screen {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.batch_records >= 1,
            "screen.batch_records must be at least 1"
        );
        ensure!(self.watchdog_s >= 1, "screen.watchdog_s must be at least 1");
        ensure!(
            self.memory_limit_mib >= 8,
            "screen.memory_limit_mib must be at least 8"
        );
        Ok(())
    }
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

impl Stories {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.batch_records >= 1 && self.window_messages >= 1,
            "stories.batch_records and stories.window_messages must be at least 1"
        );
        Ok(())
    }
}

impl From<&Stories> for StoriesConfig {
    fn from(from: &Stories) -> Self {
        StoriesConfig {
            window_s: i64::from(from.window_h) * 3_600,
            repeat_s: i64::from(from.repeat_min) * 60,
            max_records: from.window_messages,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Windows {
    pub(crate) batch_records: usize,
    pub(crate) min_interval_ms: u64,
}

impl Windows {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.batch_records >= 1,
            "windows.batch_records must be at least 1"
        );
        Ok(())
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) batch_records: usize,
    pub(crate) min_interval_ms: u64,
    pub(crate) maintain_every_s: u64,
}

impl Index {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.batch_records >= 1,
            "index.batch_records must be at least 1"
        );
        Ok(())
    }
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

impl Replay {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.cpu_share > 0.0 && self.cpu_share <= 1.0,
            "replay.cpu_share must be above 0 and at most 1"
        );
        Ok(())
    }
}
