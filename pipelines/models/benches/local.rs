//! Speed of a local model, as a table; `pytorch.py` beside it measures the same model and texts in PyTorch.
//!
//! Seconds are those of the clock and of all threads of the process, as the system counts them: the second do not show what
//! else a machine does.

#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should stop where it fails"
)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use telesift_models::LocalEmbedder;
use telesift_ports::embedder::Purpose;

/// Long enough for a steady figure on a shared machine.
const MEASURE_FOR: Duration = Duration::from_secs(5);
/// Texts embedded at once, as the stage does.
const PORTION: usize = 256;

fn main() {
    let Some(model) = std::env::var_os("TELESIFT_TEST_MODEL").map(PathBuf::from) else {
        println!("skipped: TELESIFT_TEST_MODEL names no folder with a model");
        return;
    };
    let embedder = LocalEmbedder::load(&model, None).unwrap();
    println!("| texts | characters each | messages/s | messages per second of CPU |");
    println!("|---|---|---|---|");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixture = read(&here.join("tests/fixtures/all-minilm-l6-v2.json"));
    let sample = read(&here.join("../telesift/sample/export.json"));
    let short = sample["chats"]["list"].as_array().unwrap().iter();
    let short = short.flat_map(|chat| chat["messages"].as_array().unwrap());
    let short = short.filter_map(|m| m["text"].as_str());
    measure(&embedder, "short: the sample's messages", short);
    let mixed = fixture["texts"].as_array().unwrap().iter();
    measure(
        &embedder,
        "mixed: posts and messages",
        mixed.filter_map(Value::as_str),
    );
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn measure<'a>(embedder: &LocalEmbedder, name: &str, texts: impl Iterator<Item = &'a str>) {
    let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
    let n_chars: usize = texts.iter().map(|text| text.chars().count()).sum();
    embedder.vectors(&texts, Purpose::Passage).unwrap(); // warm
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut n = 0;
    while started.elapsed() < MEASURE_FOR {
        for portion in texts.chunks(PORTION) {
            embedder.vectors(portion, Purpose::Passage).unwrap();
            n += portion.len();
        }
    }
    let rate = n as f64 / started.elapsed().as_secs_f64();
    let per_cpu = match (cpu, cpu_seconds()) {
        (Some(before), Some(after)) => format!("{:.0}", n as f64 / (after - before)),
        _ => "not counted here".to_owned(),
    };
    println!(
        "| {name} | {} | {rate:.0} | {per_cpu} |",
        n_chars / texts.len()
    );
}

/// Seconds all threads of this process have worked; absent where the system does not tell.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: Vec<f64> = fields
        .skip(11)
        .take(2)
        .filter_map(|f| f.parse().ok())
        .collect();
    // A tick is a hundredth of a second on every Linux there is.
    (ticks.len() == 2).then(|| (ticks[0] + ticks[1]) / 100.0)
}
