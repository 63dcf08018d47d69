//! Speed of normalize + signal-score, through the engine on one core and natively, as a table.
//!
//! Seconds are those of the one thread that works, as the system counts them, so that what else a machine does does not
//! show; where it does not count them, they are the clock's.

#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::{
    hint::black_box,
    sync::LazyLock,
    time::{Duration, Instant},
};

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_ports::{SmartModuleChain, chain::ChainInput};
use telesift_schemas::Offset;
use telesift_signal_score::{Rules, score_record};

#[path = "support/corpus.rs"]
mod corpus;

/// Long enough for a steady figure on a shared machine.
const MEASURE_FOR: Duration = Duration::from_secs(2);

fn main() {
    println!("| records | bytes each | path | batch | messages/s, one core | asked |");
    println!("|---|---|---|---|---|---|");
    let corpora = [
        ("exports", corpus::exports(), 40_000),
        ("posts", corpus::posts(), 10_000),
    ];
    for (name, raws, asked) in corpora {
        match raws {
            Some(raws) => measure(name, &raws, asked),
            None => measure("synthetic", &corpus::own(), asked),
        }
    }
    for module in telesift_bundle::ALL {
        println!("{}: {} kB of wasm", module.name, module.wasm.len() / 1000);
    }
}

fn measure(name: &str, raws: &[Vec<u8>], asked: u32) {
    let n_bytes = raws.iter().map(Vec::len).sum::<usize>() / raws.len();
    let line = |path: &str, batch: &str, rate: f64, asked: &str| {
        println!("| {name} | {n_bytes} | {path} | {batch} | {rate:.0} | {asked} |");
    };
    let rules = Rules::default();
    let mut normalized = Vec::new();
    line(
        "normalize, native",
        "-",
        rate(raws, |raw| {
            normalized.clear();
            telesift_normalize::normalize_into(black_box(raw), &mut normalized);
        }),
        "",
    );
    line(
        "both, native",
        "-",
        rate(raws, |raw| {
            normalized.clear();
            telesift_normalize::normalize_into(black_box(raw), &mut normalized);
            black_box(score_record(&normalized, &rules));
        }),
        "",
    );
    for modules in [&["normalize"][..], &["normalize", "signal-score"]] {
        for batch in [1, 100, 1000] {
            let path = format!("{}, engine", modules.join(" + "));
            let is_asked = modules.len() == 2 && batch == 100;
            let asked = if is_asked {
                asked.to_string()
            } else {
                String::new()
            };
            let rate = engine_rate(raws, modules, batch);
            line(&path, &batch.to_string(), rate, &asked);
        }
    }
}

/// Calls per second of `f` over the records, again and again.
fn rate(raws: &[Vec<u8>], mut f: impl FnMut(&[u8])) -> f64 {
    let (start, mut n) = (worked(), 0);
    while worked() - start < MEASURE_FOR {
        raws.iter().for_each(|raw| f(raw));
        n += raws.len();
    }
    n as f64 / (worked() - start).as_secs_f64()
}

fn engine_rate(raws: &[Vec<u8>], modules: &[&str], batch: usize) -> f64 {
    let module = |name: &&str| {
        let module = telesift_bundle::find(name).expect("a module of this tree");
        ModuleSpec::new(module.name, module.wasm)
    };
    let spec = ChainSpec::new(modules.iter().map(module).collect());
    let mut chain = EngineChain::new(spec).expect("the modules of this tree build");
    let input = |(i, raw): (usize, &Vec<u8>)| ChainInput {
        offset: Offset(i as u64),
        key: b"-1001712691810".as_slice().into(),
        value: raw.clone().into(),
    };
    let inputs: Vec<ChainInput> = raws.iter().enumerate().map(input).collect();
    let (start, mut n) = (worked(), 0);
    while worked() - start < MEASURE_FOR {
        for inputs in inputs.chunks(batch) {
            black_box(chain.process(inputs).expect("the chain holds"));
        }
        n += inputs.len();
    }
    n as f64 / (worked() - start).as_secs_f64()
}

/// How long this thread has been working.
fn worked() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = counted.and_then(|c| c.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}
