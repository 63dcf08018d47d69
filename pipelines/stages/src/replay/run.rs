//! What every run of a replay goes by: what was asked for, how far it was stored, and who may end it.

use std::time::Duration;

use telesift_ports::{
    catalog,
    replays::{ReplayProgress, ReplayState, ReplayStatus},
};
use tokio_util::sync::CancellationToken;

use super::{ReplayConfig, ReplayParts};
use crate::{StageError, consumer::pause};

/// One run, from where the replay was last stored.
#[derive(Clone)]
pub(super) struct Run<'a> {
    pub(super) parts: &'a ReplayParts,
    pub(super) config: &'a ReplayConfig,
    pub(super) id: &'a str,
    pub(super) replay: ReplayStatus,
    /// Cancelled by whoever pauses or cancels it.
    pub(super) interrupted: CancellationToken,
    /// Offsets processed as last stored.
    stored: u64,
}

impl<'a> Run<'a> {
    /// Takes the replay up where it was last stored. A cancelled `interrupted` ends it after the batch in flight.
    pub(super) async fn begin(
        parts: &'a ReplayParts,
        config: &'a ReplayConfig,
        id: &'a str,
        interrupted: CancellationToken,
    ) -> Result<Self, StageError> {
        let replay = parts.replay(id).await?;
        Ok(Run {
            parts,
            config,
            id,
            interrupted,
            stored: replay.progress.processed(),
            replay,
        })
    }

    /// Whether it was interrupted, or everything here ends.
    pub(super) fn is_over(&self, shutdown: &CancellationToken) -> bool {
        self.interrupted.is_cancelled() || shutdown.is_cancelled()
    }

    /// Does nothing for `time`, or until it is over.
    pub(super) async fn rest(&self, time: Duration, shutdown: &CancellationToken) {
        tokio::select! {
            () = self.interrupted.cancelled() => {}
            () = pause(time, shutdown) => {}
        }
    }

    /// Whether nobody paused, cancelled or ended it, here or in another process.
    pub(super) async fn is_wanted(&self) -> Result<bool, StageError> {
        let replay = self.parts.catalog.replay(self.id).await?;
        Ok(replay.is_some_and(|r| r.state == ReplayState::Running))
    }

    /// Stores positions and counts together; `false` if somebody ended the replay meanwhile, who has the last word.
    pub(super) async fn store(&mut self, progress: &ReplayProgress) -> Result<bool, StageError> {
        let catalog = &self.parts.catalog;
        match catalog
            .put_replay_progress(self.id, self.stored, progress)
            .await
        {
            Ok(()) => self.stored = progress.processed(),
            Err(catalog::Error::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Whether `progress` goes beyond what is stored.
    pub(super) fn is_new(&self, progress: &ReplayProgress) -> bool {
        progress.processed() != self.stored
    }
}
