//! Reactions: out of the screen into their topic, and into the catalog whatever their order.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use telesift_ports::{
    Catalog, RecordLog,
    catalog::{ReactionCatalog, reaction_counts},
    record_log::ReadLimits,
};
use telesift_schemas::{ChatId, MessageKey, Offset, Reactions, Topic};
use telesift_stages::{
    Consumer,
    reactions::{self, ReactionProjection},
};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at, conserved, message};

fn reacted(message_id: i64, actor: i64, second: i64, emoji: &str) -> String {
    json!({"reacted": {
        "v": 1, "id": format!("7:{message_id}"), "chat": {"id": "7", "title": null, "kind": "private"},
        "of": {"actor": actor.to_string()}, "at": format!("2026-01-05T10:00:{second:02}Z"),
        "reactions": {emoji: 1},
    }})
    .to_string()
}

async fn project(flow: &Flow) {
    let catalog: Arc<dyn Catalog> = flow.catalog.clone();
    let input = at(Topic::REACTIONS);
    let stage =
        ReactionProjection::new(flow.log.clone(), catalog, flow.clock.clone(), input.clone());
    let consumer = Consumer {
        log: flow.log.clone(),
        stage: reactions::STAGE,
        inputs: vec![input.clone()],
        limits: ReadLimits::default(),
        min_interval: Duration::ZERO,
    };
    let stop = CancellationToken::new();
    let run = tokio::spawn(consumer.run(stage, stop.clone()));
    let end = flow.log.bounds(&input).await.unwrap().end;
    let key = telesift_ports::ledger::StageKey {
        stage: reactions::STAGE.into(),
        input,
    };
    loop {
        let state = flow.catalog.stage_state(&key).await.unwrap();
        if state.as_ref().map_or(Offset::ZERO, |s| s.next) == end {
            assert!(state.is_none_or(|s| conserved(&s.counters)));
            break;
        }
        tokio::task::yield_now().await;
    }
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn reactions_pass_the_screen_and_end_in_the_catalog() {
    let flow = Flow::new().await;
    let values = [
        reacted(1, 5, 30, "🔥"), // before its message
        message(1, 0, "a"),
        reacted(1, 5, 10, "👍"), // late
        reacted(1, 6, 20, "🔥"),
    ];
    flow.append(Topic::TELEGRAM_RAW, &values).await;
    flow.screen(100, Duration::from_secs(600)).await.unwrap();
    assert_eq!(flow.screened().await, [1], "reactions are no message");
    let counters = flow.screen_state().await.counters;
    assert_eq!((counters.received, counters.emitted), (4, 1));
    assert_eq!(counters.skipped["reactions"], 3);
    assert!(conserved(&counters));

    let topic = at(Topic::REACTIONS);
    let batch = flow.log.read(&topic, Offset::ZERO, ReadLimits::default());
    let records = batch.await.unwrap().records;
    let read = |i: usize| serde_json::from_slice::<Reactions>(&records[i].value).unwrap();
    assert_eq!(read(1).origin.unwrap().offset, Offset(2));

    project(&flow).await;
    let key = MessageKey {
        chat: ChatId(7),
        message_id: 1,
    };
    let found = flow.catalog.reactions_of(&[key]).await.unwrap();
    let counts = reaction_counts(found);
    assert_eq!(counts[&key], [("🔥".to_owned(), 2)].into());
}

#[tokio::test]
async fn a_record_that_is_none_becomes_a_dead_letter() {
    let flow = Flow::new().await;
    let records = ["no json".to_owned(), "{}".to_owned()];
    flow.append(Topic::REACTIONS, &records).await;
    project(&flow).await;
    assert_eq!(flow.dead_letters().await.len(), 2);
    assert!(!flow.catalog.has_reactions().await.unwrap());
}
