//! Own raw records of every shape, and what becomes of them.

use std::fs;

use telesift_normalize::normalize;

#[test]
fn fixtures_give_the_messages_written_down() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 30);
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let raw = fs::read(&path).unwrap();
        let normalized = normalize(&raw).unwrap_or_else(|e| panic!("{name}: {e}"));
        insta::with_settings!({description => name.as_str()}, {
            insta::assert_json_snapshot!(name.as_str(), normalized);
        });
    }
}
