//! Dead letters: newest first, filtered, paged, and tried again.

use serde_json::{Value, json};
use telesift_ports::{LetterCatalog, RecordLog, catalog::Scope, dead_letters::LetterRow};
use telesift_schemas::{DeadLetter, LetterState, Offset, Topic};

use crate::desk::{Desk, OPS};

/// The `i`th letter.
fn letter(i: u64) -> Value {
    let stage = if i.is_multiple_of(2) {
        "screen"
    } else {
        "index"
    };
    let code = if i.is_multiple_of(3) {
        "guest_trap"
    } else {
        "unreadable"
    };
    json!({
        "v": 1, "id": format!("{stage}:telegram-raw:0:{i}"), "stage": stage,
        "origin": {"topic": "telegram-raw", "partition": 0, "offset": i}, "code": code, "message": "it would not",
        "attempts": 1, "first_at": "2026-01-05T10:00:00Z", "last_at": "2026-01-05T10:00:00Z", "payload": {"text": "{}"},
    })
}

/// Appends a record of a letter and puts it into the catalog, as its projection would.
async fn put(desk: &Desk, letter: Value) {
    let stage = letter["stage"].as_str().unwrap().to_owned();
    let offset = desk
        .append(Topic::DEAD_LETTERS, 0, &stage, letter.to_string())
        .await;
    let letter: DeadLetter = serde_json::from_value(letter).unwrap();
    let row = LetterRow::new(letter, Offset(offset));
    desk.catalog.put_letters(&[row]).await.unwrap();
}

async fn filled(n: u64) -> Desk {
    let desk = Desk::new().await;
    for i in 0..n {
        put(&desk, letter(i)).await;
    }
    desk
}

/// What waits to be tried again, by id and attempt.
async fn requested(desk: &Desk) -> Vec<(String, u64)> {
    let state = desk.log.state_with_prefix("retry/").await.unwrap();
    let requests = state.iter().map(|(_, value)| {
        let request: Value = serde_json::from_slice(value).unwrap();
        let id = request["id"].as_str().unwrap().to_owned();
        (id, request["attempt"].as_u64().unwrap())
    });
    requests.collect()
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

#[tokio::test]
async fn letters_are_listed_by_where_they_stand() {
    let desk = filled(4).await;
    let mut solved = letter(2);
    solved["state"] = "solved".into();
    solved["attempts"] = 2.into();
    solved.as_object_mut().unwrap().remove("payload");
    put(&desk, solved).await;
    let page = desk.get("/v1/dead-letters?state=solved").await.ok();
    assert_eq!(offsets(&page), [2]);
    let item = &page["items"][0];
    assert_eq!(
        (&item["state"], &item["attempts"]),
        (&json!("solved"), &json!(2))
    );
    assert_eq!(
        item["payload"],
        json!({"text": "{}"}),
        "of its first record"
    );
    let page = desk
        .get("/v1/dead-letters?state=open&state=retrying")
        .await
        .ok();
    assert_eq!(offsets(&page), [3, 1, 0]);
    desk.get("/v1/dead-letters?state=closed")
        .await
        .problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_retry_is_requested_once() {
    let desk = filled(3).await;
    let path = "/v1/dead-letters/screen:telegram-raw:0:2/retry";
    for _ in 0..2 {
        let answer = desk.post(path, json!({})).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.ok()["state"], "retrying");
        assert_eq!(
            requested(&desk).await,
            [("screen:telegram-raw:0:2".to_owned(), 2)]
        );
    }
    let record = desk
        .get("/v1/topics/dead-letters/partitions/0/records?from=3")
        .await
        .ok();
    assert_eq!(record["items"].as_array().unwrap().len(), 1);
    assert_eq!(record["items"][0]["data"]["state"], "retrying");
    desk.post("/v1/dead-letters/screen:telegram-raw:0:9/retry", json!({}))
        .await
        .problem(404, "not_found");
    desk.post(path, json!({"force": true}))
        .await
        .problem(400, "unknown_parameter");
}

#[tokio::test]
async fn a_solved_letter_is_left_alone() {
    let desk = filled(1).await;
    let mut solved = letter(0);
    solved["state"] = "solved".into();
    put(&desk, solved).await;
    let answer = desk
        .post("/v1/dead-letters/screen:telegram-raw:0:0/retry", json!({}))
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.ok()["state"]),
        (200, &json!("solved"))
    );
    assert!(requested(&desk).await.is_empty());
}

#[tokio::test]
async fn many_are_tried_again_by_name_or_by_kind() {
    let desk = filled(1_203).await;
    let named = json!({"ids": ["screen:telegram-raw:0:2", "index:telegram-raw:0:3"]});
    let answer = desk.post("/v1/dead-letters/retry", named.clone()).await;
    assert_eq!(
        answer.ok(),
        json!({"requested": 2, "passed_over": 0, "more": false})
    );
    let answer = desk.post("/v1/dead-letters/retry", named).await;
    assert_eq!(
        answer.ok(),
        json!({"requested": 0, "passed_over": 2, "more": false})
    );

    let of_screen = json!({"all": true, "stages": ["screen"], "codes": ["guest_trap"]});
    let answer = desk.post("/v1/dead-letters/retry", of_screen).await;
    assert_eq!(answer.ok()["requested"], 201, "every sixth of 1,203");
    let answer = desk
        .post("/v1/dead-letters/retry", json!({"all": true}))
        .await;
    assert_eq!(
        answer.ok(),
        json!({"requested": 1_000, "passed_over": 203, "more": false})
    );
    assert_eq!(requested(&desk).await.len(), 1_203);

    for wrong in [
        json!({}),
        json!({"ids": ["screen:telegram-raw:0:2"], "all": true}),
        json!({"ids": ["screen:telegram-raw:0:2"], "stages": ["screen"]}),
        json!({"all": true, "stages": ["scren"]}),
        json!({"all": true, "codes": ["boom"]}),
        json!({"ids": vec!["screen:telegram-raw:0:2"; 501]}),
    ] {
        let problem = desk.post("/v1/dead-letters/retry", wrong.clone()).await;
        assert_eq!(problem.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn only_keys_that_see_every_chat_see_dead_letters() {
    let desk = filled(1).await;
    // Admin keys, which alone may retry, are never limited.
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for (method, path, code) in [
        ("GET", "/v1/dead-letters", "limited_key"),
        (
            "GET",
            "/v1/dead-letters/screen:telegram-raw:0:0",
            "limited_key",
        ),
        (
            "POST",
            "/v1/dead-letters/screen:telegram-raw:0:0/retry",
            "missing_scope",
        ),
        ("POST", "/v1/dead-letters/retry", "missing_scope"),
    ] {
        let answer = desk.call(&limited, method, path, "").await;
        answer.problem(403, code);
    }
    assert!(requested(&desk).await.is_empty());
}

#[tokio::test]
async fn a_letter_whose_record_is_evicted_has_no_payload() {
    let desk = filled(1).await;
    // As after a restore: what the catalog remembers lies elsewhere now.
    let elsewhere = LetterRow {
        id: "index:telegram-raw:0:7".into(),
        first: Offset(500),
        last: Offset(500),
        ..LetterRow::new(serde_json::from_value(letter(1)).unwrap(), Offset(500))
    };
    desk.catalog.put_letters(&[elsewhere]).await.unwrap();
    let answer = desk
        .get("/v1/dead-letters/index:telegram-raw:0:7")
        .await
        .ok();
    assert_eq!(answer["payload"], Value::Null);
    assert_eq!(
        answer["state"],
        serde_json::to_value(LetterState::Open).unwrap()
    );
}
