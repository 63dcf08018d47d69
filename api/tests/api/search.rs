//! Search: pages pinned while messages arrive, filters, hostile queries.

use serde_json::{Value, json};
use telesift_api::ApiConfig;
use telesift_ports::catalog::Scope;

use crate::desk::{Desk, NEWS, OPS, message};

async fn filled(n: i64) -> Desk {
    let desk = Desk::new().await;
    for id in 1..=n {
        let chat = if id % 2 == 0 { OPS } else { NEWS };
        desk.take_in(message(chat, id, "signal", &format!("реліз версії {id}")))
            .await;
    }
    desk
}

fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|h| h["message"]["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_hit_shows_scores_highlights_and_message() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "👍 Нова версія вийде завтра"))
        .await;
    desk.take_in(message(OPS, 2, "signal", "зовсім інше")).await;
    let body = json!({"query": "версія", "mode": "text"});
    let answer = desk.post("/v1/search", body).await.ok();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(answer, {".took_ms" => "[ms]", ".hits[].score" => "[score]", ".hits[].text_score" => "[score]"});
}

#[tokio::test]
async fn every_mode_finds_the_message() {
    let desk = filled(4).await;
    for mode in ["hybrid", "text", "vector"] {
        let answer = desk
            .post(
                "/v1/search",
                json!({"query": "реліз версії 3", "mode": mode}),
            )
            .await
            .ok();
        assert_eq!(ids(&answer).len(), 4, "{mode}: {answer}");
    }
}

#[tokio::test]
async fn a_pinned_result_does_not_change_while_messages_arrive() {
    let desk = filled(60).await;
    let ask = json!({"query": "реліз", "mode": "text", "limit": 7});
    let whole = desk
        .post(
            "/v1/search",
            json!({"query": "реліз", "mode": "text", "limit": 100}),
        )
        .await
        .ok();
    let mut seen = Vec::new();
    let mut answer = desk.post("/v1/search", ask).await.ok();
    for round in 0.. {
        seen.extend(ids(&answer));
        let Some(cursor) = answer["next_cursor"].as_str() else {
            break;
        };
        desk.take_in(message(OPS, 1_000 + round, "signal", "реліз реліз реліз"))
            .await;
        answer = desk
            .post("/v1/search", json!({"cursor": cursor, "limit": 7}))
            .await
            .ok();
    }
    assert_eq!(seen.len(), 60);
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 60, "nothing twice");
    assert_eq!(seen[..7], ids(&whole)[..7]);
}

#[tokio::test]
async fn a_page_may_repeat_its_search_but_not_another() {
    let desk = filled(5).await;
    let mut body =
        json!({"query": "реліз", "mode": "text", "limit": 2, "filter": {"langs": ["uk"]}});
    let first = desk.post("/v1/search", body.clone()).await.ok();
    body["cursor"] = first["next_cursor"].clone();
    assert_eq!(
        ids(&desk.post("/v1/search", body.clone()).await.ok()).len(),
        2
    );
    body["query"] = json!("інше");
    desk.post("/v1/search", body)
        .await
        .problem(400, "invalid_cursor");
}

#[tokio::test]
async fn an_expired_result_is_gone() {
    let desk = Desk::with(ApiConfig {
        search_pin_s: 0,
        ..ApiConfig::default()
    })
    .await;
    for id in 1..=3 {
        desk.take_in(message(OPS, id, "signal", "реліз")).await;
    }
    let first = desk
        .post("/v1/search", json!({"query": "реліз", "limit": 1}))
        .await
        .ok();
    let cursor = &first["next_cursor"];
    desk.post("/v1/search", json!({"cursor": cursor}))
        .await
        .problem(410, "cursor_expired");
}

#[tokio::test]
async fn a_result_is_paged_by_its_own_key_only() {
    let desk = filled(5).await;
    let first = desk
        .post("/v1/search", json!({"query": "реліз", "limit": 1}))
        .await
        .ok();
    let other = desk.key(&[Scope::Read], None).await;
    let body = json!({"cursor": first["next_cursor"]}).to_string();
    desk.call(&other, "POST", "/v1/search", body)
        .await
        .problem(410, "cursor_expired");
}

#[tokio::test]
async fn filters_apply_and_a_limited_key_finds_its_chats_only() {
    let desk = filled(6).await;
    let body = json!({"query": "реліз", "filter": {"chats": [NEWS], "classes": ["signal"], "min_score": 0.5}});
    let found = ids(&desk.post("/v1/search", body).await.ok());
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|id| id.starts_with(NEWS)));

    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for mode in ["hybrid", "text", "vector"] {
        let body = json!({"query": "реліз версії", "mode": mode, "limit": 2}).to_string();
        let first = desk.call(&limited, "POST", "/v1/search", body).await.ok();
        let more = json!({"cursor": first["next_cursor"]}).to_string();
        let more = desk.call(&limited, "POST", "/v1/search", more).await.ok();
        let found = [ids(&first), ids(&more)].concat();
        assert_eq!(found.len(), 3, "{mode}");
        assert!(found.iter().all(|id| id.starts_with(OPS)), "{mode}");
    }
}

#[tokio::test]
async fn any_text_is_answered() {
    let desk = filled(3).await;
    let long = "слово ".repeat(20_000);
    for query in [
        "",
        " ",
        "\"",
        "\"\"\"",
        "-",
        "- -",
        "OR",
        "a OR",
        "OR OR OR",
        "-реліз",
        "\"реліз",
        "((((",
        "a:b AND NOT c~2^9",
        "* ? [a TO b] {x}",
        "'; DROP TABLE messages; --",
        "👍",
        "\u{202e}abc",
        "\u{0}",
        "%_\\",
        "你好世界",
        "مرحبا",
        &long,
    ] {
        for mode in ["hybrid", "text", "vector"] {
            let answer = desk
                .post("/v1/search", json!({"query": query, "mode": mode}))
                .await;
            assert_eq!(answer.status, 200, "{mode} {query:.30}");
        }
    }
    let answer = desk.post("/v1/search", json!({"query": long})).await.ok();
    assert_eq!(answer["query_truncated"], true);
}

#[tokio::test]
async fn unknown_fields_and_values_are_refused() {
    let desk = Desk::new().await;
    let problem = desk
        .post("/v1/search", json!({"qurey": "x"}))
        .await
        .problem(400, "unknown_parameter");
    assert_eq!(problem["nearest"], "query");
    let problem = desk
        .post("/v1/search", json!({"query": "x", "filter": {"chat": []}}))
        .await
        .problem(400, "unknown_parameter");
    assert_eq!(problem["nearest"], "chats");
    let problem = desk
        .post("/v1/search", json!({"query": "x", "mode": "fuzzy"}))
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(problem["valid"], json!(["hybrid", "text", "vector"]));
    for body in [
        json!({"query": 7}),
        json!({"query": "x", "limit": 0}),
        json!({"query": "x", "limit": -1}),
        json!({"query": "x", "filter": {"classes": ["loud"]}}),
        json!({"query": "x", "filter": {"since": "soon"}}),
        json!({"query": "x", "filter": {"min_score": 7}}),
        json!({"query": "x", "filter": []}),
    ] {
        desk.post("/v1/search", body)
            .await
            .problem(400, "invalid_parameter");
    }
}
