//! Chats over several partitions of `messages`, and the stories the stage makes of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use telesift_ports::{
    Catalog, RecordLog, StoryCatalog as _,
    ledger::{Counters, StageKey, StageState},
    memory::{ManualClock, MemoryCatalog, MemoryLog},
    record_log::{NewRecord, ReadLimits, Retention, TopicConfig, Transaction},
    story_catalog::StorySummary,
};
use telesift_schemas::{
    ChatId, Generation, MessageKey, Offset, PartitionId, StoryAssigned, Topic, TopicPartition,
    partition_for_chat,
};
use telesift_stages::{
    Consumer,
    consumer::{Input, Process},
    stories::{self, Stories, StoriesConfig},
    story_catalog::{self, StoryCatalog},
};
use telesift_text::signature::signature;
use tokio_util::sync::CancellationToken;

/// 2026-01-05T10:00:00Z.
const NOON_S: i64 = 1_767_607_200;

/// A message to be posted.
#[derive(Clone)]
pub(crate) struct Post {
    chat: i64,
    id: i64,
    second: i64,
    text: String,
    edit: i64,
    class: &'static str,
    forward: Option<Option<(i64, i64)>>,
}

impl Post {
    /// A signal in `chat`, sent `minute` minutes after the start.
    pub(crate) fn new(chat: i64, id: i64, minute: i64, text: &str) -> Self {
        Post {
            chat,
            id,
            second: NOON_S + 60 * minute,
            text: text.to_owned(),
            edit: 0,
            class: "signal",
            forward: None,
        }
    }

    pub(crate) fn at_second(self, second: i64) -> Self {
        Post { second, ..self }
    }

    pub(crate) fn edit(self, edit: i64) -> Self {
        Post { edit, ..self }
    }

    pub(crate) fn class(self, class: &'static str) -> Self {
        Post { class, ..self }
    }

    /// Forwarded, from this message where Telegram says.
    pub(crate) fn forward(self, from: Option<(i64, i64)>) -> Self {
        Post {
            forward: Some(from),
            ..self
        }
    }

    fn record(&self, origin: usize) -> String {
        let at = |second| telesift_schemas::Timestamp::from_second(second).unwrap();
        let forward = self.forward.map(|from| {
            json!({
                "from_id": from.map(|(chat, _)| chat.to_string()), "from_name": null,
                "message_id": from.map(|(_, id)| id), "date": null,
            })
        });
        let mut record = json!({
            "v": 1, "id": format!("{}:{}", self.chat, self.id),
            "chat": {"id": self.chat.to_string(), "title": "Chat", "kind": "channel"}, "message_id": self.id,
            "edit": self.edit, "event_time": at(self.second), "author": null, "kind": "text", "text": self.text,
            "lang": "uk", "reply_to": null, "thread": null, "forward": forward, "links": [], "media": null,
            "reactions": {}, "deleted_at": null,
            "screen": {"class": self.class, "score": 0.9, "factors": {}, "flags": [], "rules": "test@1+0"},
            "origin": {"topic": "telegram-raw", "partition": 0, "offset": origin},
        });
        if let Some(signature) = signature(&self.text) {
            record["signature"] = signature.to_string().into();
        }
        record.to_string()
    }
}

pub(crate) struct Board {
    log: Arc<MemoryLog>,
    catalog: Arc<MemoryCatalog>,
    clock: Arc<ManualClock>,
    n_partitions: u32,
}

impl Board {
    pub(crate) async fn new(n_partitions: u32) -> Self {
        let clock = Arc::new(ManualClock::default());
        let log = Arc::new(MemoryLog::with_clock(clock.clone()));
        for (topic, partitions) in Topic::ALL {
            let config = TopicConfig {
                partitions: partitions.unwrap_or(n_partitions),
                retention: Retention::default(),
            };
            log.create_topic(&topic, config).await.unwrap();
        }
        Board {
            log,
            catalog: Arc::new(MemoryCatalog::new()),
            clock,
            n_partitions,
        }
    }

    /// Posts as the screen stage would have appended it, a second after the last.
    pub(crate) async fn post(&self, post: Post) {
        let mut n = 0;
        for at in self.inputs() {
            n += self.log.bounds(&at).await.unwrap().end.0 as usize;
        }
        self.append_raw(post.chat, &post.record(n)).await;
    }

    /// Posts many, some of them at the same moment.
    pub(crate) async fn post_all(&self, posts: &[Post]) {
        for (n, post) in posts.iter().enumerate() {
            self.append(post.chat, &post.record(n)).await;
            if n % 3 == 0 {
                self.clock.advance(Duration::from_millis(1));
            }
        }
    }

    pub(crate) async fn append_raw(&self, chat: i64, value: &str) {
        self.clock.advance(Duration::from_secs(1));
        self.append(chat, value).await;
    }

    async fn append(&self, chat: i64, value: &str) {
        let partition = partition_for_chat(ChatId(chat), self.n_partitions);
        let record = NewRecord {
            key: chat.to_string().into(),
            value: Bytes::from(value.to_owned()),
            unique: Vec::new(),
        };
        let at = TopicPartition::new(Topic::MESSAGES, partition);
        self.log
            .commit(Transaction::appends(vec![(at, record)]))
            .await
            .unwrap();
    }

