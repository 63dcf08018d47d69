//! Every hit's origin leads to the raw record, byte for byte.

use std::collections::HashMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::server::{Home, sample};

#[derive(Deserialize)]
struct Export<'a> {
    #[serde(borrow)]
    chats: Chats<'a>,
}

#[derive(Deserialize)]
struct Chats<'a> {
    #[serde(borrow)]
    list: Vec<Chat<'a>>,
}

#[derive(Deserialize)]
struct Chat<'a> {
    id: i64,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    offset: u64,
    #[serde(borrow)]
    data: Raw<'a>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[tokio::test]
async fn every_message_leads_to_its_raw_record_byte_for_byte() {
    let bytes = sample();
    let export: Export<'_> = serde_json::from_slice(&bytes).unwrap();
    let mut sources: HashMap<String, &str> = HashMap::new();
    for chat in &export.chats.list {
        for raw in &chat.messages {
            let id = serde_json::from_str::<serde_json::Value>(raw.get()).unwrap()["id"]
                .as_i64()
                .unwrap();
            sources.insert(format!("-{}:{id}", 1_000_000_000_000 + chat.id), raw.get());
        }
    }
    let home = Home::new();
    let server = home.serve();
    server.import("sample", bytes.clone()).await;
    server.settled().await;
    let messages = server.messages().await;
    assert_eq!(messages.len(), sources.len());
    for message in &messages {
        let origin = &message["origin"];
        let path = format!(
            "/v1/topics/{}/partitions/{}/records?from={}&limit=1",
            origin["topic"].as_str().unwrap(),
            origin["partition"],
            origin["offset"]
        );
        let text = server
            .request(Method::GET, &path)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let page: Page<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(page.items[0].offset, origin["offset"].as_u64().unwrap());
        let id = message["id"].as_str().unwrap();
        assert_eq!(page.items[0].data.payload.get(), sources[id], "{id}");
    }
}
