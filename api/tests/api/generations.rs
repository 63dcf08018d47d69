//! The live generation changes under clients: topics, records, tails, and the list of generations.

use serde_json::{Value, json};
use telesift_ports::{
    RecordLog,
    catalog::Scope,
    generations::{GenerationState, Register},
    record_log::{Retention, TopicConfig, Transaction},
};
use telesift_schemas::{Generation, Message, PartitionId, Topic, TopicPartition};

use crate::{
    desk::{Desk, NEWS, OPS, message},
    wire::{Client, cursor, serve, texts},
};

const SECOND: Generation = Generation(2);

/// Makes a second generation, complete, without records.
async fn second(desk: &Desk) {
    for (topic, partitions) in [(Topic::MESSAGES, 2), (Topic::STORIES, 1)] {
        let config = TopicConfig {
            partitions,
            retention: Retention::default(),
        };
        desk.log
            .create_topic(&topic.of(SECOND), config)
            .await
            .unwrap();
    }
    let add = |register: &mut Register| {
        let mut entry = register.all[0].clone();
        entry.generation = SECOND;
        entry.parts = telesift_ports::generations::Parts::all_of(SECOND);
        register.all.push(entry);
        Ok::<_, ()>(())
    };
    desk.generations.change(add).await.unwrap().unwrap();
}

/// Copies of messages into a generation, with a mark of it, as its screen would write them.
async fn screen(desk: &Desk, of: Generation, messages: &[Message]) {
    for message in messages {
        let origin = message.origin.clone().unwrap();
        let mut copy = message.clone();
        copy.text = format!("{} {of}", message.text);
        let value = serde_json::to_vec(&copy).unwrap();
        let chat = message.chat.id.to_string();
        if of != Generation::FIRST {
            desk.append(Topic::MESSAGES.of(of), origin.partition.0, &chat, value)
                .await;
        }
    }
    for partition in 0..2 {
        let origins = messages.iter().filter_map(|m| m.origin.clone());
        let of_partition = origins.filter(|o| o.partition == PartitionId(partition));
        let Some(next) = of_partition.map(|o| o.offset.0 + 1).max() else {
            continue;
        };
        let key = format!("stage/{}/telegram-raw/{partition}", of.name("screen"));
        let state = json!({"next": next, "received": next, "emitted": next, "dead_lettered": 0, "retried_ok": 0});
        let mut transaction = Transaction::appends(Vec::new());
        transaction.finish = Box::new(move |_| vec![(key, Some(state.to_string().into()))]);
        desk.log.commit(transaction).await.unwrap();
    }
}

async fn switch(desk: &Desk, to: Generation) {
    let switch = |register: &mut Register| {
        register.live = to;
        Ok::<_, ()>(())
    };
    desk.generations.change(switch).await.unwrap().unwrap();
}

async fn take_in(desk: &Desk, ids: std::ops::RangeInclusive<i64>) -> Vec<Message> {
    let mut all = Vec::new();
    for id in ids {
        let chat = if id % 2 == 0 { OPS } else { NEWS };
        all.push(
            desk.take_in(message(chat, id, "signal", &format!("{id}")))
                .await,
        );
    }
    all
}

