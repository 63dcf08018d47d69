//! The ledger and the classes.

use std::collections::BTreeMap;

use telesift_ports::{
    Catalog, RecordLog, UnitCatalog as _,
    knowledge::{UnitRow, UnitState},
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
    record_log::Transaction,
};
use telesift_schemas::{
    Chat, ChatId, ChatKind, Class, Offset, Origin, PartitionId, Timestamp, Topic, TopicPartition,
};

use crate::desk::{Desk, NEWS, OPS, message};

fn stage(name: &str, topic: Topic) -> StageKey {
    StageKey {
        stage: name.into(),
        input: TopicPartition::new(topic, PartitionId(0)),
    }
}

fn state(next: u64, skipped: u64, dead_lettered: u64) -> StageState {
    StageState {
        next: Offset(next),
        counters: Counters {
            received: next,
            emitted: next - skipped - dead_lettered,
            skipped: BTreeMap::from([("duplicate".into(), skipped)]),
            dead_lettered,
            retried_ok: 0,
        },
        last_retry: None,
    }
}

fn unit(id: &str, state: UnitState, note: Option<&str>) -> UnitRow {
    UnitRow {
        id: id.into(),
        chat: Chat {
            id: ChatId(-1),
            title: None,
            kind: ChatKind::Supergroup,
            username: None,
        },
        members: Vec::new(),
        class: Class::Signal,
        newest: Timestamp::UNIX_EPOCH,
        origin: Origin {
            topic: Topic::UNITS,
            partition: PartitionId(0),
            offset: Offset(0),
        },
        revision: 1,
        state,
        attempts: 0,
        not_before: None,
        note: note.map(str::to_owned),
        again: None,
    }
}

#[tokio::test]
async fn the_ledger_shows_stages_of_log_and_catalog_with_their_lag() {
    let desk = Desk::new().await;
    for id in 1..=5 {
        desk.take_in(message(OPS, id, "signal", "слово")).await;
    }
    let key = stage("screen", Topic::TELEGRAM_RAW).state_key();
    let value = serde_json::to_vec(&state(4, 2, 1)).unwrap();
    let transaction = Transaction {
        finish: Box::new(move |_| vec![(key, Some(value.into()))]),
        ..Transaction::appends(Vec::new())
    };
    desk.log.commit(transaction).await.unwrap();
    desk.catalog
        .put_stage_state(
            &stage("index", Topic::MESSAGES),
            None,
            &state(3, 0, 0),
            &Fence::open(),
        )
        .await
        .unwrap();
    let units = [
        unit("u-1", UnitState::Done, None),
        unit("u-2", UnitState::Done, Some("same_story")),
        unit("u-3", UnitState::Due, Some("waits")),
    ];
    let stored = desk.catalog.put_units(&units, &[], &Fence::open()).await;
    stored.unwrap();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(desk.get("/v1/stats/pipeline").await.ok());
}

#[tokio::test]
async fn classes_are_counted_per_bucket() {
    let desk = Desk::new().await;
    for (id, class) in [
        (1, "signal"),
        (2, "noise"),
        (3_700, "weak_signal"),
        (3_701, "noise"),
    ] {
        desk.take_in(message(OPS, id, class, "слово")).await;
    }
    desk.take_in(message(NEWS, 5, "noise", "слово")).await;
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(desk.get("/v1/stats/screen?bucket=1h").await.ok());
    let one = desk
        .get("/v1/stats/screen?since=2026-01-05T10:00:02Z&until=2026-01-05T10:00:06Z")
        .await
        .ok();
    assert_eq!(one["total"]["noise"], 2);
    for query in [
        "bucket=1y",
        "bucket=0",
        "bucket=1s&since=2000-01-01T00:00:00Z&until=2026-01-01T00:00:00Z",
    ] {
        desk.get(&format!("/v1/stats/screen?{query}"))
            .await
            .problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn short_lists_page_like_any_other() {
    let desk = Desk::new().await;
    for name in ["windows", "index", "stories"] {
        let key = stage(name, Topic::MESSAGES);
        desk.catalog
            .put_stage_state(&key, None, &state(0, 0, 0), &Fence::open())
            .await
            .unwrap();
    }
    for path in ["/v1/stats/pipeline", "/v1/topics", "/v1/generations"] {
        let all = desk.get(path).await.ok()["items"].clone();
        let all = all.as_array().unwrap();
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = desk.get(&format!("{path}?limit=1{cursor}")).await.ok();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 1, "{path}");
            paged.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(&paged, all, "{path}");
        let refused = desk.get(&format!("{path}?limit=0")).await;
        refused.problem(400, "invalid_parameter");
    }
}
