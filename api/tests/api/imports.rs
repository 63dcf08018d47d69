//! Uploads: spooled, taken or refused, and nothing left behind.

use axum::{body::Body, http::Request};
use futures::stream;
use serde_json::json;
use telesift_api::ApiConfig;

use crate::desk::{Desk, OPS};

#[tokio::test]
async fn an_upload_is_spooled_whole_and_queued() {
    let desk = Desk::new().await;
    let export = format!("{{\"messages\": [{}]}}", "1,".repeat(300_000));
    let path = format!("/v1/imports?name=ops.json&chats={OPS}&chats=777&tz=Europe/Kyiv");
    let answer = desk.call(&desk.admin, "POST", &path, export.clone()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers["location"], "/v1/imports/import-000");
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(answer.json());
    let request = desk.imports.taken.lock().unwrap()[0].0.clone();
    assert_eq!(
        (request.name.as_str(), request.tz.as_str()),
        ("ops.json", "Europe/Kyiv")
    );
    assert_eq!(
        request
            .chats
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [OPS, "777"]
    );
    assert_eq!(std::fs::read_to_string(&request.file).unwrap(), export);
}

#[tokio::test]
async fn a_broken_export_is_named_by_offset_and_leaves_nothing() {
    let desk = Desk::new().await;
    let problem = desk
        .call(&desk.admin, "POST", "/v1/imports", "<html>")
        .await
        .problem(400, "invalid_export");
    assert_eq!(
        (&problem["byte_offset"], &problem["cause"]),
        (&json!(0), &json!("expected `{`"))
    );
    let problem = desk
        .call(&desk.admin, "POST", "/v1/imports?tz=Mars/Olympus", "{}")
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(problem["parameter"], "tz");
    desk.call(&desk.admin, "POST", "/v1/imports?chats=ops", "{}")
        .await
        .problem(400, "invalid_parameter");
    assert!(desk.imports.spooled().is_empty());
}

#[tokio::test]
async fn an_upload_over_the_limit_or_broken_off_leaves_nothing() {
    let desk = Desk::with(ApiConfig {
        max_import_bytes: 1_000,
        ..ApiConfig::default()
    })
    .await;
    desk.call(&desk.admin, "POST", "/v1/imports", "{".repeat(1_001))
        .await
        .problem(413, "too_large");
    let upload = |chunks: Vec<std::io::Result<&'static str>>| {
        Request::post("/v1/imports")
            .header("authorization", format!("Bearer {}", desk.admin))
            .body(Body::from_stream(stream::iter(chunks)))
            .unwrap()
    };
    let endless = (0..100)
        .map(|_| Ok("{ 0123456789 0123456789 0123456789 "))
        .collect();
    desk.answer(upload(endless)).await.problem(413, "too_large");
    let broken = vec![Ok("{"), Err(std::io::Error::other("gone"))];
    desk.answer(upload(broken))
        .await
        .problem(400, "malformed_request");
    assert!(desk.imports.spooled().is_empty());
}

#[tokio::test]
async fn an_upload_that_stops_coming_is_given_up() {
    let desk = Desk::with(ApiConfig {
        upload_idle_s: 1,
        ..ApiConfig::default()
    })
    .await;
    let request = Request::post("/v1/imports")
        .header("authorization", format!("Bearer {}", desk.admin))
        .body(Body::from_stream(stream::pending::<
            std::io::Result<&'static str>,
        >()))
        .unwrap();
    desk.answer(request).await.problem(408, "body_timeout");
    assert!(desk.imports.spooled().is_empty());
}

#[tokio::test]
async fn imports_are_listed_newest_first_and_found_by_id() {
    let desk = Desk::new().await;
    for n in 0..5 {
        desk.call(&desk.admin, "POST", &format!("/v1/imports?name=n{n}"), "{}")
            .await
            .ok();
    }
    let first = desk.get("/v1/imports?limit=3").await.ok();
    let next = first["next_cursor"].as_str().unwrap();
    let second = desk
        .get(&format!("/v1/imports?limit=3&cursor={next}"))
        .await
        .ok();
    let names: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|p| p["items"].as_array().unwrap())
        .map(|i| &i["name"])
        .collect();
    assert_eq!(names, ["n4", "n3", "n2", "n1", "n0"]);
    assert!(second["next_cursor"].is_null());
    assert_eq!(desk.get("/v1/imports/import-002").await.ok()["name"], "n2");
    desk.get("/v1/imports/import-009")
        .await
        .problem(404, "not_found");
}
