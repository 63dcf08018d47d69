//! The guest: `init` chooses what goes wrong, and on which text.

use std::sync::OnceLock;

use telesift_guest::{BatchWriter, Params, RecordRef};

telesift_guest::init!(init);
telesift_guest::filter_map!(pass_or_fail);

#[derive(Clone, Copy)]
enum Mode {
    Panic,
    Error,
    Hang,
    Memory,
    Leak,
    Drop,
    Twice,
}

struct Settings {
    mode: Mode,
    marker: String,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

fn init(params: &Params) -> Result<(), String> {
    let mode = match params.get("mode").map(String::as_str) {
        Some("panic") => Mode::Panic,
        Some("error") => Mode::Error,
        Some("hang") => Mode::Hang,
        Some("memory") => Mode::Memory,
        Some("leak") => Mode::Leak,
        Some("drop") => Mode::Drop,
        Some("twice") => Mode::Twice,
        other => {
            return Err(format!(
                "param `mode` must be one of panic, error, hang, memory, leak, drop, twice; it is {other:?}"
            ));
        }
    };
    let marker = params
        .get("marker")
        .map_or("misbehave", String::as_str)
        .to_owned();
    // A second call would come from a host that initialises twice; the first settings stay.
    let _ = SETTINGS.set(Settings { mode, marker });
    Ok(())
}

fn pass_or_fail(record: RecordRef<'_>, out: &mut BatchWriter<'_>) -> Result<(), String> {
    let settings = SETTINGS.get().ok_or("init was not called")?;
    let marker = settings.marker.as_bytes();
    let marked = record
        .value
        .windows(marker.len().max(1))
        .any(|w| w == marker);
    if !marked {
        out.push(&record, record.value);
        return Ok(());
    }
    match settings.mode {
        Mode::Panic => panic!("asked to panic"),
        Mode::Error => return Err("asked to fail".into()),
        Mode::Hang => loop {
            std::hint::spin_loop();
        },
        Mode::Memory => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(vec![1; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        Mode::Leak => {
            std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
            out.push(&record, record.value);
        }
        Mode::Drop => {}
        Mode::Twice => {
            out.push(&record, record.value);
            out.push(&record, record.value);
        }
    }
    Ok(())
}
