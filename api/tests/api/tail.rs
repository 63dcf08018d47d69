//! The live tail over real sockets.

use std::collections::BTreeMap;

use serde_json::json;
use telesift_api::{ApiConfig, TailConfig};
use telesift_ports::{
    RecordLog,
    catalog::Scope,
    record_log::{Retention, TopicConfig},
};
use telesift_schemas::Topic;

use crate::{
    desk::{Desk, NEWS, OPS, message},
    wire::{Client, cursor, serve, texts},
};

#[tokio::test]
async fn a_goodbye_is_answered() {
    let desk = Desk::new().await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail").await;
    client.next_of("heartbeat").await;
    assert!(client.answers_goodbye().await);
}

#[tokio::test]
async fn history_flows_into_live_without_a_seam() {
    let desk = Desk::new().await;
    for id in 1..=300 {
        desk.take_in(message(
            if id % 2 == 0 { OPS } else { NEWS },
            id,
            "signal",
            &format!("{id}"),
        ))
        .await;
    }
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail?from=earliest").await;
    let history = client.until_caught_up().await;
    assert_eq!(history[0]["type"], "heartbeat", "the first frame");
    assert_eq!(texts(&history).len(), 300);
    for id in 301..=310 {
        desk.take_in(message(OPS, id, "signal", &format!("{id}")))
            .await;
    }
    let live = client.records(10).await;
    assert_eq!(
        texts(&live),
        (301..=310).map(|i| i.to_string()).collect::<Vec<_>>()
    );
    let mut next = BTreeMap::from([(0, 0), (1, 0)]);
    for frame in history
        .iter()
        .chain(&live)
        .filter(|f| f["type"] == "record")
    {
        let next = next.get_mut(&frame["partition"].as_u64().unwrap()).unwrap();
        assert_eq!(
            frame["offset"].as_u64().unwrap(),
            *next,
            "in order, without holes"
        );
        *next += 1;
    }
}

#[tokio::test]
async fn a_record_frame_looks_as_documented_and_holds_the_stored_bytes() {
    let desk = Desk::new().await;
    let value = r#"{"b": 1.0, "a": 123456789012345678901234567890, "b": "\u0416"}"#;
    desk.append(Topic::DECISIONS, 0, "k", value).await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "decisions/tail?from=earliest").await;
    let mut frame = client.next_of("record").await;
    assert!(cursor(&frame).ends_with("/0:1"));
    frame["cursor"] = json!("[cursor]");
    frame["data"] = json!("[data]");
    let documented = json!({
        "type": "record", "topic": "decisions", "partition": 0, "offset": 0, "cursor": "[cursor]",
        "appended_at": "2026-01-05T10:00:00Z", "data": "[data]",
    });
    assert_eq!(frame, documented);
    client.close().await;

    let mut client = Client::open(server, &desk.admin, "decisions/tail?from=earliest").await;
    let text = loop {
        use futures::StreamExt;
        let text = client.0.next().await.unwrap().unwrap().into_text().unwrap();
        if text.contains("\"record\"") {
            break text;
        }
    };
    assert!(text.contains(&format!("\"data\":{value}}}")), "{text}");
}

