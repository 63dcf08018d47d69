//! What is served to everybody: OpenAPI, its page, the console, health.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::desk::Desk;

#[tokio::test]
async fn the_openapi_document_is_as_reviewed() {
    let desk = Desk::new().await;
    let document = desk.call("", "GET", "/openapi.json", "").await.ok();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(document, {".info.version" => "[version]"});
}

#[tokio::test]
async fn every_reference_in_the_openapi_document_leads_somewhere() {
    let desk = Desk::new().await;
    let document = desk.call("", "GET", "/openapi.json", "").await.ok();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.contains("#/components/schemas/Message"));
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for field in [
        "deep_link",
        "screen",
        "story",
        "label",
        "subjects",
        "origin",
    ] {
        let pointer = format!("/components/schemas/Message/properties/{field}");
        assert!(document.pointer(&pointer).is_some(), "{field}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(to) if name == "$ref" => {
                        references.insert(to.clone());
                    }
                    value => collect(value, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, references)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_is_summarised_tagged_and_may_fail() {
    let desk = Desk::new().await;
    let document = desk.call("", "GET", "/openapi.json", "").await.ok();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert_eq!(
                operation["tags"].as_array().unwrap().len(),
                1,
                "{method} {path}"
            );
            let default = &operation["responses"]["default"]["content"];
            assert!(
                default["application/problem+json"].is_object(),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn docs_and_console_load_nothing_from_elsewhere() {
    let desk = Desk::new().await;
    let files = [
        "/",
        "/console.js",
        "/console.css",
        "/docs/",
        "/docs/index.html",
        "/docs/swagger-ui.css",
        "/docs/swagger-initializer.js",
        "/docs/swagger-ui-bundle.js",
        "/errors",
    ];
    for path in files {
        let answer = desk.call("", "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            !policy.contains("http") && policy.starts_with("default-src"),
            "{path}: {policy}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        if path.ends_with('/') || path.ends_with(".html") {
            let text = String::from_utf8_lossy(&answer.bytes);
            for attribute in [
                "src=\"http",
                "href=\"http",
                "src=\"//",
                "onload=",
                "<script>",
            ] {
                assert!(!text.contains(attribute), "{path}: {attribute}");
            }
        }
    }
    let answer = desk.call("", "GET", "/docs", "").await;
    assert!(answer.status.is_redirection());
    assert_eq!(answer.headers["location"], "/docs/");
}

#[tokio::test]
async fn the_console_never_writes_markup() {
    let desk = Desk::new().await;
    let answer = desk.call("", "GET", "/console.js", "").await;
    let text = String::from_utf8_lossy(&answer.bytes);
    for way_in in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "localStorage",
    ] {
        assert!(!text.contains(way_in), "{way_in}");
    }
}

#[tokio::test]
async fn health_is_told_without_a_key_and_without_causes() {
    let desk = Desk::new().await;
    assert_eq!(
        desk.call("", "GET", "/healthz", "").await.ok()["status"],
        "ok"
    );
    assert_eq!(
        desk.call("", "GET", "/readyz", "").await.ok()["status"],
        "ready"
    );
    desk.shutdown.cancel();
    let answer = desk.call("", "GET", "/readyz", "").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["status"], "not_ready");
    assert_eq!(
        answer.json()["checks"].as_array().unwrap().last().unwrap()["ok"],
        false
    );
}
