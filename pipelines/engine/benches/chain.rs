//! Speed of normalize + signal-score, through the engine on one core and natively, as a table.
//!
//! Targets: 40,000 messages/s through the engine on exports, 10,000/s on posts.

#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_ports::{SmartModuleChain, chain::ChainInput};
use telesift_schemas::Offset;
use telesift_signal_score::{Rules, score_record};

#[path = "support/corpus.rs"]
mod corpus;

/// Long enough for a steady figure on a shared machine.
const MEASURE_FOR: Duration = Duration::from_secs(3);

fn main() {
    println!("| records | bytes each | path | batch | messages/s |");
    println!("|---|---|---|---|---|");
    for (name, raws) in [("exports", corpus::exports()), ("posts", corpus::posts())] {
        if let Some(raws) = raws {
            measure(name, &raws);
        }
    }
    for module in telesift_bundle::ALL {
        println!("{}: {} kB of wasm", module.name, module.wasm.len() / 1000);
    }
}

fn measure(name: &str, raws: &[Vec<u8>]) {
    let n_bytes = raws.iter().map(Vec::len).sum::<usize>() / raws.len();
    let line = |path: &str, batch: &str, rate: f64| {
        println!("| {name} | {n_bytes} | {path} | {batch} | {rate:.0} |");
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
    );
    line(
        "both, native",
        "-",
        rate(raws, |raw| {
            normalized.clear();
            telesift_normalize::normalize_into(black_box(raw), &mut normalized);
            black_box(score_record(&normalized, &rules));
        }),
    );
    for modules in [&["normalize"][..], &["normalize", "signal-score"]] {
        for batch in [1, 100, 1000] {
            let path = format!("{}, engine", modules.join(" + "));
            line(&path, &batch.to_string(), engine_rate(raws, modules, batch));
        }
    }
}

/// Calls per second of `f` over the records, again and again.
fn rate(raws: &[Vec<u8>], mut f: impl FnMut(&[u8])) -> f64 {
    let (start, mut n) = (Instant::now(), 0);
    while start.elapsed() < MEASURE_FOR {
        raws.iter().for_each(|raw| f(raw));
        n += raws.len();
    }
    n as f64 / start.elapsed().as_secs_f64()
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
    let (start, mut n) = (Instant::now(), 0);
    while start.elapsed() < MEASURE_FOR {
        for inputs in inputs.chunks(batch) {
            black_box(chain.process(inputs).expect("the chain holds"));
        }
        n += inputs.len();
    }
    n as f64 / start.elapsed().as_secs_f64()
}
