//! The golden input through the stage, stopped and repeated wherever one likes: the rows give the golden answers.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use telesift_ports::{
    Catalog, RecordLog, WindowCatalog as _, catalog,
    ledger::{StageKey, StageState},
    memory::{Fault, ManualClock, MemoryCatalog, MemoryLog},
    record_log::{NewRecord, ReadLimits, Transaction},
    windows::{SumsFilter, ToldFilter},
};
use telesift_schemas::{Generation, Offset, PartitionId, StoryAssigned, Topic, TopicPartition};
use telesift_stages::{
    consumer::{Input, Process},
    projection::Projector,
    windows::{self, Windows},
};
use telesift_windows::{
    Told,
    golden::{self, Arrival, Question},
    screen::stats,
};

use crate::flow::create_topics;

struct Flow {
    log: Arc<MemoryLog>,
    catalog: Arc<MemoryCatalog>,
    clock: Arc<ManualClock>,
}

fn messages() -> TopicPartition {
    TopicPartition::new(Topic::MESSAGES, PartitionId(0))
}

impl Flow {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let log = Arc::new(MemoryLog::with_clock(clock.clone()));
        create_topics(&log, |_| 1).await;
        Flow {
            log,
            catalog: Arc::new(MemoryCatalog::new()),
            clock,
        }
    }

    async fn append(&self, values: impl IntoIterator<Item = Vec<u8>>) {
        let record = |value: Vec<u8>| NewRecord {
            key: Bytes::from_static(b"-1"),
            value: value.into(),
            unique: Vec::new(),
        };
        let appends = values.into_iter().map(|value| (messages(), record(value)));
        let appends = Transaction::appends(appends.collect());
        self.log.commit(appends).await.unwrap();
    }

    fn stage(&self) -> Projector<Windows> {
        let catalog: Arc<dyn Catalog> = self.catalog.clone();
        Windows::new(self.log.clone(), catalog, self.clock.clone(), messages())
    }

    async fn read(&self, from: Offset, n: usize) -> Option<Input> {
        let limits = ReadLimits {
            max_records: n,
            ..ReadLimits::default()
        };
        let batch = self.log.read(&messages(), from, limits).await.unwrap();
        (batch.next > from).then(|| Input {
            at: messages(),
            from,
            batch,
        })
    }

    async fn state(&self) -> StageState {
        let key = StageKey {
            stage: windows::STAGE.into(),
            input: messages(),
        };
        self.catalog
            .stage_state(&key)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    /// Takes everything in, in batches of a few sizes; a new owner begins every third one from where the catalog is.
    async fn take_all(&self) {
        let mut stage = self.stage();
        let mut next = stage.positions().await.unwrap()[0];
        let sizes = [1, 700, 3, 2_000, 64];
        for (i, size) in sizes.iter().cycle().enumerate() {
            let Some(input) = self.read(next, *size).await else {
                return;
            };
            stage.process(std::slice::from_ref(&input)).await.unwrap();
            // Delivered again, and nothing comes of it.
            stage.process(std::slice::from_ref(&input)).await.unwrap();
            next = stage.taken(&input);
            if i % 3 == 0 {
                stage = self.stage();
                next = stage.positions().await.unwrap()[0];
            }
        }
    }

    /// The rows of every message, and those of `screen-stats` from the sums.
    async fn rows(&self) -> (Vec<Told>, Vec<String>) {
        let all = ToldFilter::default();
        let told = self
            .catalog
            .told_between(Generation::FIRST, &all, None, usize::MAX)
            .await
            .unwrap();
        let filter = SumsFilter {
            width: Some(1),
            per_chat: true,
            to: Some(golden::CLOSING_S / 60),
            ..SumsFilter::default()
        };
        let sums = self
            .catalog
            .minute_sums(Generation::FIRST, &filter)
            .await
            .unwrap();
        let rows = sums
            .iter()
            .filter_map(|row| stats(row.chat?, row.number, &row.sums));
        (told, golden::lines(&rows.collect::<Vec<_>>()))
    }
}

fn records<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>) -> Vec<Vec<u8>> {
    let arrivals = arrivals.into_iter();
    arrivals
        .map(|a| serde_json::to_vec(&a.message).unwrap())
        .collect()
}

/// What lies in `pipelines/windows/golden`.
fn kept(question: Question) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../windows/golden");
    let text = std::fs::read_to_string(format!("{folder}/{}.tsv", question.topic())).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_rows_give_the_golden_answers_wherever_the_stage_stops() {
    let input = golden::input();
    let in_time: Vec<&Arrival> = input.iter().filter(|a| !a.is_late).collect();
    let flow = Flow::new().await;
    flow.append(records(in_time.iter().copied())).await;
    flow.take_all().await;
    let (told, stats) = flow.rows().await;
    assert!(stats == kept(Question::ScreenStats));
    let stories: Vec<StoryAssigned> = in_time.iter().flat_map(|a| a.stories.clone()).collect();
    let answers = golden::answers(told, &stories, golden::closed_until());
    for question in Question::ALL {
        assert!(answers.lines(question) == kept(question), "{question:?}");
    }
    let state = flow.state().await;
    assert_eq!(state.counters.emitted, in_time.len() as u64);

    // What comes late counts where it belongs; an edit replaces, a deletion takes away.
    flow.append(records(input.iter().filter(|a| a.is_late)))
        .await;
    flow.take_all().await;
    let whole = Flow::new().await;
    whole.append(records(&input)).await;
    whole.take_all().await;
    let (found, expected) = (flow.rows().await, whole.rows().await);
    assert!(found.1 == expected.1, "sums");
    let shown =
        |told: &[Told]| -> HashMap<_, _> { told.iter().map(|t| (t.key, t.said.clone())).collect() };
    assert!(shown(&found.0) == shown(&expected.0), "rows");

    // The whole topic once more.
    flow.append(records(&input)).await;
    flow.take_all().await;
    assert!(flow.rows().await.1 == expected.1, "replayed");
    let state = flow.state().await;
    assert_eq!(state.counters.skipped["older"], input.len() as u64);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let input = golden::input();
    let flow = Flow::new().await;
    flow.append(records(&input[..500])).await;
    let mut stage = flow.stage();
    stage.positions().await.unwrap();
    let first = flow.read(Offset::ZERO, 500).await.unwrap();
    let lost = catalog::Error::Unavailable("no answer".into());
    flow.catalog.commits.extend([Fault::Lose(lost)]);
    let error = stage
        .process(std::slice::from_ref(&first))
        .await
        .unwrap_err();
    assert!(error.is_retryable());
    stage.process(std::slice::from_ref(&first)).await.unwrap();
    let (told, _) = flow.rows().await;
    assert_eq!(told.len(), 500);
    let all = flow
        .catalog
        .minute_sums(Generation::FIRST, &SumsFilter::default())
        .await
        .unwrap();
    assert_eq!(all[0].sums.messages(), 500);
}

#[tokio::test]
async fn what_is_no_message_becomes_a_dead_letter() {
    let flow = Flow::new().await;
    let mut values = records(&golden::input()[..2]);
    values.insert(1, b"{\"v\":1}".to_vec());
    flow.append(values).await;
    flow.take_all().await;
    let counters = flow.state().await.counters;
    assert_eq!(
        (counters.received, counters.emitted, counters.dead_lettered),
        (3, 2, 1)
    );
    let letters = TopicPartition::new(Topic::DEAD_LETTERS, PartitionId(0));
    assert_eq!(flow.log.bounds(&letters).await.unwrap().end, Offset(1));
}
