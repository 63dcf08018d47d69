//! What a limited key finds on every route of the OpenAPI document.

use telesift_ports::catalog::Scope;
use telesift_schemas::Topic;

use crate::{
    access::operations,
    desk::{Desk, NEWS, OPS, message},
};

#[tokio::test]
async fn a_limited_key_finds_nothing_of_other_chats_on_any_route() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "видимо")).await;
    desk.take_in(message(NEWS, 1, "signal", "таємниця")).await;
    let limited = desk
        .key(&[Scope::Read, Scope::Review, Scope::Ingest], Some(&[OPS]))
        .await;
    let queries = ["", "?include_noise=true", "?from=earliest"];
    for operation in operations(&desk).await {
        let (method, path) = (operation.method, operation.path);
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
            if path.contains(NEWS) {
                // What only administrators may do is refused before anything is looked at.
                let is_told = match answer.status.as_u16() {
                    403 => operation.access["class"] == "admin",
                    status => matches!(status, 400 | 404),
                };
                assert!(is_told, "{method} {path}");
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

#[tokio::test]
async fn a_parameter_nobody_knows_is_named_on_every_route() {
    let desk = Desk::new().await;
    desk.take_in(message(NEWS, 1, "signal", "слово")).await;
    for operation in operations(&desk).await {
        let is_for_machines = ["open", "metrics", "webhook"]
            .into_iter()
            .any(|class| operation.access["class"] == class);
        // The tail asks for WebSocket first; its parameters are read as those of the stream.
        if is_for_machines || operation.pattern.ends_with("/tail") {
            continue;
        }
        let path = format!("{}?no_such_parameter=1", operation.path);
        let answer = desk.call(&desk.admin, &operation.method, &path, "").await;
        let problem = answer.problem(400, "unknown_parameter");
        assert_eq!(problem["unknown"][0], "no_such_parameter", "{path}");
    }
}
