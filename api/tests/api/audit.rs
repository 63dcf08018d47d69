//! Records of administration.

use axum::body::Body;
use serde_json::{Value, json};
use telesift_ports::{
    Catalog,
    catalog::{AuditLog, Scope},
};

use crate::{
    access::operations,
    desk::{Desk, OPS, message},
};

async fn records(desk: &Desk, query: &str) -> Vec<Value> {
    let page = desk.get(&format!("/v1/audit?limit=500{query}")).await.ok();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_route_that_administers_leaves_one_record_and_no_other_does() {
    let desk = Desk::new().await;
    for operation in operations(&desk).await {
        let before = records(&desk, "").await.len();
        if operation.path.ends_with("/stream") {
            continue; // reads only, and never ends
        }
        desk.call(&desk.admin, &operation.method, &operation.path, "")
            .await;
        let after = records(&desk, "").await;
        let what = format!("{} {}", operation.method, operation.path);
        match operation.access["audited_as"].as_str() {
            Some(action) => {
                assert_eq!(after.len(), before + 1, "{what}");
                assert_eq!(after[0]["action"], action, "{what}");
                assert_ne!(after[0]["outcome"], "unfinished", "{what}");
            }
            None => assert_eq!(after.len(), before, "{what}"),
        }
        // Whatever changes something by DELETE or PUT, or for administrators only, is on record.
        let changes = matches!(&*operation.method, "PUT" | "PATCH" | "DELETE");
        let administers = operation.method == "POST" && operation.access["class"] == "admin";
        assert!(
            !(changes || administers) || operation.access["audited_as"].is_string(),
            "{what} changes something and is not audited"
        );
    }
}

#[tokio::test]
async fn a_record_says_who_did_what_on_what_and_how_it_ended_and_no_secret() {
    let desk = Desk::new().await;
    let body = json!({"name": "ops", "scopes": ["read"], "chats": [OPS]});
    let created = desk.post("/v1/keys", body).await;
    let request_id = created.headers["x-request-id"].to_str().unwrap().to_owned();
    let created = created.ok();
    let (id, secret) = (
        created["id"].as_str().unwrap(),
        created["key"].as_str().unwrap(),
    );
    desk.clock.advance(std::time::Duration::from_secs(5));
    let path = format!("/v1/keys/{id}");
    desk.call(&desk.admin, "DELETE", &path, "").await;
    desk.call(&desk.admin, "DELETE", "/v1/keys/nobody", "")
        .await;

    let found = records(&desk, "").await;
    let short = |r: &Value| {
        ["action", "target", "outcome", "code"].map(|m| r[m].as_str().unwrap_or("-").to_owned())
    };
    let expected = [
        ["keys.revoke", "nobody", "refused", "not_found"],
        ["keys.revoke", id, "done", "-"],
        ["keys.create", id, "done", "-"],
    ];
    assert_eq!(found.iter().map(short).collect::<Vec<_>>(), expected);
    assert_eq!(found[2]["by"]["name"], "test");
    assert_eq!(found[2]["request"], request_id);
    assert_eq!(found[2]["at"], "2026-01-05T10:00:00Z");
    assert_eq!(
        (&found[1]["status"], &found[0]["status"]),
        (&json!(204), &json!(404))
    );
    let text = serde_json::to_string(&found).unwrap();
    assert!(!text.contains(&secret[secret.len() - 43..]), "{text}");

    assert_eq!(records(&desk, &format!("&target={id}")).await.len(), 2);
    assert_eq!(records(&desk, "&action=keys.create").await.len(), 1);
    assert_eq!(records(&desk, "&since=2026-01-05T10:00:01Z").await.len(), 2);
    let by = found[0]["by"]["key"].as_str().unwrap();
    assert_eq!(
        records(&desk, &format!("&by={by}&until=2026-01-05T10:00:01Z"))
            .await
            .len(),
        1
    );
    desk.get("/v1/audit?who=x")
        .await
        .problem(400, "unknown_parameter");
}

#[tokio::test]
async fn records_are_paged_newest_first() {
    let desk = Desk::new().await;
    for n in 0..5 {
        desk.call(&desk.admin, "DELETE", &format!("/v1/keys/k{n}"), "")
            .await;
    }
    let first = desk.get("/v1/audit?limit=3").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = desk
        .get(&format!("/v1/audit?limit=3&cursor={cursor}"))
        .await
        .ok();
    let items = |page: &Value| page["items"].as_array().unwrap().clone();
    let targets: Vec<Value> = [items(&first), items(&second)]
        .concat()
        .into_iter()
        .map(|r| r["target"].clone())
        .collect();
    assert_eq!(targets, ["k4", "k3", "k2", "k1", "k0"]);
    assert!(second["next_cursor"].is_null());
}

#[tokio::test]
async fn who_may_not_administer_is_on_record_too_but_cannot_fill_it() {
    let desk = Desk::new().await;
    let reader = desk.key_named("reader", &[Scope::Read], None).await;
    for _ in 0..200 {
        desk.call(&reader, "DELETE", "/v1/keys/x", "")
            .await
            .problem(403, "missing_scope");
    }
    let found = records(&desk, "").await;
    assert!((1..100).contains(&found.len()), "{}", found.len());
    assert_eq!(found[0]["by"]["name"], "reader");
    assert_eq!(
        (&found[0]["outcome"], &found[0]["code"]),
        (&json!("refused"), &json!("missing_scope"))
    );
    // Without a key nobody did anything.
    desk.call("", "DELETE", "/v1/keys/x", "").await;
    assert_eq!(records(&desk, "").await.len(), found.len());
}

#[tokio::test]
async fn labels_taken_back_are_on_record_and_labels_given_stand_in_the_log() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "слово")).await;
    let id = format!("{OPS}:1");
    desk.post("/v1/feedback", json!({"message": id, "class": "noise"}))
        .await
        .ok();
    assert!(records(&desk, "").await.is_empty());
    desk.call(&desk.admin, "DELETE", &format!("/v1/feedback/{id}"), "")
        .await;
    let found = records(&desk, "").await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["action"], &found[0]["target"]),
        (&json!("feedback.delete"), &json!(id))
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_a_whole_record() {
    let desk = Desk::new().await;
    let (upload, body) = tokio::io::duplex(64);
    let stream = futures::stream::unfold(body, |mut body| async move {
        use tokio::io::AsyncReadExt;
        let mut buffer = vec![0; 64];
        let n = body.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        buffer.truncate(n);
        Some((Ok::<_, std::io::Error>(buffer), body))
    });
    let request = axum::http::Request::post("/v1/imports")
        .header("authorization", format!("Bearer {}", desk.admin))
        .body(Body::from_stream(stream))
        .unwrap();
    let mut answer = Box::pin(desk.send(request));
    // Until the upload has begun; then the client goes, and its bytes end.
    loop {
        assert!(futures::poll!(&mut answer).is_pending());
        if !records(&desk, "").await.is_empty() {
            break;
        }
    }
    assert_eq!(records(&desk, "").await[0]["outcome"], "unfinished");
    drop(answer);
    drop(upload);
    let ended = async {
        while desk
            .catalog
            .audits(&Default::default(), None, 1)
            .await
            .unwrap()[0]
            .outcome
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::wire::PATIENCE, ended)
        .await
        .unwrap();
    desk.catalog.ping().await.unwrap();
    assert_eq!(records(&desk, "").await[0]["action"], "imports.create");
}
