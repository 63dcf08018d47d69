//! All questions over time windows: 1,000,000 messages through the stage into SQLite, then every question asked over them.
//!
//! `TELESIFT_BENCH_N=100000` for fewer. Reading and analysing records, looking up what is stored, and the commits are timed;
//! making the records is not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its table, and stops where it fails"
)]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use telesift_catalog::{CatalogConfig, Location, SqlCatalog};
use telesift_ports::{
    Catalog, SystemClock, WindowCatalog as _,
    memory::MemoryLog,
    record_log::{Batch, StoredRecord},
    windows::{SumsFilter, ToldFilter, ToldPosition},
};
use telesift_schemas::{ChatId, Offset, PartitionId, Timestamp, Topic, TopicPartition};
use telesift_stages::{
    consumer::{Input, Process as _},
    windows::Windows,
};
use telesift_windows::{
    Panes,
    bursts::{self, Hours, Terms},
    golden,
    trends::Trends,
};

const BATCH: usize = 5_000;
/// Four days: the golden input with its closing record.
const ROUND_S: i64 = 4 * 86_400;

#[tokio::main]
async fn main() {
    let n: usize = std::env::var("TELESIFT_BENCH_N")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("catalog.sqlite"));
    let catalog = Arc::new(
        SqlCatalog::open(CatalogConfig::new(location))
            .await
            .unwrap(),
    );
    let taken = fill(catalog.clone(), n).await;
    row("taken in", n, taken);

    let asked = Instant::now();
    let n_rows = ask(&catalog).await;
    row(
        &format!("asked, {n_rows} rows of answers"),
        n,
        asked.elapsed(),
    );
    row("together", n, taken + asked.elapsed());
}

fn row(what: &str, n: usize, took: Duration) {
    let per_s = n as f64 / took.as_secs_f64();
    println!(
        "{what:<36} {n:>9} messages {:>8.1} s {per_s:>9.0} messages/s",
        took.as_secs_f64()
    );
}

async fn fill(catalog: Arc<dyn Catalog>, n: usize) -> Duration {
    let at = TopicPartition::new(Topic::MESSAGES, PartitionId(0));
    let log = Arc::new(MemoryLog::new());
    let mut stage = Windows::new(log, catalog, Arc::new(SystemClock), at.clone());
    stage.positions().await.unwrap();
    let golden = golden::input();
    let (mut taken, mut made, mut round) = (Duration::ZERO, 0, 0);
    let mut records = Vec::with_capacity(BATCH);
    'rounds: loop {
        for arrival in &golden {
            records.push(record(&arrival.message, made as u64, round));
            made += 1;
            if records.len() == BATCH || made == n {
                let input = batch(&at, std::mem::take(&mut records));
                let started = Instant::now();
                stage.process(&[input]).await.unwrap();
                taken += started.elapsed();
            }
            if made == n {
                break 'rounds;
            }
        }
        round += 1;
    }
    taken
}

/// A golden message, so many rounds later.
fn record(message: &telesift_schemas::Message, offset: u64, round: i64) -> StoredRecord {
    let mut message = message.clone();
    let shifted = message.event_time.as_microsecond() + round * ROUND_S * 1_000_000;
    message.event_time = Timestamp::from_microsecond(shifted).unwrap();
    message.message_id += round * 1_000_000;
    message.id.message_id = message.message_id;
    StoredRecord {
        offset: Offset(offset),
        appended_at: message.event_time,
        key: Bytes::from(message.chat.id.to_string()),
        value: serde_json::to_vec(&message).unwrap().into(),
    }
}

fn batch(at: &TopicPartition, records: Vec<StoredRecord>) -> Input {
    let (from, next) = (records[0].offset, records[records.len() - 1].offset.next());
    Input {
        at: at.clone(),
        from,
        batch: Batch {
            records,
            gaps: Vec::new(),
            next,
            end: next,
        },
    }
}

/// Trends, bursts, silences and screening over everything there is; how many rows that gives.
async fn ask(catalog: &SqlCatalog) -> usize {
    let (mut trends, mut terms) = (Trends::default(), Terms::default());
    let filter = ToldFilter {
        without_noise: true,
        ..ToldFilter::default()
    };
    let mut after: Option<ToldPosition> = None;
    loop {
        let page = catalog
            .told_between(
                telesift_schemas::Generation::FIRST,
                &filter,
                after.as_ref(),
                BATCH,
            )
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(ToldPosition::from(last));
        for told in &page {
            trends.add(told);
            terms.add(told);
        }
    }
    let mut n = trends.rows(i64::MIN, i64::MAX).len() + terms.bursts(i64::MIN, i64::MAX).len();
    let per_minute = SumsFilter {
        width: Some(1),
        per_chat: true,
        ..SumsFilter::default()
    };
    let minutes = catalog
        .minute_sums(telesift_schemas::Generation::FIRST, &per_minute)
        .await
        .unwrap();
    n += minutes.len();
    let mut chats: BTreeMap<ChatId, (Panes, Hours)> = BTreeMap::new();
    for row in minutes {
        let (panes, hours) = chats.entry(row.chat.unwrap()).or_default();
        let messages = u64::try_from(row.sums.messages()).unwrap();
        panes.add(row.number.div_euclid(15), messages);
        hours.add(row.number, messages);
    }
    for (chat, (panes, hours)) in &chats {
        n += bursts::of_chat(*chat, panes, i64::MIN, i64::MAX).len();
        n += hours.silences(*chat, i64::MIN, i64::MAX).len();
    }
    n
}
