//! The files that Arroyo gets are those of the sources.

use std::{env, fs, path::Path};

use telesift_udfs::UDFS;

#[test]
fn the_files_are_those_of_the_sources() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for udf in UDFS {
        let path = here.join("bundled").join(format!("{}.rs", udf.name));
        let fresh = udf.bundle(&here.join("../../text")).unwrap();
        if env::var_os("TELESIFT_BLESS").is_some() {
            fs::write(&path, &fresh).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == fresh,
            "bundled/{}.rs is stale: run this test with TELESIFT_BLESS=1, or `cargo run --bin bundle`, and commit it",
            udf.name
        );
    }
}

#[test]
fn a_file_names_its_dependencies_as_arroyo_reads_them() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for udf in UDFS {
        let file = udf.bundle(&here.join("../../text")).unwrap();
        let (header, source) = file.split_once("*/").unwrap();
        assert!(header.starts_with("/*\n[dependencies]\n"));
        assert!(header.contains("chrono = \"=0.4.39\""), "{header}");
        assert!(
            !header.contains("path") && !header.contains("arroyo"),
            "{header}"
        );
        assert_eq!(source.matches("#[udf]").count(), 1);
        assert!(!source.contains("include_str!") && !source.contains("#[cfg(test)]"));
    }
}
