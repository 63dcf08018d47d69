//! A reader of the live messages, through switches under load: every raw record that became a message once, in order.

use std::collections::BTreeMap;

use telesift_ports::{
    Generations, RecordLog, Replays,
    generations::{messages_of, moved},
    record_log::ReadLimits,
};
use telesift_schemas::{Generation, Message, Offset, PartitionId};

use super::STRICT;
use crate::works::{N_PARTITIONS, Process, Works, until};

/// A client that holds a cursor, and follows its generation as a tail does.
struct Reader {
    generation: Generation,
    next: BTreeMap<PartitionId, Offset>,
    /// Origins received, per partition.
    received: BTreeMap<PartitionId, Vec<u64>>,
    n_switches: usize,
}

impl Reader {
    fn new() -> Self {
        let partitions = (0..N_PARTITIONS).map(PartitionId);
        Reader {
            generation: Generation::FIRST,
            next: partitions.map(|p| (p, Offset::ZERO)).collect(),
            received: BTreeMap::new(),
            n_switches: 0,
        }
    }

    /// Moves on to the live generation if another is, once that has come as far; then reads at most `n` records of each
    /// partition.
    async fn read(&mut self, works: &Works, generations: &Generations, n: usize) {
        let live = generations.refresh().await.unwrap().live_parts().messages;
        if live != self.generation {
            let mut next = BTreeMap::new();
            for (partition, place) in &self.next {
                let to = (self.generation, live);
                match moved(&*works.log, to, *partition, *place).await.unwrap() {
                    Some(place) => next.insert(*partition, place),
                    None => return,
                };
            }
            (self.generation, self.next) = (live, next);
            self.n_switches += 1;
        }
        for (partition, next) in &mut self.next {
            let at = messages_of(self.generation, *partition);
            let limits = ReadLimits {
                max_records: n,
                ..ReadLimits::default()
            };
            let batch = works.log.read(&at, *next, limits).await.unwrap();
            for record in batch.records {
                let message: Message = serde_json::from_slice(&record.value).unwrap();
                let origin = message.origin.unwrap().offset.0;
                self.received.entry(*partition).or_default().push(origin);
            }
            *next = batch.next;
        }
    }
}

/// A small generator of numbers that look random: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn through_switches(seed: u64) {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..20).await;
    process.until_idle().await;
    let done = process.replay(&works, Process::request(Some(STRICT))).await;
    let mut dice = Dice(seed);
    let mut readers = [Reader::new(), Reader::new()];
    let mut n = 20;
    for _ in 0..120 {
        match dice.roll(8) {
            0 | 1 => {
                let more = 1 + dice.roll(9) as i64;
                works.append_many(n..n + more).await;
                n += more;
            }
            2 => drop(process.runner.switch(&done.id).await.unwrap()),
            3 => match process.runner.switch_back(&done.id).await {
                Ok(_) => {}
                // Not switched to yet.
                Err(refused) => assert!(refused.to_string().contains("generation 2"), "{refused}"),
            },
            roll => {
                let reader = &mut readers[(roll % 2) as usize];
                let some = 1 + dice.roll(5) as usize;
                reader.read(&works, &process.generations, some).await;
            }
        }
        tokio::task::yield_now().await;
    }
    process.until_idle().await;
    let expected: BTreeMap<PartitionId, Vec<u64>> = works
        .messages(Generation::FIRST)
        .await
        .into_iter()
        .map(|m| m.origin.unwrap())
        .fold(BTreeMap::new(), |mut all, origin| {
            all.entry(origin.partition)
                .or_insert_with(Vec::new)
                .push(origin.offset.0);
            all
        });
    for reader in &mut readers {
        let cell = tokio::sync::Mutex::new(reader);
        until(async || {
            let mut reader = cell.lock().await;
            reader.read(&works, &process.generations, 100).await;
            let count = |all: &BTreeMap<_, Vec<u64>>| all.values().map(Vec::len).sum::<usize>();
            (count(&reader.received) >= count(&expected)).then_some(())
        })
        .await;
        let reader = cell.into_inner();
        assert_eq!(reader.received, expected, "seed {seed}");
    }
    assert!(readers.iter().any(|r| r.n_switches > 1), "seed {seed}");
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_loses_and_repeats_nothing() {
    for seed in 1..=12 {
        through_switches(seed).await;
    }
}