#[tokio::test]
async fn resuming_with_the_last_cursor_across_restarts_misses_and_repeats_nothing() {
    let mut desk = Desk::new().await;
    let mut seen: Vec<String> = Vec::new();
    let mut from = "earliest".to_owned();
    let mut id = 0;
    for round in 0..20 {
        let server = serve(&desk).await;
        let path = format!("messages/tail?from={from}");
        let mut client = Client::open(server, &desk.admin, &path).await;
        for _ in 0..7 {
            id += 1;
            desk.take_in(message(
                if id % 3 == 0 { OPS } else { NEWS },
                id,
                "signal",
                &format!("{id}"),
            ))
            .await;
        }
        // Cut after some of them, at another place each time.
        for frame in client.records(round % 7 + 1).await {
            seen.push(frame["data"]["text"].as_str().unwrap().to_owned());
            from = cursor(&frame);
        }
        if round % 2 == 0 {
            drop(client);
        } else {
            desk = desk.restarted().await;
        }
    }
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, &format!("messages/tail?from={from}")).await;
    let rest = client.until_caught_up().await;
    seen.extend(texts(&rest).into_iter().map(str::to_owned));
    let mut numbers: Vec<i64> = seen.iter().map(|t| t.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=id).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_cursor_moves_past_filtered_records() {
    let desk = Desk::new().await;
    for id in 1..=50 {
        desk.take_in(message(
            OPS,
            id,
            if id == 20 { "signal" } else { "noise" },
            &format!("{id}"),
        ))
        .await;
    }
    let server = serve(&desk).await;
    let mut client = Client::open(
        server,
        &desk.admin,
        "messages/tail?from=earliest&partition=0",
    )
    .await;
    let frames = client.until_caught_up().await;
    assert_eq!(texts(&frames), ["20"]);
    let last = cursor(frames.last().unwrap());
    assert!(last.ends_with("/0:50"), "{last}");
    client.close().await;
    let mut client = Client::open(
        server,
        &desk.admin,
        "messages/tail?from=earliest&include_noise=true&partition=0",
    )
    .await;
    assert_eq!(texts(&client.until_caught_up().await).len(), 50);
    let mut client = Client::open(
        server,
        &desk.admin,
        &format!("messages/tail?from={last}&class=noise"),
    )
    .await;
    desk.take_in(message(OPS, 51, "signal", "51")).await;
    desk.take_in(message(OPS, 52, "noise", "52")).await;
    let frame = client.next_of("record").await;
    assert_eq!(frame["data"]["text"], "52");
    assert!(
        cursor(&frame).ends_with("/0:52"),
        "the cursor's own partition, no other: {frame}"
    );
}

