//! Bounds of every route: body, nesting, time; and which pages of other origins may ask.

use axum::{body::Body, http::Request};
use telesift_api::ApiConfig;

use crate::{access::operations, desk::Desk};

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_on_every_route_before_it_is_sent() {
    let desk = Desk::new().await;
    let mut n_refused = 0;
    for operation in operations(&desk).await {
        let request = Request::builder()
            .method(&*operation.method)
            .uri(&operation.path)
            .header("authorization", format!("Bearer {}", desk.admin))
            .header("content-length", (2 << 20).to_string());
        // A body that never comes: whoever waited for it would hang.
        let body = Body::from_stream(futures::stream::pending::<std::io::Result<&'static str>>());
        if operation.pattern == "/v1/imports" && operation.method == "POST" {
            continue; // takes more, and has its own limit; see the tests of imports
        }
        if operation.access["class"] == "webhook" {
            continue; // asks who it is first; see the tests of the webhook
        }
        let answer = desk.answer(request.body(body).unwrap()).await;
        answer.problem(413, "too_large");
        n_refused += 1;
    }
    assert!(n_refused > 40);
}

#[tokio::test]
async fn a_body_over_the_limit_that_does_not_say_so_is_refused_where_it_is_read() {
    let desk = Desk::new().await;
    for operation in operations(&desk).await {
        let is_apart = operation.access["class"] == "webhook";
        if operation.method == "GET" || operation.pattern == "/v1/imports" || is_apart {
            continue;
        }
        let request = Request::builder()
            .method(&*operation.method)
            .uri(&operation.path)
            .header("authorization", format!("Bearer {}", desk.admin));
        let chunks = (0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
        let body = Body::from_stream(futures::stream::iter(chunks));
        let answer = desk.answer(request.body(body).unwrap()).await;
        let status = answer.status.as_u16();
        // Who takes no body does not read one.
        assert!(
            [400, 404, 409, 413, 501].contains(&status),
            "{} {status}",
            operation.path
        );
        if ["/v1/search", "/v1/keys", "/v1/feedback", "/v1/rules"].contains(&&*operation.pattern) {
            assert_eq!(status, 413, "{}", operation.path);
        }
    }
}

#[tokio::test]
async fn nested_json_is_refused_on_every_route_that_reads_some() {
    let desk = Desk::new().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for operation in operations(&desk).await {
        if operation.method != "POST" || operation.pattern == "/v1/imports" {
            continue;
        }
        let request = Request::builder()
            .method(&*operation.method)
            .uri(&operation.path)
            .header("authorization", format!("Bearer {}", desk.admin))
            .header("content-type", "application/json");
        let answer = desk
            .answer(request.body(Body::from(deep.clone())).unwrap())
            .await;
        assert!(
            answer.status.is_client_error() || answer.status == 501,
            "{} {}",
            operation.path,
            answer.status
        );
    }
}

#[tokio::test]
async fn only_pages_of_named_origins_may_call_the_api() {
    let desk = Desk::with(ApiConfig {
        allowed_origins: vec!["https://desk.example.org/".into()],
        ..ApiConfig::default()
    })
    .await;
    let preflight = |origin: &str| {
        Request::options("/v1/search")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            )
            .body(Body::empty())
            .unwrap()
    };
    let answer = desk.answer(preflight("https://desk.example.org")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://desk.example.org"
    );
    let allowed = answer.headers["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"));
    assert!(answer.headers.get_all("vary").iter().any(|v| v == "origin"));
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );

    let ask = |origin: &str| {
        Request::get("/v1/topics")
            .header("origin", origin)
            .header("authorization", format!("Bearer {}", desk.admin))
            .body(Body::empty())
            .unwrap()
    };
    let answer = desk.answer(ask("https://desk.example.org")).await;
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://desk.example.org"
    );
    answer.ok();
    for stranger in [
        "https://evil.example",
        "null",
        "https://desk.example.org.evil.example",
    ] {
        let answer = desk.answer(preflight(stranger)).await;
        assert_eq!(answer.status, 405);
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
        let answer = desk.answer(ask(stranger)).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    // Errors are readable for a page that may ask, too.
    let answer = desk
        .answer(
            Request::get("/v1/topics")
                .header("origin", "https://desk.example.org")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://desk.example.org"
    );
    answer.problem(401, "unauthorized");
}

/// A search whose body never comes.
fn hanging(desk: &Desk) -> Request<Body> {
    let body = futures::stream::pending::<std::io::Result<&'static str>>();
    Request::post("/v1/search")
        .header("authorization", format!("Bearer {}", desk.admin))
        .body(Body::from_stream(body))
        .unwrap()
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let desk = Desk::with(ApiConfig {
        request_timeout_s: 1,
        ..ApiConfig::default()
    })
    .await;
    let answer = desk.answer(hanging(&desk)).await;
    answer.problem(503, "timed_out");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_request_more_than_may_be_worked_on_is_told_so_at_once() {
    let desk = Desk::with(ApiConfig {
        max_requests: 1,
        ..ApiConfig::default()
    })
    .await;
    let mut first = Box::pin(desk.send(hanging(&desk)));
    // Until it is being worked on, the other is served.
    let refused = loop {
        assert!(futures::poll!(&mut first).is_pending());
        let answer = desk.get("/v1/topics").await;
        if answer.status != 200 {
            break answer;
        }
    };
    refused.problem(503, "overloaded");
    drop(first);
    desk.get("/v1/topics").await.ok();
}

#[tokio::test]
async fn a_connection_whose_headers_do_not_end_is_no_request() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let desk = Desk::new().await;
    let server = crate::wire::serve(&desk).await;
    let mut socket = tokio::net::TcpStream::connect(server).await.unwrap();
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ")
        .await
        .unwrap();
    let long = vec![b'a'; 1 << 20];
    // The server hangs up, or answers 431, before it has read a megabyte of one header.
    let _ = socket.write_all(&long).await;
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 431"),
        "{said}"
    );
}
