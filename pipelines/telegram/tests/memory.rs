//! A large export is read in constant memory. Alone in its process: the measure is the resident memory of all of it.

use std::{
    fs,
    io::{BufWriter, Write as _},
    ops::ControlFlow,
};

use telesift_ports::{ExportReader as _, imports::ImportRequest};
use telesift_telegram::DesktopExport;

const N_ENTRIES: u64 = 60_000;
const MAX_GROWTH_KIB: u64 = 8 * 1024;

/// Resident memory of this process; `None` where the system does not say.
fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn memory_stays_constant_however_large_the_export() {
    let Some(before) = resident_kib() else {
        eprintln!("skipped: no /proc/self/status to measure memory by");
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut out = BufWriter::new(&file);
    write!(
        out,
        r#"{{"name": "Big", "type": "private_channel", "id": 5, "messages": ["#
    )
    .unwrap();
    let text = "Довге повідомлення про каву. ".repeat(8);
    for id in 1..=N_ENTRIES {
        let comma = if id == 1 { "" } else { ",\n" };
        write!(
            out,
            r#"{comma}{{"id": {id}, "date": "2026-01-05T12:00:00", "text": "{text}"}}"#
        )
        .unwrap();
    }
    out.write_all(b"]}").unwrap();
    out.flush().unwrap();
    drop(out);
    let size_kib = file.path().metadata().unwrap().len() / 1024;
    assert!(size_kib > 3 * MAX_GROWTH_KIB, "{size_kib} KiB show nothing");

    let request = ImportRequest {
        name: "result.json".to_owned(),
        chats: Vec::new(),
        tz: "Europe/Kyiv".to_owned(),
        file: file.path().to_owned(),
    };
    assert_eq!(
        DesktopExport.validate(&request).unwrap().n_entries,
        N_ENTRIES
    );
    let (mut n_read, mut most) = (0, before);
    DesktopExport
        .read("import-1", &request, 0, &mut |_, _| {
            n_read += 1;
            if n_read % 5_000 == 0 {
                most = most.max(resident_kib().unwrap_or(u64::MAX));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(n_read, N_ENTRIES);
    let growth = most.saturating_sub(before);
    eprintln!("{size_kib} KiB read with {growth} KiB more memory");
    assert!(
        growth < MAX_GROWTH_KIB,
        "{growth} KiB more memory for {size_kib} KiB"
    );
}