#[tokio::test]
async fn a_tail_goes_over_to_the_new_generation_and_back() {
    let desk = Desk::new().await;
    second(&desk).await;
    let first = take_in(&desk, 1..=6).await;
    screen(&desk, Generation::FIRST, &first).await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail?from=earliest").await;
    let history = client.records(6).await;
    assert_eq!(texts(&history).len(), 6);
    assert!(cursor(history.last().unwrap()).starts_with("g1@"));

    // Live, but not as far yet: nothing is lost or repeated by waiting for it.
    screen(&desk, SECOND, &first[..4]).await;
    switch(&desk, SECOND).await;
    let waiting = client.next_of("heartbeat").await;
    assert!(cursor(&waiting).starts_with("g1@"), "{waiting}");
    screen(&desk, SECOND, &first[4..]).await;
    let gap = client.next_of("gap").await;
    assert_eq!(
        (&gap["reason"], &gap["from"], &gap["to"]),
        (&json!("switched"), &json!(3), &json!(3))
    );
    assert!(cursor(&gap).starts_with("g2@"), "{gap}");
    let other = client.next_of("gap").await;
    assert_eq!(
        cursor(&gap),
        cursor(&other),
        "either of them leads back to the right place"
    );
    assert_ne!(gap["partition"], other["partition"]);

    let more = take_in(&desk, 7..=8).await;
    screen(&desk, SECOND, &more).await;
    let new = client.records(2).await;
    assert_eq!(texts(&new).len(), 2);
    assert!(texts(&new).iter().all(|t| t.ends_with(" g2")), "{new:?}");

    screen(&desk, Generation::FIRST, &more).await;
    switch(&desk, Generation::FIRST).await;
    let gap = client.next_of("gap").await;
    assert!(cursor(&gap).starts_with("g1@"), "{gap}");
    let last = take_in(&desk, 9..=9).await;
    let back = client.records(1).await;
    assert_eq!(texts(&back), ["9"]);
    assert_eq!(last.len(), 1);
    client.close().await;
}

#[tokio::test]
async fn an_old_cursor_leads_to_its_place_in_the_new_generation() {
    let desk = Desk::new().await;
    second(&desk).await;
    let all = take_in(&desk, 1..=10).await;
    screen(&desk, SECOND, &all).await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail?from=earliest").await;
    let read = client.records(4).await;
    let seen: Vec<String> = texts(&read).into_iter().map(str::to_owned).collect();
    let from = cursor(read.last().unwrap());
    client.close().await;
    switch(&desk, SECOND).await;

    let path = format!("messages/tail?from={from}");
    let mut client = Client::open(server, &desk.admin, &path).await;
    let frames = client.until_caught_up().await;
    assert_eq!(frames[0]["type"], "heartbeat");
    let gaps: Vec<&Value> = frames.iter().filter(|f| f["type"] == "gap").collect();
    assert_eq!(gaps.len(), 2);
    assert!(gaps.iter().all(|g| g["reason"] == "switched"));
    let mut numbers: Vec<i64> = seen
        .iter()
        .map(|t| t.parse().unwrap())
        .chain(
            texts(&frames)
                .iter()
                .map(|t| t.strip_suffix(" g2").unwrap().parse().unwrap()),
        )
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<i64>>());
    client.close().await;

    // By its own name a generation stays what it is.
    let mut client = Client::open(server, &desk.admin, "messages-g1/tail?from=earliest").await;
    assert_eq!(texts(&client.until_caught_up().await).len(), 10);
    client.close().await;
    desk.get(&format!("/v1/topics/messages-g2/stream?from={from}"))
        .await
        .problem(409, "cursor_unknown");
    // Once it is retired, its cursors are of no use.
    desk.log.delete_topic(&Topic::MESSAGES).await.unwrap();
    let path = format!("/v1/topics/messages/stream?from={from}");
    let problem = desk.get(&path).await.problem(409, "cursor_unknown");
    assert!(problem["detail"].as_str().unwrap().contains("generation 1"));
}

