//! Every route of the OpenAPI document, without a key and with a limited one.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use telesift_ports::catalog::Scope;
use telesift_schemas::Topic;

use crate::desk::{Desk, NEWS, OPS, message};

/// Method, path with sample values, and whether the document says it is open.
async fn operations(desk: &Desk) -> Vec<(String, String, bool)> {
    let document = desk
        .call("", "GET", "/openapi.json", Body::empty())
        .await
        .ok();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path
                .replace("/messages/{id}", &format!("/messages/{NEWS}:1"))
                .replace("{topic}", "messages")
                .replace("{version}", "length@1")
                .replace("{partition}", "1")
                .replace("{id}", "x");
            let open = operation["security"] == serde_json::json!([{}]);
            found.push((method.to_uppercase(), path, open));
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[tokio::test]
async fn every_route_but_the_open_ones_needs_a_key() {
    let desk = Desk::new().await;
    for (method, path, open) in operations(&desk).await {
        for key in ["", "tsk_x_y", "Basic"] {
            let request = Request::builder().method(&*method).uri(&path);
            let request = match key {
                "" => request,
                "Basic" => request.header("authorization", "Basic dXNlcjpwYXNz"),
                key => request.header("authorization", format!("Bearer {key}")),
            };
            let answer = desk.answer(request.body(Body::empty()).unwrap()).await;
            if open {
                assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
            } else {
                answer.problem(401, "unauthorized");
                assert!(answer.headers.contains_key("www-authenticate"));
            }
        }
    }
    let open: Vec<_> = operations(&desk)
        .await
        .into_iter()
        .filter(|o| o.2)
        .collect();
    assert_eq!(open.len(), 2, "only health is open: {open:?}");
}

#[tokio::test]
async fn a_limited_key_finds_nothing_of_other_chats_on_any_route() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "видимо")).await;
    desk.take_in(message(NEWS, 1, "signal", "таємниця")).await;
    let limited = desk
        .key(&[Scope::Read, Scope::Review, Scope::Ingest], Some(&[OPS]))
        .await;
    let queries = ["", "?include_noise=true", "?from=earliest"];
    for (method, path, open) in operations(&desk).await {
        if path.ends_with("/stream") {
            continue; // never ends; see the tests of the tail
        }
        for query in queries {
            let body = match path.as_str() {
                "/v1/search" => r#"{"query": "таємниця видимо"}"#,
                _ => "",
            };
            let answer = desk
                .call(&limited, &method, &format!("{path}{query}"), body)
                .await;
            let text = String::from_utf8_lossy(&answer.bytes);
            assert!(!text.contains("таємниця"), "{method} {path}{query}: {text}");
            // Its own request may be repeated in an error, nothing else of the other chat.
            let names_chat = text.contains(NEWS) && !path.contains(NEWS);
            assert!(!names_chat, "{method} {path}{query}: {text}");
            let spans_all = [
                "/v1/stats",
                "/v1/dead-letters",
                "/v1/imports",
                "/metrics",
                "/v1/keys",
                "/v1/rules",
                "/v1/replays",
                "/v1/generations",
            ];
            if !open && spans_all.iter().any(|p| path.starts_with(p)) {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
            }
            if path.contains(NEWS) {
                assert!(
                    matches!(answer.status.as_u16(), 400 | 404),
                    "{method} {path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_limited_key_gets_no_raw_topic() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "видимо")).await;
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for (topic, _) in Topic::ALL {
        if topic == Topic::MESSAGES {
            continue;
        }
        for rest in ["partitions/0/records", "tail", "stream"] {
            let path = format!("/v1/topics/{topic}/{rest}");
            let answer = desk.call(&limited, "GET", &path, "").await;
            // The tail asks for WebSocket first; that it refuses the topic too is tested over a real socket.
            if rest != "tail" {
                answer.problem(403, "limited_key");
            }
        }
    }
}
