//! Replays in memory.

use async_trait::async_trait;
use telesift_schemas::Timestamp;

use super::{MemoryCatalog, newest_first};
use crate::{
    catalog::{Error, Result},
    replays::{ReplayCatalog, ReplayProgress, ReplayState, ReplayStatus, RulePair, Samples},
};

#[async_trait]
impl ReplayCatalog for MemoryCatalog {
    async fn create_replay(&self, replay: &ReplayStatus, rules: &RulePair) -> Result<()> {
        let mut tables = self.tables();
        if tables.replays.contains_key(&replay.id) {
            return Err(conflict(&replay.id));
        }
        let row = (replay.clone(), rules.clone());
        tables.replays.insert(replay.id.clone(), row);
        Ok(())
    }

    async fn replay(&self, id: &str) -> Result<Option<ReplayStatus>> {
        Ok(self.tables().replays.get(id).map(|(r, _)| r.clone()))
    }

    async fn replay_rules(&self, id: &str) -> Result<Option<RulePair>> {
        Ok(self
            .tables()
            .replays
            .get(id)
            .map(|(_, rules)| rules.clone()))
    }

    async fn replays(&self, after: Option<&str>, limit: usize) -> Result<Vec<ReplayStatus>> {
        let tables = self.tables();
        let newest = newest_first(&tables.replays, after).take(limit);
        Ok(newest.map(|(r, _)| without_samples(r)).collect())
    }

    async fn unfinished_replays(&self) -> Result<Vec<ReplayStatus>> {
        let tables = self.tables();
        let replays = tables.replays.values().map(|(r, _)| r);
        Ok(replays
            .filter(|r| !r.state.is_over())
            .map(without_samples)
            .collect())
    }

    async fn put_replay_progress(
        &self,
        id: &str,
        expected: u64,
        progress: &ReplayProgress,
    ) -> Result<()> {
        let mut tables = self.tables();
        match tables.replays.get_mut(id) {
            Some((r, _)) if !r.state.is_over() && r.progress.processed() == expected => {
                r.progress = progress.clone();
                Ok(())
            }
            _ => Err(conflict(id)),
        }
    }

    async fn move_replay(
        &self,
        id: &str,
        from: ReplayState,
        to: ReplayState,
        error: Option<&str>,
        at: Timestamp,
    ) -> Result<bool> {
        let mut tables = self.tables();
        let Some((replay, _)) = tables.replays.get_mut(id) else {
            return Ok(false);
        };
        if replay.state != from {
            return Ok(false);
        }
        replay.state = to;
        replay.error = error.map(str::to_owned);
        if to == ReplayState::Running {
            replay.started_at.get_or_insert(at);
        }
        if to.is_over() {
            replay.ended_at = Some(at);
        }
        Ok(true)
    }
}

fn without_samples(replay: &ReplayStatus) -> ReplayStatus {
    ReplayStatus {
        progress: ReplayProgress {
            samples: Samples::new(),
            next: replay.progress.next.clone(),
            result: replay.progress.result.clone(),
        },
        ..replay.clone()
    }
}

fn conflict(id: &str) -> Error {
    Error::Conflict {
        what: format!("replay/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryCatalog;

    #[tokio::test]
    async fn keeps_the_contract_of_a_catalog_of_replays() {
        crate::contract::replays::run(|| async { MemoryCatalog::new() }).await;
    }
}
