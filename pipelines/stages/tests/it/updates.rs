//! The door for updates: what is appended, refused, dropped and counted.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use telesift_ports::{
    RecordLog, UpdateSink,
    bots::{BotSource, Delivery, TakeError, Taken},
    ledger::{Counters, StageKey, StageState},
    record_log::{ReadLimits, StoredRecord},
};
use telesift_schemas::{ChatId, Offset, PartitionId, Topic, TopicPartition};
use telesift_stages::ingest::{STAGE, UpdateIngest};

use crate::flow::{Flow, at, conserved};

const OPS: i64 = -1_002_100_000_001;

fn door(flow: &Flow) -> UpdateIngest {
    UpdateIngest::new(flow.log.clone(), flow.clock.clone())
}

fn bot(chats: &[i64]) -> BotSource {
    BotSource {
        name: "ops".to_owned(),
        id: 123_456,
        delivery: Delivery::Webhook,
        chats: chats.iter().copied().map(ChatId).collect(),
    }
}

fn message(update_id: i64, chat: i64, message_id: i64, edit: i64) -> Bytes {
    let mut message =
        json!({"message_id": message_id, "date": 1, "chat": {"id": chat}, "text": "слово"});
    if edit > 0 {
        message["edit_date"] = edit.into();
    }
    json!({"update_id": update_id, "message": message})
        .to_string()
        .into()
}

async fn stored(flow: &Flow) -> Vec<StoredRecord> {
    let raw = at(Topic::TELEGRAM_RAW);
    let batch = flow.log.read(&raw, Offset::ZERO, ReadLimits::default());
    batch.await.unwrap().records
}

async fn raw(flow: &Flow) -> Vec<(String, Value)> {
    let records = stored(flow).await.into_iter();
    records
        .map(|r| {
            let key = String::from_utf8(r.key.to_vec()).unwrap();
            (key, serde_json::from_slice(&r.value).unwrap())
        })
        .collect()
}

async fn counters(flow: &Flow) -> Counters {
    let key = StageKey {
        stage: STAGE.into(),
        input: TopicPartition::new(Topic::new("bot:ops"), PartitionId(0)),
    };
    let stored = flow.log.state(&key.state_key()).await.unwrap();
    let state: StageState = serde_json::from_slice(&stored.unwrap()).unwrap();
    assert_eq!(StageKey::from_state_key(&key.state_key()), Some(key));
    state.counters
}

fn taken(n_new: u64, n_duplicate: u64, n_dropped: u64) -> Taken {
    Taken {
        n_new,
        n_duplicate,
        n_dropped,
    }
}

#[tokio::test]
async fn an_update_is_kept_byte_for_byte() {
    let flow = Flow::new().await;
    let payload = "  {\"update_id\" : 7,\n\"future_kind\":{\"x\":1.50,\"y\":\"\\u0041\"}}\n";
    let done = door(&flow)
        .take(&bot(&[]), vec![Bytes::from(payload)], None)
        .await;
    assert_eq!(done.unwrap(), taken(1, 0, 0));
    let value = stored(&flow).await[0].value.clone();
    let value = std::str::from_utf8(&value).unwrap();
    assert!(value.contains(payload.trim()), "{value}");
    let (key, record) = raw(&flow).await.remove(0);
    assert_eq!(key, "123456", "what names no chat is kept under the bot");
    assert_eq!(record["source"], json!({"kind": "webhook", "bot": "ops"}));
    assert_eq!(record["received"], 1_767_607_200);
}

#[tokio::test]
async fn the_same_update_or_message_version_is_taken_once_across_restarts() {
    let flow = Flow::new().await;
    let all = vec![
        message(1, OPS, 42, 0),
        message(1, OPS, 42, 0), // repeated by Telegram
        message(2, OPS, 42, 0), // the same message under another update
        message(3, OPS, 42, 9), // edited
        message(4, OPS, 43, 0),
    ];
    let first = door(&flow).take(&bot(&[]), all.clone(), None).await;
    assert_eq!(first.unwrap(), taken(3, 2, 0));
    let again = door(&flow).take(&bot(&[]), all.clone(), None).await;
    assert_eq!(again.unwrap(), taken(0, 5, 0));
    // Another bot of the same group gets the same messages; in a private chat it would get its own.
    let other = BotSource {
        name: "other".to_owned(),
        id: 9,
        ..bot(&[])
    };
    let door = door(&flow);
    let seen = door.take(&other, vec![message(77, OPS, 43, 0)], None);
    assert_eq!(seen.await.unwrap(), taken(0, 1, 0));
    for source in [bot(&[]), other] {
        let own = door.take(&source, vec![message(78, 5, 1, 0)], None);
        assert_eq!(own.await.unwrap(), taken(1, 0, 0), "{}", source.name);
    }
    assert_eq!(raw(&flow).await.len(), 5);
    let counters = counters(&flow).await;
    assert_eq!((counters.received, counters.emitted), (11, 4));
    assert_eq!(counters.skipped["duplicate"], 7);
    assert!(conserved(&counters));
}

