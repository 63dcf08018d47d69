//! Requests nobody well-meaning sends.

use axum::{body::Body, http::Request};
use telesift_api::ApiConfig;

use crate::desk::{Desk, OPS};

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_told_as_a_problem() {
    let desk = Desk::new().await;
    for (method, path, body, status, code) in [
        ("GET", "/v1/nothing", "", 404, "route_not_found"),
        ("GET", "/../etc/passwd", "", 404, "route_not_found"),
        ("GET", "/docs/nothing.js", "", 404, "route_not_found"),
        ("PUT", "/v1/messages", "", 405, "method_not_allowed"),
        ("GET", "/v1/search", "", 405, "method_not_allowed"),
        ("POST", "/v1/search", "{", 400, "malformed_request"),
        ("POST", "/v1/search", "[]", 400, "malformed_request"),
        (
            "POST",
            "/v1/search",
            "{\"query\": \"\\ud800\"}",
            400,
            "malformed_request",
        ),
        ("GET", "/v1/messages?chat=%ff", "", 400, "malformed_request"),
        ("GET", "/v1/messages?chat=%4", "", 400, "malformed_request"),
        ("GET", "/v1/messages/%ff%fe", "", 400, "malformed_request"),
        ("GET", "/v1/messages/abc", "", 400, "invalid_parameter"),
        (
            "GET",
            "/v1/messages/99999999999999999999:1",
            "",
            400,
            "invalid_parameter",
        ),
        (
            "GET",
            "/v1/messages/1:2/context?before=-1",
            "",
            400,
            "invalid_parameter",
        ),
        ("GET", "/v1/imports/..%2f..%2fetc", "", 404, "not_found"),
        (
            "GET",
            "/v1/topics/nope/partitions/0/records",
            "",
            404,
            "not_found",
        ),
        (
            "GET",
            "/v1/topics/messages/partitions/9/records",
            "",
            404,
            "not_found",
        ),
        (
            "GET",
            "/v1/topics/messages/partitions/-1/records",
            "",
            400,
            "invalid_parameter",
        ),
        (
            "GET",
            "/v1/topics/messages/tail",
            "",
            426,
            "upgrade_required",
        ),
        ("GET", "/v1/topics/nope/stream", "", 404, "not_found"),
        (
            "GET",
            "/v1/topics/messages/stream?subject=x",
            "",
            400,
            "unknown_parameter",
        ),
        (
            "GET",
            "/v1/topics/decisions/stream?class=signal",
            "",
            400,
            "unknown_parameter",
        ),
        (
            "GET",
            "/v1/topics/messages/stream?from=soon",
            "",
            400,
            "invalid_parameter",
        ),
        (
            "GET",
            "/v1/topics/messages/stream?partition=9",
            "",
            404,
            "not_found",
        ),
        (
            "GET",
            "/v1/topics/messages/stream?partition=some",
            "",
            400,
            "invalid_parameter",
        ),
        (
            "GET",
            "/v1/topics/messages/stream?from=g1@other/0:0,1:0",
            "",
            409,
            "cursor_unknown",
        ),
    ] {
        let answer = desk.call(&desk.admin, method, path, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path} {}",
            String::from_utf8_lossy(&answer.bytes)
        );
        answer.problem(status, code);
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_refused() {
    let desk = Desk::new().await;
    let answer = desk
        .call(
            &desk.admin,
            "POST",
            "/v1/search",
            Body::from(&b"{\"query\": \"\xff\"}"[..]),
        )
        .await;
    answer.problem(400, "malformed_request");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let desk = Desk::with(ApiConfig {
        max_body_bytes: 1_000,
        ..ApiConfig::default()
    })
    .await;
    let body = format!("{{\"query\": \"{}\"}}", "x".repeat(2_000));
    desk.call(&desk.admin, "POST", "/v1/search", body)
        .await
        .problem(413, "too_large");
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let desk = Desk::new().await;
    let body = format!("{{\"query\":{}", "[".repeat(100_000));
    desk.call(&desk.admin, "POST", "/v1/search", body)
        .await
        .problem(400, "malformed_request");
}

#[tokio::test]
async fn a_clients_request_id_is_kept_only_if_it_is_harmless() {
    let desk = Desk::new().await;
    for (sent, kept) in [
        ("trace-1.a_B", true),
        ("a b", false),
        ("<script>", false),
        (&"x".repeat(65)[..], false),
    ] {
        let request = Request::get("/v1/messages")
            .header("x-request-id", sent)
            .body(Body::empty())
            .unwrap();
        let answer = desk.answer(request).await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(id == sent, kept, "{sent}");
        let problem = answer.problem(401, "unauthorized");
        assert_eq!(problem["instance"], format!("urn:telesift:request:{id}"));
    }
}

#[tokio::test]
async fn answers_carry_security_headers_and_no_cors() {
    let desk = Desk::new().await;
    let request = Request::get(format!("/v1/messages?chat={OPS}"))
        .header("origin", "https://evil.example")
        .header("authorization", format!("Bearer {}", desk.admin));
    let answer = desk.answer(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-frame-options"], "DENY");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}
