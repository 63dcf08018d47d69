//! The catalog of replays.

use async_trait::async_trait;
use telesift_ports::{
    catalog::{Error, Result},
    replays::{ReplayCatalog, ReplayProgress, ReplayState, ReplayStatus, RulePair, Samples},
};
use telesift_schemas::Timestamp;

use crate::{
    SqlCatalog, page,
    queries::replays as queries,
    records::{damaged, json, timestamp, to_int, to_json},
    row::{Arg, Row},
};

#[async_trait]
impl ReplayCatalog for SqlCatalog {
    async fn create_replay(&self, replay: &ReplayStatus, rules: &RulePair) -> Result<()> {
        let progress = &replay.progress;
        let args = vec![
            replay.id.as_str().into(),
            to_json(&replay.spec)?,
            rules.base.as_str().into(),
            rules.new.as_str().into(),
            replay.state.as_str().into(),
            to_int(progress.processed())?,
            to_json(&progress.next)?,
            to_json(&progress.result)?,
            to_json(&progress.samples)?,
            replay.error.as_deref().into(),
            replay.created_at.into(),
            replay.started_at.into(),
            replay.ended_at.into(),
        ];
        let what = || name(&replay.id);
        self.database.write(queries::INSERT, args, what).await?;
        Ok(())
    }

    async fn replay(&self, id: &str) -> Result<Option<ReplayStatus>> {
        let rows = self.database.read(queries::ONE, vec![id.into()]).await?;
        rows.first().map(with_samples).transpose()
    }

    async fn replay_rules(&self, id: &str) -> Result<Option<RulePair>> {
        let rows = self.database.read(queries::RULES, vec![id.into()]).await?;
        let pair = |row: &Row| {
            Ok(RulePair {
                base: row.get(0)?,
                new: row.get(1)?,
            })
        };
        rows.first().map(pair).transpose()
    }

    async fn replays(&self, after: Option<&str>, limit: usize) -> Result<Vec<ReplayStatus>> {
        let args = page(after, limit);
        let rows = self.database.read(queries::PAGE, args).await?;
        rows.iter().map(replay).collect()
    }

    async fn unfinished_replays(&self) -> Result<Vec<ReplayStatus>> {
        let rows = self.database.read(queries::UNFINISHED, Vec::new()).await?;
        rows.iter().map(replay).collect()
    }

    async fn put_replay_progress(
        &self,
        id: &str,
        expected: u64,
        progress: &ReplayProgress,
    ) -> Result<()> {
        let args = vec![
            id.into(),
            to_int(expected)?,
            to_int(progress.processed())?,
            to_json(&progress.next)?,
            to_json(&progress.result)?,
            to_json(&progress.samples)?,
        ];
        let done = self
            .database
            .write(queries::PUT_PROGRESS, args, String::new);
        match done.await? {
            0 => Err(Error::Conflict { what: name(id) }),
            _ => Ok(()),
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
        let noted = |is_so: bool| Arg::from(is_so.then_some(at));
        let args = vec![
            id.into(),
            from.as_str().into(),
            to.as_str().into(),
            error.into(),
            noted(to == ReplayState::Running),
            noted(to.is_over()),
        ];
        let done = self.database.write(queries::MOVE, args, String::new);
        Ok(done.await? > 0)
    }
}

fn name(id: &str) -> String {
    format!("replay/{id}")
}

/// Columns: `id, spec, state, positions, result, error, created_at, started_at, ended_at`.
fn replay(row: &Row) -> Result<ReplayStatus> {
    let time = |index| row.get::<Option<i64>>(index)?.map(timestamp).transpose();
    Ok(ReplayStatus {
        id: row.get(0)?,
        spec: json(&row.get::<String>(1)?)?,
        state: state(&row.get::<String>(2)?)?,
        progress: ReplayProgress {
            next: json(&row.get::<String>(3)?)?,
            result: json(&row.get::<String>(4)?)?,
            samples: Samples::new(),
        },
        error: row.get(5)?,
        created_at: timestamp(row.get(6)?)?,
        started_at: time(7)?,
        ended_at: time(8)?,
    })
}

/// Columns, after those of [`replay`]: `samples`.
fn with_samples(row: &Row) -> Result<ReplayStatus> {
    let mut replay = replay(row)?;
    replay.progress.samples = json(&row.get::<String>(9)?)?;
    Ok(replay)
}

fn state(text: &str) -> Result<ReplayState> {
    let found = ReplayState::ALL.into_iter().find(|s| s.as_str() == text);
    found.ok_or_else(|| damaged(format!("no state of a replay: `{text}`")))
}
