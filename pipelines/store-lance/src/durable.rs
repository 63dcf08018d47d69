//! On a local disk Lance leaves its files in the page cache. Positions are fsynced, so what they stand for must be too:
//! after each commit the new files, and the folders that name them, are synced.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::error::{Attempt, Fault};

/// File systems keep times coarser than the clock.
const COARSENESS: Duration = Duration::from_secs(2);

/// Syncs what was written below `table` since `since`. Files written before were synced then.
pub(crate) async fn sync_since(table: PathBuf, since: SystemTime) -> Attempt<()> {
    let since = since.checked_sub(COARSENESS).unwrap_or(since);
    let synced = tokio::task::spawn_blocking(move || sync_folder(&table, since)).await;
    match synced {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fault::Unavailable(format!("cannot sync: {error}"))),
        Err(_) => Err(Fault::Unavailable("cannot sync: cancelled".to_owned())),
    }
}

fn sync_folder(folder: &Path, since: SystemTime) -> io::Result<()> {
    let mut changed = fs::metadata(folder)?.modified()? >= since;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may be pruned while we look.
        let metadata = match entry.metadata() {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if metadata.is_dir() {
            sync_folder(&entry.path(), since)?;
        } else if metadata.modified()? >= since {
            changed = true;
            match File::open(entry.path()) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                file => file?.sync_all()?,
            }
        }
    }
    if changed {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Where Lance keeps a table of a local store.
pub(crate) fn table_folder(store: &Path, table: &str) -> PathBuf {
    store.join(format!("{table}.lance"))
}
