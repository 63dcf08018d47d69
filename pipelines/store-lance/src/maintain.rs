//! Maintenance beside reading and writing: compact small files, extend the indexes over new rows, build the vector index
//! once there is enough to learn from, drop what was replaced.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime},
};

use lancedb::{
    DistanceType, Table,
    index::{Index, vector::IvfPqIndexBuilder},
    table::{CompactionOptions, OptimizeAction, OptimizeOptions},
};
use telesift_ports::{embedder::EmbeddingModel, message_store::Result};

use crate::{
    error::{Attempt, Fault},
    open::index_name,
    schema::columns as col,
    store::LanceStore,
    telemetry,
};

/// Fragments of this many rows are left alone unless much of them was replaced: larger ones cost too much to rewrite,
/// smaller ones are too many to open.
const FRAGMENT_ROWS: usize = 128 * 1024;
/// So many smaller fragments are worth a compaction.
const MAX_SMALL_FRAGMENTS: usize = 8;
/// An index of more parts than this is merged into one: every query reads all parts.
const MAX_INDEX_PARTS: u32 = 8;
/// How often a step that lost a commit race is tried again beside the writer, before it makes the writer wait.
const FREE_ATTEMPTS: u32 = 2;
/// And how often then; only another process can be in the way.
const ALONE_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A step of maintenance.
#[derive(Clone, Copy, Debug)]
enum Step {
    Compact,
    Index,
    LearnVectors,
    Prune,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Compact => "compact",
            Step::Index => "index",
            Step::LearnVectors => "learn_vectors",
            Step::Prune => "prune",
        }
    }
}

impl LanceStore {
    pub(crate) async fn run_maintenance(&self) -> Result<()> {
        let _alone = self.maintenance.lock().await;
        for table in [&self.versions, &self.messages] {
            let started = SystemTime::now();
            // Compaction first: rows not indexed yet can be moved without touching an index.
            for step in [Step::Compact, Step::Index, Step::LearnVectors] {
                self.retry(table, step).await?;
            }
            // What replaced the old files must be on disk before these are gone.
            self.sync(table, started).await?;
            self.retry(table, Step::Prune).await?;
        }
        telemetry::stats(&self.read_stats().await?);
        Ok(())
    }

    /// Whether the table has hardly grown since this was asked last. An index of vectors learns from what is there: made in the
    /// middle of an import it would be too coarse for what follows, and until then comparing all of them finds as much.
    fn is_calm(&self, n_rows: usize) -> bool {
        let before = self.n_rows_seen.swap(n_rows, Ordering::Relaxed);
        n_rows.saturating_sub(before) <= before / 20 + self.config.max_unindexed_rows
    }

    /// Runs a step beside the writer; if commits keep colliding, with the writer waiting.
    async fn retry(&self, table: &Table, step: Step) -> Attempt<()> {
        let mut pause = FIRST_PAUSE;
        for attempt in 0..FREE_ATTEMPTS + ALONE_ATTEMPTS {
            let alone = if attempt < FREE_ATTEMPTS {
                None
            } else {
                Some(self.writer.lock().await)
            };
            let started = Instant::now();
            let done = self.run(table, step).await;
            telemetry::step_done(step.name(), started.elapsed());
            let done = done.map_err(|fault| self.term.sort(fault));
            drop(alone);
            match done {
                Err(Fault::Unavailable(why)) if attempt + 1 < FREE_ATTEMPTS + ALONE_ATTEMPTS => {
                    tracing::debug!(?step, table = table.name(), why, "maintenance tries again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        Ok(())
    }

    async fn run(&self, table: &Table, step: Step) -> Attempt<()> {
        match step {
            Step::Compact => compact(table).await,
            Step::Index => self.extend_indexes(table).await,
            Step::LearnVectors => self.build_vector_index(table).await,
            Step::Prune => self.prune(table).await,
        }
    }

    async fn extend_indexes(&self, table: &Table) -> Attempt<()> {
        for index in table.list_indices().await? {
            let Some(stats) = table.index_stats(&index.name).await? else {
                continue;
            };
            let n_parts = stats.num_indices.unwrap_or(1);
            if stats.num_unindexed_rows <= self.config.max_unindexed_rows
                && n_parts <= MAX_INDEX_PARTS
            {
                continue;
            }
            let mut options = if n_parts >= MAX_INDEX_PARTS {
                OptimizeOptions::merge(n_parts as usize)
            } else {
                OptimizeOptions::append()
            };
            options.index_names = Some(vec![index.name]);
            table.optimize(OptimizeAction::Index(options)).await?;
        }
        Ok(())
    }

    async fn build_vector_index(&self, table: &Table) -> Attempt<()> {
        let name = index_name(col::VECTOR);
        if table.name() != self.messages.name()
            || self.config.model.is_none()
            || table.list_indices().await?.iter().any(|i| i.name == name)
        {
            return Ok(());
        }
        if !self.is_calm(table.count_rows(None).await?) {
            return Ok(());
        }
        let n_vectors = table.count_rows(Some(col::HAS_VECTOR.to_owned())).await?;
        if n_vectors < self.config.min_vectors_for_index {
            return Ok(());
        }
        let mut index = IvfPqIndexBuilder::default().distance_type(DistanceType::Cosine);
        if let Some(n) = self.config.model.as_ref().and_then(sub_vectors) {
            index = index.num_sub_vectors(n);
        }
        let build = table.create_index(&[col::VECTOR], Index::IvfPq(index));
        build.name(name).execute().await?;
        Ok(())
    }

    async fn prune(&self, table: &Table) -> Attempt<()> {
        let keep = self.config.keep_replaced;
        let seconds = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        let older_than = lancedb::table::Duration::try_seconds(seconds);
        let action = OptimizeAction::Prune {
            older_than,
            delete_unverified: Some(false),
            error_if_tagged_old_versions: Some(false),
        };
        table.optimize(action).await?;
        Ok(())
    }
}

/// Into how many bytes a vector is compressed for comparing: one for each 8 of its dimensions, twice what Lance takes. With one for
/// each 16, of the 20 nearest of a million vectors of words 19.1 were found among 400 that were compared again in full.
fn sub_vectors(model: &EmbeddingModel) -> Option<u32> {
    let dimensions = u32::try_from(model.dimensions).ok()?;
    dimensions.is_multiple_of(8).then_some(dimensions / 8)
}

async fn compact(table: &Table) -> Attempt<()> {
    let stats = table.stats().await?;
    if stats.fragment_stats.num_small_fragments <= MAX_SMALL_FRAGMENTS {
        return Ok(());
    }
    let options = CompactionOptions {
        target_rows_per_fragment: FRAGMENT_ROWS,
        ..CompactionOptions::default()
    };
    let action = OptimizeAction::Compact {
        options,
        remap_options: None,
    };
    table.optimize(action).await?;
    Ok(())
}
