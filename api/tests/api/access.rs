//! Rights: every route of the OpenAPI document, with keys of every scope, unlimited and limited, and without one.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::Value;
use telesift_ports::catalog::Scope;

use crate::desk::{Desk, NEWS, OPS, message};

/// An operation of the document, with sample values in its path.
pub(crate) struct Operation {
    pub(crate) method: String,
    /// As the document writes it.
    pub(crate) pattern: String,
    pub(crate) path: String,
    /// `x-access`.
    pub(crate) access: Value,
}

impl Operation {
    fn allows(&self, scope: Scope, is_limited: bool) -> bool {
        let scopes = self.access["scopes"].as_array().unwrap();
        let has = scope == Scope::Admin || scopes.iter().any(|s| s == scope.as_str());
        has && (!is_limited || self.access["limited_keys"] == true)
    }
}

/// Every operation; one that nobody classified fails whoever walks them.
pub(crate) async fn operations(desk: &Desk) -> Vec<Operation> {
    let document = desk.call("", "GET", "/openapi.json", "").await.ok();
    let mut found = Vec::new();
    for (pattern, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let access = &operation["x-access"];
            assert!(
                access["class"].is_string(),
                "nobody classified {method} {pattern}: give it a line in `access::ROUTES`"
            );
            let path = pattern
                .replace("/messages/{id}", &format!("/messages/{NEWS}:1"))
                .replace("{topic}", "messages")
                .replace("{version}", "length@1")
                .replace("/chats/{id}", &format!("/chats/{NEWS}"))
                .replace("{name}", "x")
                .replace("{bot}", "x")
                .replace("{partition}", "1")
                .replace("{id}", "x");
            found.push(Operation {
                method: method.to_uppercase(),
                pattern: pattern.clone(),
                path,
                access: access.clone(),
            });
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    found
}

/// The status and, of a problem, the code. A stream is not read.
async fn outcome(desk: &Desk, key: &str, operation: &Operation) -> (StatusCode, Option<String>) {
    let mut request = Request::builder()
        .method(&*operation.method)
        .uri(&operation.path);
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let response = desk.send(request.body(Body::empty()).unwrap()).await;
    let status = response.status();
    if status.is_success() {
        return (status, None);
    }
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    let problem: Value = serde_json::from_slice(&bytes).unwrap();
    (status, problem["code"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn each_key_may_what_its_scope_and_limit_say_and_nothing_else() {
    let desk = Desk::new().await;
    desk.take_in(message(NEWS, 1, "signal", "слово")).await;
    for scope in [Scope::Read, Scope::Review, Scope::Ingest, Scope::Admin] {
        for chats in [None, Some(&[OPS][..])] {
            if scope == Scope::Admin && chats.is_some() {
                continue; // no such key is made
            }
            let key = desk.key(&[scope], chats).await;
            for operation in operations(&desk).await {
                let (method, path) = (&operation.method, &operation.path);
                let (status, code) = outcome(&desk, &key, &operation).await;
                let what = format!("{scope:?} {chats:?} {method} {path}: {status} {code:?}");
                if operation.access["class"] == "open" {
                    assert_eq!(status, 200, "{what}");
                } else if operation.access["class"] == "webhook" {
                    assert_eq!(status, 401, "a key is no secret of a bot: {what}");
                } else if operation.allows(scope, chats.is_some()) {
                    assert!(![401, 403, 500].contains(&status.as_u16()), "{what}");
                } else {
                    assert_eq!(status, 403, "{what}");
                    let code = code.unwrap();
                    assert!(["missing_scope", "limited_key"].contains(&&*code), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_spans_all_chats_is_closed_to_limited_keys() {
    let desk = Desk::new().await;
    let closed = [
        "/v1/stats",
        "/v1/dead-letters",
        "/v1/bots",
        "/v1/telegram",
        "/v1/imports",
        "/v1/replays",
        "/v1/rules",
        "/v1/keys",
        "/v1/audit",
        "/v1/approval-rules",
        "/v1/providers",
        "/v1/generations",
        "/metrics",
    ];
    let open_to_limited = [
        "/healthz",
        "/readyz",
        "/v1/messages",
        "/v1/stories",
        "/v1/chats",
        "/v1/search",
        "/v1/feedback",
        "/v1/topics",
        "/v1/tickets",
        "/v1/atoms",
        "/v1/subjects",
        "/v1/trends",
        "/v1/bursts",
    ];
    for operation in operations(&desk).await {
        let starts = |list: &[&str]| list.iter().any(|p| operation.pattern.starts_with(p));
        let is_open = operation.access["limited_keys"] == true;
        // Their chats they see; what is set for a chat is its administrator's.
        if (operation.method.as_str(), operation.pattern.as_str()) == ("PATCH", "/v1/chats/{id}") {
            assert!(!is_open);
            continue;
        }
        assert_eq!(is_open, !starts(&closed), "{}", operation.pattern);
        // A new area is looked at by a person, here, before limited keys get it.
        assert_eq!(is_open, starts(&open_to_limited), "{}", operation.pattern);
    }
}

#[tokio::test]
async fn without_a_valid_key_there_is_health_and_nothing_else() {
    let desk = Desk::new().await;
    let revoked = desk.post(
        "/v1/keys",
        serde_json::json!({"name": "x", "scopes": ["admin"]}),
    );
    let revoked = revoked.await.ok();
    let path = format!("/v1/keys/{}", revoked["id"].as_str().unwrap());
    desk.call(&desk.admin, "DELETE", &path, "").await;
    let revoked = revoked["key"].as_str().unwrap();
    let mut open = Vec::new();
    for operation in operations(&desk).await {
        for key in ["", "tsk_x_y", revoked] {
            let (status, code) = outcome(&desk, key, &operation).await;
            if operation.access["class"] == "open" {
                assert_eq!(status, 200, "{}", operation.path);
                open.push(operation.pattern.clone());
            } else {
                assert_eq!(status, 401, "{} {}", operation.method, operation.path);
                assert_eq!(code.as_deref(), Some("unauthorized"));
            }
        }
    }
    open.dedup();
    assert_eq!(open, ["/healthz", "/readyz"]);
    let request = Request::get("/v1/messages").header("authorization", "Basic dXNlcjpwYXNz");
    let answer = desk.answer(request.body(Body::empty()).unwrap()).await;
    answer.problem(401, "unauthorized");
    assert!(answer.headers.contains_key("www-authenticate"));
}
