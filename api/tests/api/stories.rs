//! Stories: in every message, as a list, and never wider than the key.

use serde_json::{Value, json};
use telesift_ports::{StoryCatalog as _, catalog::Scope};
use telesift_schemas::{Generation, StoryAssigned, StoryLink};

use crate::desk::{Desk, NEWS, OPS, message};

const STORY: &str = "1f0c9a7be2d34456a1b2c3d4e5f60718";
const HIDDEN: &str = "-1005555555555";

/// One story in three chats: the oldest hidden, two in `NEWS`, one in `OPS`; a message beside it in each.
async fn told() -> Desk {
    let desk = Desk::new().await;
    for (chat, id) in [(HIDDEN, 1), (NEWS, 2), (NEWS, 3), (OPS, 4)] {
        let taken = desk
            .take_in(message(chat, id, "signal", "міст закрито до ранку"))
            .await;
        let assigned = StoryAssigned {
            v: StoryAssigned::VERSION,
            message: taken.id,
            edit: 0,
            story: STORY.to_owned(),
            first: format!("{HIDDEN}:1").parse().unwrap(),
            how: StoryLink::Near,
            similarity: 0.9,
            event_time: taken.event_time,
            first_time: None,
            joined_time: None,
            origin: taken.origin.unwrap(),
        };
        desk.catalog
            .add_story_members(Generation::FIRST, &[assigned])
            .await
            .unwrap();
    }
    for chat in [NEWS, OPS] {
        desk.take_in(message(chat, 9, "signal", "окреме повідомлення"))
            .await;
    }
    desk
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|m| m["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_message_carries_its_story() {
    let desk = told().await;
    let story = json!({"id": STORY, "first": format!("{HIDDEN}:1"), "size": 4});
    let one = desk
        .get(&format!("/v1/messages/{OPS}:4?history=true"))
        .await
        .ok();
    assert_eq!(one["story"], story);
    let alone = desk.get(&format!("/v1/messages/{OPS}:9")).await.ok();
    assert_eq!(alone["story"], Value::Null);

    let found = desk
        .post(
            "/v1/search",
            json!({"query": "міст", "mode": "text", "limit": 2}),
        )
        .await
        .ok();
    let cursor = found["next_cursor"].clone();
    let rest = desk
        .post("/v1/search", json!({"cursor": cursor, "limit": 9}))
        .await
        .ok();
    let hits = [&found, &rest].map(|page| page["hits"].as_array().unwrap().clone());
    let hits = hits.concat();
    assert_eq!(hits.len(), 4);
    assert!(hits.iter().all(|hit| hit["message"]["story"] == story));

    for path in [
        "/v1/messages".to_owned(),
        format!("/v1/messages/{OPS}:4/context"),
    ] {
        let page = desk.get(&path).await.ok();
        for message in page["items"].as_array().unwrap() {
            let is_told = message["text"] != "окреме повідомлення";
            assert_eq!(message["story"] == story, is_told, "{path}: {message}");
        }
    }
}

#[tokio::test]
async fn a_story_is_listed_oldest_first_page_by_page() {
    let desk = told().await;
    let path = format!("/v1/stories/{STORY}");
    let expected = [(HIDDEN, 1), (NEWS, 2), (NEWS, 3), (OPS, 4)].map(|(c, id)| format!("{c}:{id}"));
    assert_eq!(ids(&desk.get(&path).await.ok()), expected);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&format!("{path}?limit=1{cursor}")).await.ok();
        listed.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, expected);
    desk.get("/v1/stories/nobody")
        .await
        .problem(404, "not_found");
    desk.get(&format!("{path}?size=2"))
        .await
        .problem(400, "unknown_parameter");
}

#[tokio::test]
async fn a_story_counts_allowed_chats_only() {
    let desk = told().await;
    let path = format!("/v1/stories/{STORY}");
    let both = desk.key(&[Scope::Read], Some(&[NEWS, OPS])).await;
    let seen = desk
        .call(&both, "GET", &format!("/v1/messages/{OPS}:4"), "")
        .await
        .ok();
    assert_eq!(
        seen["story"],
        json!({"id": STORY, "first": format!("{NEWS}:2"), "size": 3})
    );
    let page = desk.call(&both, "GET", &path, "").await.ok();
    assert_eq!(ids(&page).len(), 3);
    let spread = &page["spread"];
    assert_eq!(
        (&spread["messages"], &spread["chats"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(spread["first_seen"], "2026-01-05T10:00:02Z");
    assert_eq!(
        spread["path"][1],
        json!({"chat": OPS, "title": "Ops", "at": "2026-01-05T10:00:04Z"})
    );

    // One is left: no story, and none to be found.
    let one = desk.key(&[Scope::Read], Some(&[OPS])).await;
    let seen = desk
        .call(&one, "GET", &format!("/v1/messages/{OPS}:4"), "")
        .await
        .ok();
    assert_eq!(seen["story"], Value::Null);
    desk.call(&one, "GET", &path, "")
        .await
        .problem(404, "not_found");
    let page = desk.call(&one, "GET", &format!("{path}?limit=1"), "").await;
    page.problem(404, "not_found");
}

#[tokio::test]
async fn the_signature_stays_inside() {
    let desk = Desk::new().await;
    let mut signed = message(OPS, 1, "signal", "слово");
    signed.signature = Some("AQEAAQ".to_owned());
    desk.take_in(signed).await;
    let seen = desk.get(&format!("/v1/messages/{OPS}:1")).await.ok();
    assert_eq!(seen.get("signature"), None);
}
