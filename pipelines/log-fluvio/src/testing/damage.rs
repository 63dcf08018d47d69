//! What a kill at a bad moment leaves of a cluster's own files, and how an operator mends it (docs/fluvio.md).

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::TestCluster;

/// A controller empties a file before it writes it anew: where it dies in between, this is left.
const NOTHING: &[u8] = b"";

impl TestCluster {
    fn metadata(&self) -> PathBuf {
        self.directory.path().join("metadata")
    }

    fn copy_of_metadata(&self) -> PathBuf {
        self.directory.path().join("metadata.copy")
    }

    /// Copies the controller's metadata, as an operator should once the topics are there. The controller may be at work:
    /// a file that is empty at that moment is read again.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn copy_metadata(&self) -> io::Result<()> {
        for file in yaml_files(&self.metadata())? {
            let place = self.place_of_copy(&file);
            fs::create_dir_all(place.parent().unwrap_or(&place))?;
            let whole = loop {
                let text = fs::read(&file)?;
                if text != NOTHING {
                    break text;
                }
                std::thread::yield_now();
            };
            fs::write(place, whole)?;
        }
        Ok(())
    }

    /// Leaves the metadata of a partition, by its name on the cluster, as a controller does that dies while it writes it. For
    /// one that does not run.
    ///
    /// # Errors
    /// If the file is not there.
    pub fn damage_metadata(&self, partition: &str) -> io::Result<()> {
        let file = self.metadata().join(format!("Partition/{partition}.yaml"));
        fs::metadata(&file)?;
        fs::write(file, NOTHING)
    }

    /// The metadata files that a killed controller left empty, by kind and name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn damaged_metadata(&self) -> io::Result<Vec<String>> {
        let metadata = self.metadata();
        let mut damaged = Vec::new();
        for file in yaml_files(&metadata)? {
            if fs::read(&file)? == NOTHING {
                let within = file.strip_prefix(&metadata).unwrap_or(&file);
                damaged.push(within.to_string_lossy().into_owned());
            }
        }
        Ok(damaged)
    }

    /// Puts the copy of a metadata file in its place; a controller that does not get on reads it within ten seconds.
    /// **Never by deleting one**: SPUs then delete the data.
    ///
    /// # Errors
    /// If there is no copy, or it cannot be written.
    pub fn mend_metadata(&self, damaged: &str) -> io::Result<()> {
        let file = self.metadata().join(damaged);
        // Whole at every moment.
        let new = file.with_extension("new");
        fs::copy(self.copy_of_metadata().join(damaged), &new)?;
        fs::rename(new, file)
    }

    /// Sets back what an SPU that does not run wrote of how far a partition, by its name on the cluster, is committed. It writes
    /// that a moment after the records, so that a kill leaves it behind them.
    ///
    /// # Errors
    /// If the partition is not there.
    pub fn set_back_commit(&self, spu: usize, partition: &str, to: i64) -> io::Result<()> {
        let id = self.spus[spu].id;
        let folder = format!("spu-{id}/spu-logs-{id}/{partition}/replication.chk");
        let file = self.directory.path().join(folder);
        fs::metadata(&file)?;
        fs::write(file, to.to_be_bytes())
    }

    fn place_of_copy(&self, file: &Path) -> PathBuf {
        let metadata = self.metadata();
        let within = file.strip_prefix(&metadata).unwrap_or(file);
        self.copy_of_metadata().join(within)
    }
}

/// Every metadata file, of every kind.
fn yaml_files(metadata: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for kind in fs::read_dir(metadata)? {
        for file in fs::read_dir(kind?.path())? {
            let file = file?.path();
            if file.extension() == Some(OsStr::new("yaml")) {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}
