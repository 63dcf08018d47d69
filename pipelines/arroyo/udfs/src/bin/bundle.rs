//! Writes the files of `bundled/` anew.

use std::{fs, io, path::Path};

use telesift_udfs::UDFS;

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for udf in UDFS {
        let file = here.join("bundled").join(format!("{}.rs", udf.name));
        fs::write(file, udf.bundle(&here.join("../../text"))?)?;
    }
    Ok(())
}
