//! Keys and scopes.

use std::time::Duration;

use axum::http::Request;
use telesift_ports::{Catalog, catalog::Scope};

use crate::desk::{Desk, OPS, message};

#[tokio::test]
async fn a_scope_opens_what_the_matrix_says() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "слово")).await;
    let routes = [
        ("GET", "/v1/messages", "RVA"),
        ("POST", "/v1/search", "RVA"),
        ("GET", "/v1/chats", "RVA"),
        ("GET", "/v1/topics", "RVA"),
        ("GET", "/v1/topics/telegram-raw/partitions/0/records", "RVA"),
        ("POST", "/v1/tickets", "RVA"),
        ("GET", "/v1/stats/pipeline", "RVA"),
        ("GET", "/v1/stats/screen", "RVA"),
        ("GET", "/v1/dead-letters", "RVA"),
        ("POST", "/v1/dead-letters/retry", "A"),
        ("POST", "/v1/dead-letters/x/retry", "A"),
        ("GET", "/metrics", "RVA"),
        ("GET", "/v1/imports", "IA"),
        ("POST", "/v1/imports", "IA"),
        ("GET", "/v1/keys", "A"),
        ("POST", "/v1/keys", "A"),
        ("DELETE", "/v1/keys/x", "A"),
    ];
    for (letter, scope) in [
        ('R', Scope::Read),
        ('V', Scope::Review),
        ('I', Scope::Ingest),
        ('A', Scope::Admin),
    ] {
        let key = desk.key(&[scope], None).await;
        for (method, path, allowed) in routes {
            let answer = desk.call(&key, method, path, "").await;
            let refused = answer.status == 403;
            assert_eq!(
                refused,
                !allowed.contains(letter),
                "{scope:?} {method} {path}"
            );
            if refused {
                answer.problem(403, "missing_scope");
            }
        }
    }
}

#[tokio::test]
async fn an_expired_key_does_not_work() {
    let desk = Desk::new().await;
    let at = "2026-01-05T10:00:10Z";
    let body = serde_json::json!({"name": "short", "scopes": ["read"], "expires_at": at});
    let key = desk.post("/v1/keys", body).await.ok()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    desk.call(&key, "GET", "/v1/messages", "").await.ok();
    desk.clock.advance(Duration::from_secs(10));
    desk.call(&key, "GET", "/v1/messages", "")
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_key_in_another_form_is_no_key() {
    let desk = Desk::new().await;
    let good = desk.admin.clone();
    let other_id = good.replacen(&good[4..8], "ffff", 1);
    let cut = good[..good.len() - 1].to_owned();
    for header in [
        format!("Bearer {other_id}"),
        format!("Bearer {cut}"),
        format!("Bearer {good}x"),
        format!("Basic {good}"),
        good.clone(),
        "Bearer".into(),
        "Bearer ".into(),
    ] {
        let request = Request::get("/v1/messages").header("authorization", &header);
        let request = request.body(axum::body::Body::empty()).unwrap();
        desk.answer(request).await.problem(401, "unauthorized");
    }
    let request = Request::get("/v1/messages").header("authorization", format!("bearer  {good}"));
    let request = request.body(axum::body::Body::empty()).unwrap();
    desk.answer(request).await.ok();
}

#[tokio::test]
async fn last_use_is_noted_at_most_once_a_minute() {
    let desk = Desk::new().await;
    desk.get("/v1/messages").await.ok();
    let first = desk.catalog.keys(None, 1).await.unwrap()[0].last_used_at;
    assert!(first.is_some());
    desk.clock.advance(Duration::from_secs(30));
    desk.get("/v1/messages").await.ok();
    assert_eq!(
        desk.catalog.keys(None, 1).await.unwrap()[0].last_used_at,
        first
    );
}

#[tokio::test]
async fn metrics_are_open_only_if_configured() {
    let desk = Desk::new().await;
    desk.call("", "GET", "/metrics", "")
        .await
        .problem(401, "unauthorized");
    let open = Desk::with(telesift_api::ApiConfig {
        open_metrics: true,
        ..Default::default()
    })
    .await;
    let answer = open.call("", "GET", "/metrics", "").await;
    assert_eq!(&answer.bytes[..], b"up 1\n");
}
