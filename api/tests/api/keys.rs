//! Keys through the API.

use serde_json::json;

use crate::desk::{Desk, OPS};

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_revoked() {
    let desk = Desk::new().await;
    let body = json!({"name": "Олена", "scopes": ["read", "read"], "chats": [OPS]});
    let answer = desk.post("/v1/keys", body).await;
    assert_eq!(answer.status, 201);
    let created = answer.json();
    let (id, key) = (
        created["id"].as_str().unwrap(),
        created["key"].as_str().unwrap(),
    );
    assert!(key.starts_with(&format!("tsk_{id}_")), "{key}");
    desk.call(key, "GET", "/v1/messages", "").await.ok();

    let listed = desk.get("/v1/keys").await.ok();
    assert!(
        !listed.to_string().contains(&key[key.len() - 43..]),
        "no secret in lists"
    );
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(listed, {".items[].id" => "[id]"});

    let path = format!("/v1/keys/{id}");
    for _ in 0..2 {
        assert_eq!(
            desk.call(&desk.admin, "DELETE", &path, "").await.status,
            204
        );
    }
    desk.call(key, "GET", "/v1/messages", "")
        .await
        .problem(401, "unauthorized");
    desk.call(&desk.admin, "DELETE", "/v1/keys/nobody", "")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_not_made() {
    let desk = Desk::new().await;
    for body in [
        json!({"name": "", "scopes": ["read"]}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x"}),
        json!({"name": "x", "scopes": ["root"]}),
        json!({"name": "x", "scopes": ["admin"], "chats": [OPS]}),
        json!({"name": "x", "scopes": ["read"], "chats": ["ops"]}),
        json!({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}),
        json!({"name": "x", "scopes": ["read"], "expires_at": "tomorrow"}),
    ] {
        desk.post("/v1/keys", body)
            .await
            .problem(400, "invalid_parameter");
    }
    let body = json!({"name": "x", "scopes": ["read"], "chat": [OPS]});
    desk.post("/v1/keys", body)
        .await
        .problem(400, "unknown_parameter");
    assert_eq!(
        desk.get("/v1/keys").await.ok()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
