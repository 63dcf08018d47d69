//! Rate limits.

use std::net::{IpAddr, SocketAddr};

use axum::{body::Body, extract::ConnectInfo, http::Request};
use telesift_api::{ApiConfig, LimitsConfig};
use telesift_ports::catalog::Scope;

use crate::desk::{Answer, Desk};

/// One a minute, so that next to nothing comes back while a test runs.
fn limits() -> LimitsConfig {
    LimitsConfig {
        key_per_min: 1,
        key_burst: 20,
        address_per_min: 1,
        address_burst: 1_000,
        failed_auth_per_min: 1,
        tracked_addresses: 100,
    }
}

async fn desk(limits: LimitsConfig) -> Desk {
    Desk::with(ApiConfig {
        limits,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..ApiConfig::default()
    })
    .await
}

async fn ask(desk: &Desk, path: &str, key: &str, from: &str, forwarded: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let peer: IpAddr = from.parse().unwrap();
    let request = request.extension(ConnectInfo(SocketAddr::new(peer, 4_711)));
    desk.answer(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_key_is_told_how_it_stands_and_stopped_at_its_limit_alone() {
    let desk = desk(limits()).await;
    let key = desk.key(&[Scope::Read], None).await;
    let first = desk.call(&key, "GET", "/v1/topics", "").await;
    assert_eq!(first.headers["ratelimit-policy"], "\"key\";q=20;w=1200");
    assert_eq!(first.headers["ratelimit"], "\"key\";r=19;t=60");
    for _ in 0..19 {
        // What is refused counts too.
        desk.call(&key, "GET", "/v1/keys", "")
            .await
            .problem(403, "missing_scope");
    }
    let refused = desk.call(&key, "GET", "/v1/topics", "").await;
    let problem = refused.problem(429, "rate_limited");
    assert_eq!(problem["policy"], "key");
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(
        refused.headers["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"key\";r=0;t=")
    );
    desk.get("/v1/topics").await.ok();
}

#[tokio::test]
async fn an_address_is_stopped_whatever_its_keys() {
    let desk = desk(LimitsConfig {
        address_burst: 4,
        failed_auth_per_min: 0,
        ..limits()
    })
    .await;
    for path in ["/healthz", "/v1/topics", "/v1/topics", "/readyz"] {
        let key = desk.key(&[Scope::Read], None).await;
        ask(&desk, path, &key, "192.0.2.1", None).await.ok();
    }
    let refused = ask(&desk, "/v1/topics", &desk.admin, "192.0.2.1", None).await;
    assert_eq!(refused.problem(429, "rate_limited")["policy"], "address");
    assert!(refused.headers.contains_key("retry-after"));
    ask(&desk, "/v1/topics", &desk.admin, "192.0.2.2", None)
        .await
        .ok();
    // A client cannot choose its address, a trusted proxy can name it.
    let forged = Some("192.0.2.77");
    ask(&desk, "/v1/topics", &desk.admin, "192.0.2.1", forged)
        .await
        .problem(429, "rate_limited");
    ask(
        &desk,
        "/v1/topics",
        &desk.admin,
        "10.0.0.1",
        Some("192.0.2.1"),
    )
    .await
    .problem(429, "rate_limited");
    ask(&desk, "/v1/topics", &desk.admin, "10.0.0.1", forged)
        .await
        .ok();
}

#[tokio::test]
async fn guessing_keys_is_stopped_sooner_and_spares_keys_that_are_known() {
    let desk = desk(LimitsConfig {
        failed_auth_per_min: 3,
        ..limits()
    })
    .await;
    let here = "2001:db8:1:2::1";
    // Who presents nothing guesses nothing.
    for _ in 0..9 {
        ask(&desk, "/v1/topics", "", here, None)
            .await
            .problem(401, "unauthorized");
    }
    // Valid, and known from here on.
    ask(&desk, "/v1/topics", &desk.admin, here, None).await.ok();
    for n in 0..3 {
        let guess = desk.admin.replace(&desk.admin[40..], &format!("{n:043}"));
        ask(&desk, "/v1/topics", &guess, here, None)
            .await
            .problem(401, "unauthorized");
    }
    // The fourth, of whatever form, from any address of the same network.
    let neighbour = "2001:db8:1:2:ffff::9";
    let unknown_yet = desk.key(&[Scope::Read], None).await;
    for (path, key) in [
        ("/v1/topics", "tsk_x_y"),
        ("/v1/topics", &*unknown_yet),
        ("/v1/topics/messages/stream?ticket=made-up", ""),
    ] {
        let refused = ask(&desk, path, key, neighbour, None).await;
        assert_eq!(
            refused.problem(429, "rate_limited")["policy"],
            "failed-auth"
        );
        assert!(refused.headers.contains_key("retry-after"));
    }
    ask(&desk, "/v1/topics", &desk.admin, neighbour, None)
        .await
        .ok();
    ask(&desk, "/healthz", "", neighbour, None).await.ok();
    ask(&desk, "/v1/topics", "tsk_x_y", "192.0.2.9", None)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn nought_is_no_limit() {
    let desk = desk(LimitsConfig {
        key_per_min: 0,
        address_per_min: 0,
        failed_auth_per_min: 0,
        ..limits()
    })
    .await;
    for _ in 0..50 {
        let answer = ask(&desk, "/v1/topics", &desk.admin, "192.0.2.1", None).await;
        assert!(!answer.headers.contains_key("ratelimit"));
        answer.ok();
        ask(&desk, "/v1/topics", "tsk_x_y", "192.0.2.1", None)
            .await
            .problem(401, "unauthorized");
    }
}
