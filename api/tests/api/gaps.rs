//! Gaps: holes in message ids, told with what they can mean, to those who may see the chat.

use serde_json::{Value, json};
use telesift_ports::catalog::{ChatLinks, Scope};
use telesift_schemas::ChatId;

use crate::desk::{Desk, NEWS, OPS, message};

#[tokio::test]
async fn holes_are_listed_in_pages() {
    let desk = Desk::new().await;
    for id in [3, 4, 7, 9, 20] {
        desk.take_in(message(OPS, id, "noise", "x")).await;
    }
    let whole = desk.get(&format!("/v1/chats/{OPS}/gaps")).await.ok();
    assert_eq!(
        (
            &whole["first"],
            &whole["last"],
            &whole["n_known"],
            &whole["n_missing"]
        ),
        (&json!(3), &json!(20), &json!(5), &json!(13))
    );
    assert_eq!(whole["conclusive"], true);
    assert_eq!(
        whole["items"],
        json!([{"from": 5, "to": 6, "n": 2}, {"from": 8, "to": 8, "n": 1}, {"from": 10, "to": 19, "n": 10}])
    );
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/chats/{OPS}/gaps?limit=1{cursor}");
        let page = desk.get(&path).await.ok();
        found.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(found), whole["items"]);
}

#[tokio::test]
async fn where_ids_are_shared_holes_say_nothing_and_the_answer_says_so() {
    let desk = Desk::new().await;
    for chat in ["-77", "42"] {
        for id in [1, 5] {
            desk.take_in(message(chat, id, "noise", "x")).await;
        }
        let report = desk.get(&format!("/v1/chats/{chat}/gaps")).await.ok();
        assert_eq!(report["conclusive"], false);
        assert!(report["note"].as_str().unwrap().contains("basic groups"));
        assert_eq!(report["n_missing"], 3);
    }
}

#[tokio::test]
async fn a_chat_that_is_not_there_or_not_shown_looks_the_same() {
    let desk = Desk::new().await;
    desk.take_in(message(NEWS, 1, "noise", "x")).await;
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for (key, chat) in [(&limited, NEWS), (&limited, OPS), (&desk.admin, OPS)] {
        let path = format!("/v1/chats/{chat}/gaps");
        desk.call(key, "GET", &path, "")
            .await
            .problem(404, "not_found");
    }
    desk.get("/v1/chats/ops/gaps")
        .await
        .problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_linked_to_it() {
    let desk = Desk::new().await;
    desk.take_in(message("-55", 1, "noise", "x")).await;
    desk.take_in(message(OPS, 1, "noise", "x")).await;
    let ops: ChatId = OPS.parse().unwrap();
    desk.catalog.link_chats(ChatId(-55), ops).await.unwrap();
    let chats = desk.get("/v1/chats").await.ok();
    let of = |id: &str| {
        let items = chats["items"].as_array().unwrap();
        items.iter().find(|c| c["id"] == id).unwrap().clone()
    };
    assert_eq!(of("-55")["migrated_to"], OPS);
    assert_eq!(of(OPS)["migrated_from"], "-55");
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    let chats = desk.call(&limited, "GET", "/v1/chats", "").await;
    assert!(!String::from_utf8_lossy(&chats.bytes).contains("-55"));
}