#[tokio::test]
async fn records_are_read_on_by_cursor_through_a_switch() {
    let desk = Desk::new().await;
    second(&desk).await;
    let all = take_in(&desk, 1..=10).await;
    let of_partition = |p: u32| {
        let its = all
            .iter()
            .filter(move |m| m.origin.as_ref().unwrap().partition.0 == p);
        its.cloned().collect::<Vec<_>>()
    };
    let partition = 0;
    let its = of_partition(partition);
    let path = format!("/v1/topics/messages/partitions/{partition}/records");
    let page = desk.get(&format!("{path}?limit=2")).await.ok();
    assert_eq!(
        (&page["generation"], &page["gaps"]),
        (&json!(1), &json!([]))
    );
    let next = page["cursor"].as_str().unwrap();
    switch(&desk, SECOND).await;
    let answer = desk.get(&format!("{path}?from={next}")).await;
    answer.problem(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));

    screen(&desk, SECOND, &all).await;
    let page = desk.get(&format!("{path}?from={next}")).await.ok();
    assert_eq!(page["generation"], 2);
    assert_eq!(
        page["gaps"],
        json!([{"from": 2, "to": 2, "reason": "switched"}])
    );
    let found: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["data"]["text"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = its[2..].iter().map(|m| format!("{} g2", m.text)).collect();
    assert_eq!(found, expected);
    let last = page["cursor"].as_str().unwrap();
    let page = desk.get(&format!("{path}?from={last}")).await.ok();
    assert_eq!((&page["items"], &page["gaps"]), (&json!([]), &json!([])));
    for (from, status, code) in [
        (next.replace("/0:", "/1:"), 400, "invalid_parameter"),
        ("g1@zz/0:1".to_owned(), 409, "cursor_unknown"),
        ("g7@".to_owned() + &last[3..], 409, "cursor_unknown"),
        ("soon".to_owned(), 400, "invalid_parameter"),
    ] {
        desk.get(&format!("{path}?from={from}"))
            .await
            .problem(status, code);
    }
}

#[tokio::test]
async fn topics_say_whose_they_are() {
    let desk = Desk::new().await;
    second(&desk).await;
    let named = async || -> Vec<(String, Value, Value)> {
        let topics = desk.get("/v1/topics").await.ok();
        let items = topics["items"].as_array().unwrap().clone();
        let of = |t: &Value| {
            (
                t["topic"].as_str().unwrap().to_owned(),
                t["generation"].clone(),
                t["live"].clone(),
            )
        };
        items
            .iter()
            .map(of)
            .filter(|t| t.0.starts_with("messages"))
            .collect()
    };
    let expected = |live: u32, name: &str, other: u32| {
        vec![
            ("messages".to_owned(), json!(live), json!(true)),
            (name.to_owned(), json!(other), json!(false)),
        ]
    };
    assert_eq!(named().await, expected(1, "messages-g2", 2));
    switch(&desk, SECOND).await;
    assert_eq!(named().await, expected(2, "messages-g1", 1));
    // A limited key reads its chats of either, and nothing else.
    let all = take_in(&desk, 1..=4).await;
    screen(&desk, SECOND, &all).await;
    let key = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for topic in ["messages", "messages-g1", "messages-g2"] {
        let mut chats = Vec::new();
        for p in 0..2 {
            let path = format!("/v1/topics/{topic}/partitions/{p}/records");
            let page = desk.call(&key, "GET", &path, "").await.ok();
            chats.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|i| i["key"].clone()),
            );
        }
        assert_eq!(chats, [OPS, OPS], "{topic}");
    }
    desk.call(
        &key,
        "GET",
        "/v1/topics/stories-g2/partitions/0/records",
        "",
    )
    .await
    .problem(403, "limited_key");
    let at = TopicPartition::new(Topic::MESSAGES.of(SECOND), PartitionId(0));
    assert!(desk.log.bounds(&at).await.unwrap().end.0 > 0);
}

#[tokio::test]
async fn generations_are_listed_and_retired() {
    let desk = Desk::new().await;
    let listed = desk.get("/v1/generations").await.ok();
    let generation = &listed["items"][0];
    assert_eq!(
        (&generation["number"], &generation["live"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(generation["stages"][0]["lag"], 3);
    let retire = async |number: &str| {
        let path = format!("/v1/generations/{number}");
        desk.call(&desk.admin, "DELETE", &path, "").await
    };
    let problem = retire("1").await.problem(409, "replay_state");
    assert_eq!(problem["generation"], 1);
    assert_eq!(retire("2").await.status, 204);
    retire("3").await.problem(404, "not_found");
    retire("x").await.problem(400, "invalid_parameter");
    let reader = desk.key(&[Scope::Read], None).await;
    desk.call(&reader, "GET", "/v1/generations", "")
        .await
        .problem(403, "missing_scope");
    assert_eq!(GenerationState::Ready.as_str(), generation["state"]);
}
