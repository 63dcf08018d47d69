//! Topics and their records, byte for byte.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use telesift_ports::{
    RecordLog,
    catalog::Scope,
    record_log::{Retention, TopicConfig},
};
use telesift_schemas::Topic;

use crate::desk::{Desk, NEWS, OPS, message};

#[tokio::test]
async fn topics_show_what_is_kept() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "слово")).await;
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(desk.get("/v1/topics").await.ok());
}

#[tokio::test]
async fn records_come_back_byte_for_byte_with_true_offsets() {
    let desk = Desk::new().await;
    let values: [&[u8]; 6] = [
        br#"{"b":1,"a":2,"b":3}"#,
        b" [1.0, 1e300, 123456789012345678901234567890 ]\n",
        r#"{"text":"\u0416 Ж 👍","n":0.10}"#.as_bytes(),
        b"not json",
        b"\xff\x00\xfe",
        b"",
    ];
    for value in values {
        desk.append(Topic::TELEGRAM_RAW, 0, OPS, value.to_vec())
            .await;
    }
    let answer = desk
        .get("/v1/topics/telegram-raw/partitions/0/records?limit=500")
        .await;
    let page = answer.ok();
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    for (offset, value) in values.iter().enumerate() {
        let item = &page["items"][offset];
        assert_eq!(item["offset"], json!(offset));
        assert_eq!(item["key"], OPS);
        match &item["data_base64"] {
            Value::String(encoded) => assert_eq!(STANDARD.decode(encoded).unwrap(), *value),
            _ => assert!(
                text.contains(&format!(
                    "\"data\":{}}}",
                    std::str::from_utf8(value).unwrap()
                )),
                "{offset}"
            ),
        }
    }
    assert!(page["items"][2].get("data_base64").is_none());
    assert!(page["items"][3]["data"].is_null() && page["items"][3]["data_base64"].is_string());
    assert_eq!(
        (&page["next"], &page["start"], &page["end"]),
        (&json!(6), &json!(0), &json!(6))
    );
}

#[tokio::test]
async fn pages_go_on_while_next_is_below_the_end() {
    let desk = Desk::new().await;
    for n in 0..25 {
        desk.append(Topic::TELEGRAM_RAW, 0, OPS, n.to_string())
            .await;
    }
    let (mut seen, mut from) = (Vec::new(), 0);
    loop {
        let page = desk
            .get(&format!(
                "/v1/topics/telegram-raw/partitions/0/records?from={from}&limit=10"
            ))
            .await
            .ok();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["data"].as_u64().unwrap()),
        );
        from = page["next"].as_u64().unwrap();
        if from >= page["end"].as_u64().unwrap() {
            break;
        }
    }
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
    let page = desk
        .get("/v1/topics/telegram-raw/partitions/0/records?from=25")
        .await
        .ok();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (0, &json!(25))
    );
    desk.get("/v1/topics/telegram-raw/partitions/0/records?from=26")
        .await
        .problem(409, "cursor_unknown");
}

#[tokio::test]
async fn evicted_offsets_are_gone_and_the_first_kept_one_is_named() {
    let desk = Desk::new().await;
    for n in 100..120 {
        desk.append(Topic::TELEGRAM_RAW, 0, OPS, n.to_string())
            .await;
    }
    let retention = Retention {
        max_age_s: None,
        max_bytes: Some(15),
    };
    desk.log
        .create_topic(
            &Topic::TELEGRAM_RAW,
            TopicConfig {
                partitions: 2,
                retention,
            },
        )
        .await
        .unwrap();
    desk.log.run_retention();
    let problem = desk
        .get("/v1/topics/telegram-raw/partitions/0/records?from=3")
        .await
        .problem(410, "evicted");
    assert_eq!(problem["first_offset"], 15);
    let page = desk
        .get("/v1/topics/telegram-raw/partitions/0/records")
        .await
        .ok();
    assert_eq!(
        (&page["items"][0]["offset"], &page["items"][0]["data"]),
        (&json!(15), &json!(115))
    );
}

#[tokio::test]
async fn an_origin_leads_to_the_raw_record() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "перше")).await;
    desk.take_in(message(OPS, 2, "signal", "друге")).await;
    let shown = desk.get(&format!("/v1/messages/{OPS}:2")).await.ok();
    let origin = &shown["origin"];
    let path = format!(
        "/v1/topics/{}/partitions/{}/records?from={}&limit=1",
        origin["topic"].as_str().unwrap(),
        origin["partition"],
        origin["offset"]
    );
    assert_eq!(
        desk.get(&path).await.ok()["items"][0]["data"]["payload"],
        "друге"
    );
}

#[tokio::test]
async fn a_limited_key_reads_its_chats_of_messages_only() {
    let desk = Desk::new().await;
    for id in 1..=4 {
        // Both chats in one partition, as a hash would have it.
        let chat = if id % 2 == 0 { OPS } else { NEWS };
        let value = serde_json::to_vec(&message(chat, id, "signal", "слово")).unwrap();
        desk.append(Topic::MESSAGES, 0, chat, value).await;
    }
    let key = desk.key(&[Scope::Read], Some(&[OPS])).await;
    let page = desk
        .call(&key, "GET", "/v1/topics/messages/partitions/0/records", "")
        .await
        .ok();
    let offsets: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["offset"].as_u64().unwrap())
        .collect();
    assert_eq!((offsets, &page["next"]), (vec![1, 3], &json!(4)));
}