#[tokio::test]
async fn evicted_records_become_a_gap_frame() {
    let desk = Desk::new().await;
    let server = serve(&desk).await;
    for n in 100..110 {
        desk.append(Topic::DECISIONS, 0, "k", n.to_string()).await;
    }
    let mut client = Client::open(server, &desk.admin, "decisions/tail?from=earliest").await;
    let third = client.records(3).await.pop().unwrap();
    drop(client);
    for n in 110..120 {
        desk.append(Topic::DECISIONS, 0, "k", n.to_string()).await;
    }
    let retention = Retention {
        max_age_s: None,
        max_bytes: Some(9),
    };
    desk.log
        .create_topic(
            &Topic::DECISIONS,
            TopicConfig {
                partitions: 1,
                retention,
            },
        )
        .await
        .unwrap();
    desk.log.run_retention();
    let mut client = Client::open(
        server,
        &desk.admin,
        &format!("decisions/tail?from={}", cursor(&third)),
    )
    .await;
    let mut gap = client.next_of("gap").await;
    assert!(cursor(&gap).ends_with("/0:17"));
    gap["cursor"] = json!("…");
    assert_eq!(
        gap,
        json!({"type": "gap", "partition": 0, "from": 3, "to": 17, "reason": "evicted", "cursor": "…"})
    );
    let rest = client.records(3).await;
    assert_eq!(
        rest.iter()
            .map(|f| f["data"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [117, 118, 119]
    );
}

#[tokio::test]
async fn a_message_nobody_can_read_is_named_not_dropped() {
    let desk = Desk::new().await;
    desk.append(Topic::MESSAGES, 0, OPS, "{}").await;
    desk.take_in(message(OPS, 1, "signal", "1")).await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail?from=earliest").await;
    let frames = client.until_caught_up().await;
    assert_eq!(
        (&frames[1]["type"], &frames[1]["reason"]),
        (&json!("gap"), &json!("corrupt"))
    );
    assert_eq!(texts(&frames), ["1"]);
}

#[tokio::test]
async fn latest_gives_new_records_only_and_a_time_those_since() {
    let desk = Desk::new().await;
    desk.append(Topic::DECISIONS, 0, "k", "1").await;
    desk.clock.advance(std::time::Duration::from_secs(60));
    desk.append(Topic::DECISIONS, 0, "k", "2").await;
    let server = serve(&desk).await;
    let mut latest = Client::open(server, &desk.admin, "decisions/tail").await;
    let mut since = Client::open(
        server,
        &desk.admin,
        "decisions/tail?from=2026-01-05T10:00:30Z",
    )
    .await;
    let first = latest.next().await.unwrap();
    assert_eq!(
        (&first["type"], &first["cursor"]),
        (&json!("heartbeat"), &first["head"])
    );
    desk.append(Topic::DECISIONS, 0, "k", "3").await;
    assert_eq!(latest.next_of("record").await["data"], 3);
    let both = since.records(2).await;
    assert_eq!((&both[0]["data"], &both[1]["data"]), (&json!(2), &json!(3)));
}

#[tokio::test]
async fn heartbeats_go_on_while_nothing_happens() {
    let desk = Desk::new().await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail").await;
    for _ in 0..4 {
        assert_eq!(client.next().await.unwrap()["type"], "heartbeat");
    }
}

#[tokio::test]
async fn a_limited_key_never_receives_other_chats() {
    let desk = Desk::new().await;
    for id in 1..=40 {
        let chat = if id % 2 == 0 { OPS } else { NEWS };
        // Both in one partition.
        let value = serde_json::to_vec(&message(chat, id, "signal", &format!("{id}"))).unwrap();
        desk.append(Topic::MESSAGES, 0, chat, value).await;
    }
    let server = serve(&desk).await;
    let key = desk.key(&[Scope::Read], Some(&[OPS])).await;
    let mut expected: Vec<String> = (1..=20).map(|i| (2 * i).to_string()).collect();
    for filter in [
        "",
        "&include_noise=true",
        &format!("&chat={NEWS}&chat={OPS}"),
    ] {
        let mut client = Client::open(
            server,
            &key,
            &format!("messages/tail?from=earliest{filter}"),
        )
        .await;
        let frames = client.until_caught_up().await;
        assert_eq!(texts(&frames), expected);
        // And live: of what comes now, only its own.
        for (chat, text) in [(NEWS, "чуже"), (OPS, "своє"), (NEWS, "чуже"), (OPS, "і це")]
        {
            let value = serde_json::to_vec(&message(chat, 99, "signal", text)).unwrap();
            desk.append(Topic::MESSAGES, 0, chat, value).await;
        }
        let now = client.records(2).await;
        assert_eq!(texts(&now), ["своє", "і це"]);
        expected.extend(["своє".to_owned(), "і це".to_owned()]);
    }
    for topic in ["telegram-raw", "dead-letters", "decisions"] {
        let refused =
            Client::try_open(server, &key, &format!("{topic}/tail?from=earliest"), &[]).await;
        assert_eq!(refused.err().unwrap().status(), 403, "{topic}");
    }
}

#[tokio::test]
async fn a_revoked_key_closes_its_sockets() {
    let desk = Desk::new().await;
    let server = serve(&desk).await;
    let created = desk
        .post("/v1/keys", json!({"name": "x", "scopes": ["read"]}))
        .await
        .ok();
    let key = created["key"].as_str().unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::open(server, key, "messages/tail").await);
    }
    let path = format!("/v1/keys/{}", created["id"].as_str().unwrap());
    desk.call(&desk.admin, "DELETE", &path, "").await;
    let started = std::time::Instant::now();
    for client in &mut clients {
        assert_eq!(client.until_closed().await.1, 1008);
    }
    assert!(started.elapsed().as_secs() < 2);
}

