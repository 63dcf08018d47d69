//! How fast the store takes messages in and finds them: `TELESIFT_BENCH_N` messages (100,000), made up, with vectors of
//! 384 floats. Prints one table.

#![expect(clippy::print_stdout, reason = "the table is the output")]

use std::time::{Duration, Instant};

use telesift_ports::{
    contract::message_store::fixtures::{Dice, message, text_request},
    embedder::EmbeddingModel,
    message_store::{IndexedMessage, MessageFilter, MessageStore, SearchMode, SearchRequest},
};
use telesift_store_lance::{LanceStore, LanceStoreConfig};

const BATCH: u64 = 5_000;
const DIMENSIONS: usize = 384;
/// Words per message; about 300 characters.
const WORDS: u64 = 45;
/// A vocabulary with the long tail of a language.
const VOCABULARY: u64 = 60_000;
const QUERIES: u64 = 100;

fn word(dice: &mut Dice) -> String {
    // Squaring twice makes low numbers frequent, as in Zipf's law.
    let x = dice.below(1 << 20) as f64 / (1 << 20) as f64;
    let rank = (x.powi(4) * VOCABULARY as f64) as u64;
    const SYLLABLES: [&str; 16] = [
        "ка", "ро", "ми", "та", "ве", "лу", "сно", "при", "за", "be", "lo", "tri", "ste", "мор",
        "дня", "gar",
    ];
    let mut word = String::new();
    let mut rest = rank + 17;
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 16) as usize]);
        rest /= 16;
    }
    word
}

fn text(dice: &mut Dice, n: u64) -> String {
    let words: Vec<String> = (0..n).map(|_| word(dice)).collect();
    words.join(" ")
}

/// A vector near one of 200 centres, so that there is something to find.
fn vector(dice: &mut Dice) -> Vec<f32> {
    let mut centre = Dice(dice.below(200) * 7919 + 1);
    let mut vector: Vec<f32> = (0..DIMENSIONS)
        .map(|_| {
            let far = centre.below(2_000) as f32 / 1_000.0 - 1.0;
            let near = dice.below(2_000) as f32 / 1_000.0 - 1.0;
            far + 0.6 * near
        })
        .collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

fn batch(dice: &mut Dice, first: u64, n: u64) -> Vec<IndexedMessage> {
    (first..first + n)
        .map(|id| {
            let chat = dice.below(200) as i64 + 1;
            let mut message = message(chat, id as i64, &text(dice, WORDS));
            message.lang = dice.pick(&["uk", "ru", "en"]).to_owned();
            IndexedMessage {
                message,
                vector: Some(vector(dice)),
            }
        })
        .collect()
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    let kb = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

fn rate(n: u64, time: Duration) -> String {
    format!(
        "{:.0}/s in {:.1} s",
        n as f64 / time.as_secs_f64(),
        time.as_secs_f64()
    )
}

/// The p50 and p95 of `QUERIES` runs after a few to warm up.
async fn latency(mut run: impl AsyncFnMut(&mut Dice)) -> String {
    let mut dice = Dice(99);
    let mut times = Vec::new();
    for i in 0..QUERIES + 10 {
        let started = Instant::now();
        run(&mut dice).await;
        if i >= 10 {
            times.push(started.elapsed());
        }
    }
    times.sort();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p95 {:.1} ms", at(50), at(95))
}

async fn search(store: &LanceStore, dice: &mut Dice, mode: SearchMode, limit: usize) {
    let query = text(dice, 3);
    let request = SearchRequest {
        vector: Some(vector(dice)),
        mode,
        ..text_request(&query, limit)
    };
    store.search(&request).await.expect("an answer");
}

async fn latencies(store: &LanceStore, state: &str) {
    let modes = [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid];
    for mode in modes {
        let line = latency(async |dice| search(store, dice, mode, 50).await).await;
        println!("| {mode:?} search, {state} | {line} |");
    }
    let line = latency(async |dice| {
        let chat = telesift_ports::contract::message_store::fixtures::chat;
        let filter = MessageFilter {
            chats: vec![chat(dice.below(200) as i64 + 1)],
            ..MessageFilter::default()
        };
        store.list(&filter, None, 50).await.expect("an answer");
    });
    println!("| list of one chat, {state} | {} |", line.await);
    let line = latency(async |_| {
        let all = MessageFilter::default();
        store.list(&all, None, 50).await.expect("an answer");
    });
    println!("| list of all, {state} | {} |", line.await);
}

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too, to see that they start.
    let n: u64 = match std::env::var("TELESIFT_BENCH_N") {
        Ok(n) => n.parse().expect("TELESIFT_BENCH_N is a number"),
        Err(_) if std::env::args().any(|a| a == "--bench") => 100_000,
        Err(_) => 2_000,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let model = EmbeddingModel {
        id: "bench@1".to_owned(),
        dimensions: DIMENSIONS,
    };
    let uri = folder.path().to_str().expect("a path");
    let mut config = LanceStoreConfig::new(uri, Some(model));
    config.max_unindexed_rows = 0;
    let indexed_at_the_end = std::env::var("TELESIFT_BENCH_INDEX").is_ok_and(|v| v == "end");
    config.min_vectors_for_index = usize::MAX;
    let store = LanceStore::open(config.clone()).await.expect("it opens");
    println!("| {n} messages of {WORDS} words, {DIMENSIONS} floats | |\n|---|---|");

    let mut dice = Dice(1);
    let (mut writing, mut indexing, mut slowest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut first = 1;
    while first <= n {
        let made = batch(&mut dice, first, BATCH.min(n - first + 1));
        first += made.len() as u64;
        let started = Instant::now();
        store.apply(made).await.expect("stored");
        slowest = slowest.max(started.elapsed());
        writing += started.elapsed();
        if !indexed_at_the_end && (first - 1) % (20 * BATCH) == 0 {
            let started = Instant::now();
            store.maintain().await.expect("maintained");
            indexing += started.elapsed();
        }
    }
    println!("| to searchable, unindexed tail | {} |", rate(n, writing));
    println!(
        "| slowest batch of {BATCH} | {:.2} s |",
        slowest.as_secs_f64()
    );
    let started = Instant::now();
    store.maintain().await.expect("maintained");
    indexing += started.elapsed();
    println!(
        "| with covering text index | {} |",
        rate(n, writing + indexing)
    );
    println!("| resident after ingest | {} MB |", resident_mb());
    latencies(&store, "no vector index").await;
    drop(store);

    config.min_vectors_for_index = 1_000;
    let started = Instant::now();
    let store = LanceStore::open(config).await.expect("it opens");
    println!(
        "| opening | {:.0} ms |",
        started.elapsed().as_secs_f64() * 1e3
    );
    let started = Instant::now();
    store.maintain().await.expect("maintained");
    println!("| vector index | {} |", rate(n, started.elapsed()));
    println!("| resident after vector index | {} MB |", resident_mb());
    latencies(&store, "indexed").await;
    let known = batch(&mut Dice(1), 1, BATCH.min(n));
    let n_known = known.len() as u64;
    let started = Instant::now();
    store.apply(known).await.expect("stored");
    println!(
        "| the same batch again | {} |",
        rate(n_known, started.elapsed())
    );
    println!("| resident at the end | {} MB |", resident_mb());
}