    pub(crate) fn inputs(&self) -> Vec<TopicPartition> {
        (0..self.n_partitions)
            .map(|p| TopicPartition::new(Topic::MESSAGES, PartitionId(p)))
            .collect()
    }

    fn stage(&self, config: StoriesConfig) -> Stories {
        Stories::new(self.log.clone(), self.clock.clone(), self.inputs(), config)
    }

    /// Runs the stage in its loop until it has worked through everything.
    pub(crate) async fn run(&self, config: StoriesConfig, batch_records: usize) {
        let consumer = Consumer {
            log: self.log.clone(),
            stage: stories::STAGE,
            inputs: self.inputs(),
            limits: ReadLimits {
                max_records: batch_records,
                ..ReadLimits::default()
            },
            min_interval: Duration::ZERO,
        };
        let stop = CancellationToken::new();
        let run = tokio::spawn(consumer.run(self.stage(config), stop.clone()));
        let wait = async {
            while !run.is_finished() && !self.is_done().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), wait)
            .await
            .expect("the stage gets through");
        stop.cancel();
        run.await.unwrap().unwrap();
    }

    async fn is_done(&self) -> bool {
        for at in self.inputs() {
            if self.state(&at).await.next != self.log.bounds(&at).await.unwrap().end {
                return false;
            }
        }
        true
    }

    /// Runs the stage batch by batch; `n_records` says how much of which partition is read next, `restarts` after which
    /// batches it starts anew, and `repeats` after which its batch is given to it again.
    pub(crate) async fn run_in_pieces(
        &self,
        config: StoriesConfig,
        mut n_records: impl FnMut() -> usize,
        mut restarts: impl FnMut() -> bool,
    ) {
        let mut stage = self.stage(config);
        let mut next = stage.positions().await.unwrap();
        while !self.is_done().await {
            let mut inputs = Vec::new();
            for (at, from) in self.inputs().into_iter().zip(&next) {
                let limits = ReadLimits {
                    max_records: n_records(),
                    ..ReadLimits::default()
                };
                let batch = self.log.read(&at, *from, limits).await.unwrap();
                if batch.next > *from {
                    let from = *from;
                    inputs.push(Input { at, from, batch });
                }
            }
            stage.process(&inputs).await.unwrap();
            if restarts() {
                stage = self.stage(config);
                next = stage.positions().await.unwrap();
                // The last commit was not heard of: the batch comes again.
                stage.process(&inputs).await.unwrap();
            }
            for input in &inputs {
                next[input.at.partition.0 as usize] = stage.taken(input);
            }
        }
    }

    async fn state(&self, at: &TopicPartition) -> StageState {
        let key = StageKey {
            stage: stories::STAGE.into(),
            input: at.clone(),
        };
        match self.log.state(&key.state_key()).await.unwrap() {
            Some(bytes) => serde_json::from_slice(&bytes).unwrap(),
            None => StageState::default(),
        }
    }

    /// Over all partitions.
    pub(crate) async fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for at in self.inputs() {
            counters += &self.state(&at).await.counters;
        }
        counters
    }

    /// The records of `stories`, in order.
    pub(crate) async fn assigned(&self) -> Vec<StoryAssigned> {
        let at = TopicPartition::new(Topic::STORIES, PartitionId(0));
        let limits = ReadLimits {
            max_records: 1 << 20,
            max_bytes: 1 << 30,
        };
        let batch = self.log.read(&at, Offset::ZERO, limits).await.unwrap();
        batch
            .records
            .iter()
            .map(|r| serde_json::from_slice(&r.value).unwrap())
            .collect()
    }

    /// The messages of each story, by key.
    pub(crate) async fn by_story(&self) -> BTreeMap<String, Vec<MessageKey>> {
        let mut stories: BTreeMap<String, Vec<MessageKey>> = BTreeMap::new();
        for assigned in self.assigned().await {
            stories
                .entry(assigned.story)
                .or_default()
                .push(assigned.message);
        }
        for members in stories.values_mut() {
            members.sort();
        }
        stories
    }

    /// Puts everything on `stories` into the catalog, as a process that just started.
    pub(crate) async fn project(&self) {
        let at = TopicPartition::new(Topic::STORIES, PartitionId(0));
        let catalog: Arc<dyn Catalog> = self.catalog.clone();
        let mut stage =
            StoryCatalog::new(self.log.clone(), catalog, self.clock.clone(), at.clone());
        let from = stage.positions().await.unwrap()[0];
        let batch = self
            .log
            .read(&at, from, ReadLimits::default())
            .await
            .unwrap();
        let end = batch.end;
        stage
            .process(&[Input {
                at: at.clone(),
                from,
                batch,
            }])
            .await
            .unwrap();
        let key = StageKey {
            stage: story_catalog::STAGE.into(),
            input: at,
        };
        let state = self.catalog.stage_state(&key).await.unwrap().unwrap();
        assert_eq!((state.next, state.counters.received), (end, end.0));
    }

    pub(crate) async fn summary(&self, key: &str) -> Option<StorySummary> {
        let found = self
            .catalog
            .stories_of(Generation::FIRST, &[key.parse().unwrap()], None)
            .await;
        found.unwrap().pop().map(|(_, summary)| summary)
    }
}