#[tokio::test]
async fn shutting_down_closes_every_stream() {
    let desk = Desk::new().await;
    let server = serve(&desk).await;
    let mut client = Client::open(server, &desk.admin, "messages/tail").await;
    client.next().await.unwrap();
    desk.shutdown.cancel();
    assert_eq!(client.until_closed().await.1, 1001);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_and_can_resume() {
    let desk = Desk::with(ApiConfig {
        tail: TailConfig {
            stalled_after_ms: 300,
            max_streams: 2,
            ..TailConfig::default()
        },
        ..ApiConfig::default()
    })
    .await;
    // More than the kernel's buffers on both sides take.
    let big = format!("\"{}\"", "x".repeat(1 << 20));
    for _ in 0..40 {
        desk.append(Topic::DECISIONS, 0, "k", big.clone()).await;
    }
    let server = serve(&desk).await;
    let mut slow = Client::open(server, &desk.admin, "decisions/tail?from=earliest").await;
    // Another one is not held up meanwhile.
    let mut quick = Client::open(server, &desk.admin, "decisions/tail?from=earliest").await;
    assert_eq!(quick.records(40).await.len(), 40);
    // The server has noticed once the place of the slow client is free.
    let place_is_free = async {
        while Client::try_open(server, &desk.admin, "messages/tail", &[])
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::wire::PATIENCE, place_is_free)
        .await
        .unwrap();
    let (frames, code) = slow.until_closed().await;
    assert_eq!(code, 1013);
    let records: Vec<_> = frames.iter().filter(|f| f["type"] == "record").collect();
    assert!(records.len() < 40);
    let last = cursor(frames.last().unwrap());
    let mut again = Client::open(server, &desk.admin, &format!("decisions/tail?from={last}")).await;
    let rest = again.records(40 - records.len()).await;
    assert_eq!(rest[0]["offset"].as_u64().unwrap() as usize, records.len());
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let desk = Desk::with(ApiConfig {
        allowed_origins: vec!["https://desk.example.org".into()],
        ..ApiConfig::default()
    })
    .await;
    let server = serve(&desk).await;
    let own = format!("http://{server}");
    for (origin, status) in [
        ("https://evil.example", 403),
        ("null", 403),
        (own.as_str(), 101),
        ("https://desk.example.org", 101),
    ] {
        let opened =
            Client::try_open(server, &desk.admin, "messages/tail", &[("origin", origin)]).await;
        assert_eq!(
            opened.err().map_or(101, |r| r.status().as_u16()),
            status,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn streams_are_bounded() {
    let desk = Desk::with(ApiConfig {
        tail: TailConfig {
            max_streams: 2,
            ..TailConfig::default()
        },
        ..ApiConfig::default()
    })
    .await;
    let server = serve(&desk).await;
    let _open = [
        Client::open(server, &desk.admin, "messages/tail").await,
        Client::open(server, &desk.admin, "messages/tail").await,
    ];
    let refused = Client::try_open(server, &desk.admin, "messages/tail", &[])
        .await
        .err()
        .unwrap();
    assert_eq!(refused.status(), 503);
}

#[tokio::test]
async fn many_clients_behind_and_live_receive_everything() {
    let desk = Desk::with(ApiConfig {
        // A short window: live clients fall behind it and must catch up from the log.
        tail: TailConfig {
            recent_records: 3,
            queue_records: 2,
            heartbeat_ms: 100,
            ..TailConfig::default()
        },
        ..ApiConfig::default()
    })
    .await;
    let server = serve(&desk).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Client::open(server, &desk.admin, "messages/tail?from=earliest").await);
    }
    for id in 1..=200 {
        desk.take_in(message(OPS, id, "signal", &format!("{id}")))
            .await;
    }
    let expected: Vec<_> = (1..=200).map(|i| i.to_string()).collect();
    for client in &mut clients {
        let frames = client.records(200).await;
        assert_eq!(texts(&frames), expected);
    }
}
