//! The golden input through a real Arroyo: it gives the golden answers, like the binary's own windows.

use std::{env, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use telesift_log_fluvio::{FluvioLog, FluvioLogConfig};
use telesift_ports::{
    RecordLog,
    memory::MemoryState,
    record_log::{NewRecord, ReadLimits, Retention, TopicConfig, Transaction},
};
use telesift_schemas::{
    Burst, Offset, PartitionId, ScreenStats, StorySpread, Topic, TopicPartition, Trend,
};
use telesift_windows::golden::{self, Question};

use super::run;
use crate::server::json_lines;

/// Messages sent at once, and how long apart: Arroyo's watermark is the least of a batch, which 50 ms cut, so a batch must
/// not span much of the three days. A late message pulls it back until the next batch, which must not hold one too: they are
/// 178 messages apart.
const AT_ONCE: usize = 25;
const EVERY: Duration = Duration::from_millis(100);
/// How long Arroyo may take to compile, to start, and to write its answers.
const PATIENCE: Duration = Duration::from_secs(900);

fn kept(question: Question) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../windows/golden");
    let text = std::fs::read_to_string(format!("{folder}/{}.tsv", question.topic())).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn at(topic: Topic) -> TopicPartition {
    TopicPartition::new(topic, PartitionId(0))
}

const TOPICS: [Topic; 6] = [
    Topic::MESSAGES,
    Topic::STORIES,
    Topic::SCREEN_STATS,
    Topic::TRENDS,
    Topic::BURSTS,
    Topic::STORY_SPREAD,
];

async fn append(log: &FluvioLog, topic: Topic, values: Vec<Vec<u8>>) {
    let append = |value: Vec<u8>| {
        let record = NewRecord {
            key: Bytes::from_static(b"golden"),
            value: value.into(),
            unique: Vec::new(),
        };
        (at(topic.clone()), record)
    };
    let appends = values.into_iter().map(append).collect();
    log.commit(Transaction::appends(appends)).await.unwrap();
}

/// The lines of what a topic holds.
async fn answers<T: DeserializeOwned + Serialize>(log: &FluvioLog, topic: Topic) -> Vec<String> {
    let (mut rows, mut next): (Vec<T>, _) = (Vec::new(), Offset::ZERO);
    loop {
        let batch = log
            .read(&at(topic.clone()), next, ReadLimits::default())
            .await
            .unwrap();
        if batch.next == next {
            return golden::lines(&rows);
        }
        rows.extend(
            batch
                .records
                .iter()
                .map(|r| serde_json::from_slice::<T>(&r.value).unwrap()),
        );
        next = batch.next;
    }
}

async fn answers_to(log: &FluvioLog, question: Question) -> Vec<String> {
    let topic = question.topic();
    match question {
        Question::ScreenStats => answers::<ScreenStats>(log, topic).await,
        Question::Trends => answers::<Trend>(log, topic).await,
        Question::Bursts => answers::<Burst>(log, topic).await,
        Question::StorySpread => answers::<StorySpread>(log, topic).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_real_arroyo_gives_the_golden_answers() {
    let (Ok(arroyo), Ok(fluvio)) = (
        env::var("TELESIFT_TEST_ARROYO"),
        env::var("TELESIFT_TEST_FLUVIO"),
    ) else {
        eprintln!(
            "SKIPPED: the golden input on a real Arroyo; set TELESIFT_TEST_ARROYO (its API's URL) and TELESIFT_TEST_FLUVIO (an endpoint)"
        );
        return;
    };
    let mark = format!("golden-{:08x}-", rand::random::<u32>());
    let config = FluvioLogConfig {
        prefix: mark.clone(),
        ..FluvioLogConfig::new(fluvio.clone(), Arc::new(MemoryState::new()))
    };
    let log = FluvioLog::open(config).await.unwrap();
    for topic in TOPICS {
        let config = TopicConfig {
            partitions: 1,
            retention: Retention::default(),
        };
        log.create_topic(&topic, config).await.unwrap();
    }

    let renamed: Vec<String> = TOPICS.iter().map(|t| format!("{t}={mark}{t}")).collect();
    let mut apply = vec![
        "pipelines",
        "apply",
        "--yes",
        "--no-topics",
        "--from",
        "earliest",
    ];
    apply.extend(["--fluvio", &fluvio, "--prefix", &mark]);
    apply.extend(renamed.iter().flat_map(|name| ["--topic", name.as_str()]));
    json_lines(&run(&arroyo, &apply));
    let started = std::time::Instant::now();
    loop {
        let status = json_lines(&run(&arroyo, &["pipelines", "status", "--prefix", &mark]));
        if status.iter().all(|s| s["state"] == "Running") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{status:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let input = golden::input();
    let (closing, rest) = input.split_last().unwrap();
    let mut pace = tokio::time::interval(EVERY);
    for piece in rest.chunks(AT_ONCE) {
        pace.tick().await;
        send(&log, piece).await;
    }
    // Alone in its batch, or its watermark would be that of those before.
    tokio::time::sleep(Duration::from_secs(2)).await;
    send(&log, std::slice::from_ref(closing)).await;

    for question in Question::ALL {
        let expected = kept(question);
        let started = std::time::Instant::now();
        let mut found = answers_to(&log, question).await;
        while found.len() < expected.len() && started.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_secs(1)).await;
            found = answers_to(&log, question).await;
        }
        let missing = expected.iter().filter(|line| !found.contains(line)).take(5);
        let surplus = found.iter().filter(|line| !expected.contains(line)).take(5);
        let (missing, surplus): (Vec<_>, Vec<_>) = (missing.collect(), surplus.collect());
        assert!(
            found == expected,
            "{question:?}: {} rows, {} expected; missing {missing:?}; too many {surplus:?}",
            found.len(),
            expected.len()
        );
    }
    json_lines(&run(
        &arroyo,
        &["pipelines", "remove", "--yes", "--prefix", &mark],
    ));
}

async fn send(log: &FluvioLog, arrivals: &[golden::Arrival]) {
    let messages = arrivals
        .iter()
        .map(|a| serde_json::to_vec(&a.message).unwrap());
    append(log, Topic::MESSAGES, messages.collect()).await;
    let stories = arrivals.iter().flat_map(|a| &a.stories);
    let stories: Vec<Vec<u8>> = stories.map(|s| serde_json::to_vec(s).unwrap()).collect();
    if !stories.is_empty() {
        append(log, Topic::STORIES, stories).await;
    }
}
