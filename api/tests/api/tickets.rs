//! Tickets.

use serde_json::json;
use telesift_api::{ApiConfig, TailConfig};
use telesift_schemas::Topic;

use crate::{
    desk::Desk,
    wire::{Client, serve},
};

async fn ticket(desk: &Desk) -> String {
    let answer = desk.post("/v1/tickets", json!({})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["expires_at"], "2026-01-05T10:00:30Z");
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_opens_one_stream() {
    let desk = Desk::new().await;
    let server = serve(&desk).await;
    let path = format!("messages/tail?ticket={}", ticket(&desk).await);
    let mut client = Client::open(server, "", &path).await;
    assert_eq!(client.next().await.unwrap()["type"], "heartbeat");
    let again = Client::try_open(server, "", &path, &[])
        .await
        .err()
        .unwrap();
    assert_eq!(again.status(), 401);
}

#[tokio::test]
async fn a_used_ticket_takes_its_own_stream_up_again_with_the_last_event_id() {
    let desk = Desk::new().await;
    for n in 0..3 {
        desk.append(Topic::DECISIONS, 0, "k", n.to_string()).await;
    }
    let server = serve(&desk).await;
    let ticket = ticket(&desk).await;
    let path = format!("decisions/tail?from=earliest&ticket={ticket}");
    let mut first = Client::open(server, "", &path).await;
    let seen = crate::wire::cursor(&first.records(2).await[1]);
    let other = format!("messages/tail?ticket={ticket}");
    let refused = Client::try_open(server, "", &other, &[("last-event-id", &seen)]).await;
    assert_eq!(refused.err().unwrap().status(), 401, "another stream");
    let mut second = Client::try_open(server, "", &path, &[("last-event-id", &seen)])
        .await
        .ok()
        .unwrap();
    assert_eq!(second.next_of("record").await["data"], 2);
    assert_eq!(first.until_closed().await.1, 1008, "one stream at a time");
}

#[tokio::test]
async fn a_ticket_expires_and_dies_with_its_key() {
    let desk = Desk::with(ApiConfig {
        tail: TailConfig {
            ticket_ms: 0,
            ..TailConfig::default()
        },
        ..ApiConfig::default()
    })
    .await;
    let answer = desk.post("/v1/tickets", json!({})).await.ok();
    let path = format!(
        "/v1/topics/messages/stream?ticket={}",
        answer["ticket"].as_str().unwrap()
    );
    desk.call("", "GET", &path, "")
        .await
        .problem(401, "invalid_ticket");
    desk.call("", "GET", "/v1/topics/messages/stream?ticket=made-up", "")
        .await
        .problem(401, "invalid_ticket");

    let desk = Desk::new().await;
    let created = desk
        .post("/v1/keys", json!({"name": "x", "scopes": ["read"]}))
        .await
        .ok();
    let answer = desk
        .call(created["key"].as_str().unwrap(), "POST", "/v1/tickets", "")
        .await
        .ok();
    desk.call(
        &desk.admin,
        "DELETE",
        &format!("/v1/keys/{}", created["id"].as_str().unwrap()),
        "",
    )
    .await;
    let path = format!(
        "/v1/topics/messages/stream?ticket={}",
        answer["ticket"].as_str().unwrap()
    );
    desk.call("", "GET", &path, "")
        .await
        .problem(401, "unauthorized");
    // Nothing but streams takes a ticket.
    let ticket = ticket(&desk).await;
    desk.call("", "GET", &format!("/v1/messages?ticket={ticket}"), "")
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_stream_opened_by_ticket_is_taken_up_again_after_a_restart() {
    let desk = Desk::new().await;
    for n in 0..4 {
        desk.append(Topic::DEAD_LETTERS, 0, "k", n.to_string())
            .await;
    }
    let server = serve(&desk).await;
    let (used, unused) = (ticket(&desk).await, ticket(&desk).await);
    let path = format!("dead-letters/tail?from=earliest&ticket={used}");
    let mut client = Client::open(server, "", &path).await;
    let seen = crate::wire::cursor(&client.records(2).await[1]);

    let desk = desk.restarted().await;
    assert_eq!(client.until_closed().await.1, 1001);
    let server = serve(&desk).await;
    let again = Client::try_open(server, "", &path, &[]).await;
    assert_eq!(
        again.err().unwrap().status(),
        401,
        "used, whatever restarts"
    );
    let resumed = [("last-event-id", &*seen)];
    let other = format!("dead-letters/tail?ticket={used}");
    let other = Client::try_open(server, "", &other, &resumed).await;
    assert_eq!(other.err().unwrap().status(), 401, "another stream");
    let mut client = Client::try_open(server, "", &path, &resumed)
        .await
        .ok()
        .unwrap();
    let rest = client.records(2).await;
    assert_eq!((&rest[0]["data"], &rest[1]["data"]), (&json!(2), &json!(3)));
    // One that was not used yet still opens its one stream.
    let path = format!("dead-letters/tail?from=earliest&ticket={unused}");
    Client::open(server, "", &path).await.records(4).await;
}

#[tokio::test]
async fn a_ticket_takes_its_stream_up_again_for_twelve_hours_while_its_key_lives() {
    let desk = Desk::new().await;
    let hours = |n: u64| std::time::Duration::from_secs(n * 3_600);
    let open = async |ticket: &str| {
        let request =
            axum::http::Request::get(format!("/v1/topics/decisions/stream?ticket={ticket}"))
                .header("last-event-id", "g1@memory/0:0");
        let answer = desk
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await;
        answer.status().as_u16()
    };
    let lasting = ticket(&desk).await;
    // A cursor of another log is refused after the ticket was taken: 409, not 401.
    assert_ne!(open(&lasting).await, 401);
    desk.clock.advance(hours(11));
    assert_ne!(open(&lasting).await, 401);
    desk.clock.advance(hours(1));
    assert_eq!(open(&lasting).await, 401);
}

#[tokio::test]
async fn tickets_are_kept_hashed_and_swept_out() {
    use telesift_ports::catalog::StreamTickets;
    let desk = Desk::new().await;
    for _ in 0..3 {
        ticket(&desk).await;
    }
    let now = telesift_schemas::Timestamp::UNIX_EPOCH;
    assert_eq!(desk.catalog.sweep_tickets(now, now).await.unwrap(), 3);
    // The next one issued after they expired sweeps them out.
    desk.clock.advance(std::time::Duration::from_secs(60));
    desk.post("/v1/tickets", json!({})).await.ok();
    assert_eq!(desk.catalog.sweep_tickets(now, now).await.unwrap(), 1);
}
