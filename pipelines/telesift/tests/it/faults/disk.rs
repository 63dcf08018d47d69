//! A small disk of a test's own, where the machine permits it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A file system in memory, unmounted with the test.
pub(super) struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// One of `n_mib`; `None`, said aloud, where mounting is not permitted.
    pub(super) fn new(n_mib: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={n_mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk { dir }),
            refused => {
                let why = match refused {
                    Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                    Err(error) => error.to_string(),
                };
                eprintln!("skipped: a small disk cannot be mounted here ({why})");
                None
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn remount(&self, how: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(self.path())
            .status();
        assert!(status.unwrap().success(), "remount {how}");
    }

    /// Writes a file that leaves about `n_free` bytes; its path.
    pub(super) fn fill_up_to(&self, n_free: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        let block = vec![0u8; 1 << 20];
        while self.n_free() > n_free {
            file.write_all(&block).unwrap();
        }
        path
    }

    fn n_free(&self) -> u64 {
        let output = Command::new("df")
            .args(["--output=avail", "-B1"])
            .arg(self.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone_at_reboot_if_err = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
