//! Raw records: our own, and real ones where they are there.

#[path = "../../benches/support/corpus.rs"]
mod corpus;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) use corpus::{exports, own, posts};

/// Raw records of bots, of every kind: those that `normalize` is tested with, and updates from beside the checkout.
pub(crate) fn updates() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut raws: Vec<Vec<u8>> = files(&root.join("../../smartmodules/normalize/tests/fixtures"))
        .iter()
        .map(|file| fs::read(file).unwrap())
        .collect();
    let shared = root.join("../../../shared/data/updates");
    if !shared.is_dir() {
        eprintln!("SKIPPED: {} is not there", shared.display());
    }
    for (i, file) in files(&shared).iter().enumerate() {
        let payload = fs::read_to_string(file).unwrap();
        let source = r#"{"kind":"webhook","bot":"b"}"#;
        let raw = format!(
            r#"{{"v":1,"source":{source},"chat":null,"received":{i},"part":0,"payload":{payload}}}"#
        );
        raws.push(raw.into_bytes());
    }
    raws
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(self::files(&path)),
            path => files.push(path),
        }
    }
    files.sort();
    files
}
