//! Bots: added, listed, removed; nothing of their secrets ever leaves.

use serde_json::{Value, json};
use telesift_ports::catalog::Scope;

use crate::desk::{Desk, OPS};

fn bot(name: &str, token: &str) -> Value {
    json!({"name": name, "token": token, "secret": "hunter2", "register": false})
}

#[tokio::test]
async fn a_bot_is_added_listed_and_removed_and_its_secrets_never_leave() {
    let desk = Desk::new().await;
    let mut request = bot("ops", "123456:topsecret");
    request["chats"] = json!([OPS]);
    let answer = desk.post("/v1/bots", request).await;
    assert_eq!(answer.status, 201);
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(answer.json());
    desk.post("/v1/bots", bot("a", "7:topsecret")).await.ok();

    let mut told = String::new();
    let list = desk.get("/v1/bots").await.ok();
    let names: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| &b["name"])
        .collect();
    assert_eq!(names, ["a", "ops"]);
    told += &list.to_string();
    let page = desk.get("/v1/bots?limit=1").await.ok();
    assert_eq!(page["items"][0]["name"], "a");
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = desk
        .get(&format!("/v1/bots?limit=1&cursor={cursor}"))
        .await
        .ok();
    assert_eq!(
        (&page["items"][0]["name"], &page["next_cursor"]),
        (&json!("ops"), &Value::Null)
    );

    // Nobody answers as Telegram here, and that is what it says.
    let report = desk.get("/v1/bots/ops").await.ok();
    assert_eq!(report["webhook"], Value::Null);
    assert!(
        report["error"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{report}"
    );
    told += &report.to_string();
    assert!(
        !told.contains("topsecret") && !told.contains("hunter2"),
        "{told}"
    );

    let gone = desk.call(&desk.admin, "DELETE", "/v1/bots/ops", "").await;
    assert_eq!(gone.status, 204);
    let again = desk.call(&desk.admin, "DELETE", "/v1/bots/ops", "").await;
    again.problem(404, "not_found");
    desk.get("/v1/bots/ops").await.problem(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_a_bot_is_refused_by_field() {
    let desk = Desk::new().await;
    for (change, field) in [
        (json!({"name": "a/b"}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"token": "no token"}), "token"),
        (json!({"token": "ABC"}), "token"),
        (json!({"secret": "with space"}), "secret"),
        (json!({"secret": "x".repeat(257)}), "secret"),
        (json!({"secret": null}), "secret"),
        (json!({"chats": ["ops"]}), "chats"),
        (json!({"register": true}), "register"),
    ] {
        let mut request = bot("ops", "123456:topsecret");
        for (name, value) in change.as_object().unwrap() {
            request[name] = value.clone();
        }
        let problem = desk.post("/v1/bots", request).await;
        let problem = problem.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], field, "{problem}");
        assert!(!problem.to_string().contains("topsecret"), "{problem}");
    }
    let unknown = json!({"name": "x", "token": "1:a", "secret": "s", "webhook": true});
    desk.post("/v1/bots", unknown)
        .await
        .problem(400, "unknown_parameter");
    assert_eq!(desk.get("/v1/bots").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_name_or_a_token_is_given_once() {
    let desk = Desk::new().await;
    desk.post("/v1/bots", bot("ops", "1:a")).await.ok();
    for again in [bot("ops", "2:b"), bot("other", "1:c")] {
        desk.post("/v1/bots", again).await.problem(409, "conflict");
    }
}

#[tokio::test]
async fn bots_are_for_admins() {
    let desk = Desk::new().await;
    let key = desk
        .key(&[Scope::Read, Scope::Review, Scope::Ingest], None)
        .await;
    for (method, path) in [
        ("GET", "/v1/bots"),
        ("GET", "/v1/bots/x"),
        ("DELETE", "/v1/bots/x"),
        ("POST", "/v1/bots"),
    ] {
        let answer = desk.call(&key, method, path, "{}").await;
        answer.problem(403, "missing_scope");
    }
}