#[tokio::test]
async fn chats_outside_the_list_are_dropped_and_counted() {
    let flow = Flow::new().await;
    let poll = Bytes::from(r#"{"update_id":9,"poll":{"id":"1"}}"#);
    let updates = vec![message(1, OPS, 1, 0), message(2, OPS - 1, 1, 0), poll];
    let done = door(&flow).take(&bot(&[OPS]), updates, None).await;
    assert_eq!(done.unwrap(), taken(1, 0, 2));
    assert_eq!(raw(&flow).await.len(), 1);
    let counters = counters(&flow).await;
    assert_eq!((counters.received, counters.emitted), (3, 1));
    assert_eq!(counters.skipped["chat_not_allowed"], 2);
}

#[tokio::test]
async fn a_deletion_is_appended_once_for_each_message() {
    let flow = Flow::new().await;
    let deletion = json!({"update_id": 5, "deleted_business_messages":
        {"business_connection_id": "b", "chat": {"id": 77, "type": "private"}, "message_ids": [4, 8, 6]}});
    let deletion = Bytes::from(deletion.to_string());
    for expected in [taken(1, 0, 0), taken(0, 1, 0)] {
        let done = door(&flow)
            .take(&bot(&[]), vec![deletion.clone()], None)
            .await;
        assert_eq!(done.unwrap(), expected);
    }
    let records = raw(&flow).await;
    let parts: Vec<&Value> = records.iter().map(|(_, r)| &r["part"]).collect();
    assert_eq!(parts, [0, 1, 2]);
    for (key, record) in &records {
        assert_eq!(key, "77");
        assert_eq!(
            record["payload"],
            serde_json::from_slice::<Value>(&deletion).unwrap()
        );
    }
}

#[tokio::test]
async fn what_is_no_object_is_refused_and_leaves_nothing() {
    let flow = Flow::new().await;
    for bad in ["", "[]", "{", "7", "null"] {
        let refused = door(&flow)
            .take(&bot(&[]), vec![message(1, OPS, 1, 0), bad.into()], None)
            .await;
        assert!(matches!(refused, Err(TakeError::Malformed(_))), "{bad}");
    }
    assert!(raw(&flow).await.is_empty());
}

#[tokio::test]
async fn the_position_is_committed_with_the_updates() {
    let flow = Flow::new().await;
    let door = door(&flow);
    assert_eq!(door.position(123_456).await.unwrap(), None);
    door.take(&bot(&[]), vec![message(7, OPS, 1, 0)], Some(8))
        .await
        .unwrap();
    assert_eq!(door.position(123_456).await.unwrap(), Some(8));
    assert_eq!(door.position(5).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_taken_at_once_are_all_kept_and_counted() {
    let flow = Flow::new().await;
    let door = Arc::new(door(&flow));
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..200 {
        let door = door.clone();
        tasks.spawn(async move {
            let update = message(id / 2, OPS, id / 2, 0);
            door.take(&bot(&[]), vec![update], None).await.unwrap()
        });
    }
    let all = tasks.join_all().await;
    assert_eq!(all.iter().map(|t| t.n_new).sum::<u64>(), 100);
    assert_eq!(raw(&flow).await.len(), 100);
    let counters = counters(&flow).await;
    assert_eq!((counters.received, counters.emitted), (200, 100));
    assert!(conserved(&counters));
}

#[tokio::test]
async fn what_several_processes_take_of_one_bot_adds_up() {
    let flow = Flow::without_transactions().await;
    let doors = ["a", "b"].map(|process| door(&flow).counting_as(Some(process.to_owned())));
    // Many at once, at both.
    let takes = (0..40).map(|n| {
        let (door, bot) = (&doors[n % 2], bot(&[]));
        let update = message(n as i64, OPS, n as i64, 0);
        async move { door.take(&bot, vec![update], None).await.unwrap() }
    });
    for done in futures::future::join_all(takes).await {
        assert_eq!(done, taken(1, 0, 0));
    }
    let of = bot(&[]);
    let repeated = doors[0].take(&of, vec![message(0, OPS, 0, 0)], None);
    assert_eq!(repeated.await.unwrap(), taken(0, 1, 0));
    // One that starts again goes on counting in its row.
    let again = door(&flow).counting_as(Some("a".to_owned()));
    let more = again.take(&of, vec![message(50, OPS, 50, 0)], None);
    assert_eq!(more.await.unwrap(), taken(1, 0, 0));

    let mut sum = StageState::default();
    for (key, value) in flow.log.state_with_prefix("stage/ingest/").await.unwrap() {
        let key = StageKey::from_state_key(&key).unwrap().counted_together();
        assert_eq!(key.input.topic.as_str(), "bot:ops");
        sum.add(&serde_json::from_slice(&value).unwrap());
    }
    assert_eq!((sum.counters.received, sum.counters.emitted), (42, 41));
    assert!(conserved(&sum.counters));
}
