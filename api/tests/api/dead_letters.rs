//! Dead letters: newest first, filtered, paged.

use serde_json::{Value, json};
use telesift_schemas::Topic;

use crate::desk::Desk;

async fn filled(n: u64) -> Desk {
    let desk = Desk::new().await;
    for i in 0..n {
        let stage = if i % 2 == 0 { "screen" } else { "index" };
        let code = if i % 3 == 0 {
            "guest_trap"
        } else {
            "unreadable"
        };
        let letter = json!({
            "v": 1, "id": format!("{stage}:telegram-raw:0:{i}"), "stage": stage,
            "origin": {"topic": "telegram-raw", "partition": 0, "offset": i}, "code": code, "message": "it would not",
            "attempts": 1, "first_at": "2026-01-05T10:00:00Z", "last_at": "2026-01-05T10:00:00Z", "payload": {"text": "{}"},
        });
        desk.append(Topic::DEAD_LETTERS, 0, stage, letter.to_string())
            .await;
    }
    desk
}

fn offsets(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|i| i["origin"]["offset"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_dead_letter_says_what_to_do() {
    let desk = filled(4).await;
    let letter = desk
        .get("/v1/dead-letters/index:telegram-raw:0:3")
        .await
        .ok();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(letter);
    desk.get("/v1/dead-letters/index:telegram-raw:0:4")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn pages_go_back_to_the_oldest() {
    let desk = filled(450).await;
    let (mut seen, mut path) = (Vec::new(), "/v1/dead-letters?limit=70".to_owned());
    loop {
        let page = desk.get(&path).await.ok();
        seen.extend(offsets(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/dead-letters?limit=70&cursor={cursor}");
    }
    assert_eq!(seen, (0..450).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let desk = filled(12).await;
    let page = desk
        .get("/v1/dead-letters?stage=screen&code=guest_trap")
        .await
        .ok();
    assert_eq!(offsets(&page), [6, 0]);
    let page = desk.get("/v1/dead-letters?stage=screen-g2").await.ok();
    assert!(offsets(&page).is_empty());
    let problem = desk
        .get("/v1/dead-letters?stage=scren")
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(problem["nearest"], "screen");
    desk.get("/v1/dead-letters?code=boom")
        .await
        .problem(400, "invalid_parameter");
}

#[tokio::test]
async fn no_dead_letters_is_an_empty_list() {
    let desk = Desk::new().await;
    let page = desk.get("/v1/dead-letters").await.ok();
    assert_eq!(page, json!({"items": [], "next_cursor": null}));
}
