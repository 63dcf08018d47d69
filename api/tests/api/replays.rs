//! Replays: started, followed, steered; what cannot be done says so.

use serde_json::{Value, json};
use telesift_ports::catalog::Scope;

use crate::desk::{Desk, OPS, message};

fn dry_run(rules: impl Into<Value>) -> Value {
    json!({"stage": "screen", "rules": rules.into(), "dry_run": true})
}

async fn start(desk: &Desk, body: Value) -> String {
    let answer = desk.post("/v1/replays", body).await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], format!("/v1/replays/{id}"));
    id
}

#[tokio::test]
async fn a_dry_run_is_queued_followed_and_read() {
    let desk = Desk::new().await;
    let mut body = dry_run("name = \"mine\"\nversion = 2\n");
    body["from"] = json!("2026-01-05T10:00:00Z");
    body["base"] = json!("default");
    let path = format!("/v1/replays/{}", start(&desk, body).await);
    let running = desk.get(&path).await.ok();
    assert_eq!(
        (&running["state"], &running["processed"]),
        (&json!("running"), &json!(0))
    );
    assert!(running["labels"].is_null());
    let done = desk.get(&path).await.ok();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(done);
}

#[tokio::test]
async fn rules_come_by_name_as_toml_as_json_text_and_as_an_object() {
    let desk = Desk::new().await;
    let inline = json!({"name": "mine", "version": 2});
    let forms = [
        json!("default"),
        json!("name = \"mine\"\nversion = 2"),
        json!(inline.to_string()),
        inline,
    ];
    for (form, version) in
        forms
            .iter()
            .zip(["default@1+0", "inline@2+1", "inline@2+1", "inline@2+1"])
    {
        let id = start(&desk, dry_run(form.clone())).await;
        let replay = desk.get(&format!("/v1/replays/{id}")).await.ok();
        assert_eq!(replay["rules"], version, "{form}");
        assert_eq!(replay["base"], "active@1+0");
        desk.post(&format!("/v1/replays/{id}/cancel"), json!({}))
            .await
            .ok();
    }
}

#[tokio::test]
async fn invalid_rules_are_named_by_line_and_reason() {
    let desk = Desk::new().await;
    let text = "name = \"mine\"\nversion = 2\n[weights]\nbroken = 1\n";
    let problem = desk
        .post("/v1/replays", dry_run(text))
        .await
        .problem(400, "invalid_rules");
    assert_eq!(
        (&problem["parameter"], &problem["line"]),
        (&json!("rules"), &json!(4))
    );
    assert_eq!(problem["reason"], "there is no factor `broken`");
    let mut body = dry_run("default");
    body["base"] = json!(text);
    let problem = desk
        .post("/v1/replays", body)
        .await
        .problem(400, "invalid_rules");
    assert_eq!(problem["parameter"], "base");
    let problem = desk
        .post("/v1/replays", dry_run("nobody@7+1"))
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(
        (&problem["parameter"], &problem["value"]),
        (&json!("rules"), &json!("nobody@7+1"))
    );
}

#[tokio::test]
async fn a_replay_that_fills_a_generation_needs_no_rules() {
    let desk = Desk::new().await;
    for stage in ["screen", "index", "stories", "embed", "extract", "windows"] {
        let id = start(&desk, json!({"stage": stage})).await;
        let replay = desk.get(&format!("/v1/replays/{id}")).await.ok();
        assert_eq!(
            (&replay["stage"], &replay["dry_run"]),
            (&json!(stage), &json!(false))
        );
        assert!(
            replay["rules"].is_null() && replay["generation"].is_null(),
            "{replay}"
        );
        let switched = desk
            .post(&format!("/v1/replays/{id}/switch"), json!({}))
            .await;
        assert_eq!(switched.ok()["id"], id);
        // Room for the next: few may be unfinished.
        desk.post(&format!("/v1/replays/{id}/cancel"), json!({}))
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_sample_has_the_text_its_message_has_now() {
    let desk = Desk::new().await;
    let path = format!("/v1/replays/{}", start(&desk, dry_run("default")).await);
    let sample = async || desk.get(&path).await.ok()["samples"]["noise->signal"][0].clone();
    sample().await;
    assert!(sample().await["text"].is_null(), "nothing of it is stored");
    desk.take_in(message(OPS, 42, "noise", "сервер впав")).await;
    assert_eq!(sample().await["text"], "сервер впав");
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_by_field() {
    let desk = Desk::new().await;
    let with = |field: &str, value: Value| {
        let mut body = dry_run("default");
        body[field] = value;
        body
    };
    for (body, parameter) in [
        (with("stage", json!("screem")), "stage"),
        (with("from", json!("yesterday")), "from"),
        (with("to", json!("")), "to"),
        (with("rules", json!(7)), "rules"),
        (with("rules", json!(" ")), "rules"),
    ] {
        let problem = desk
            .post("/v1/replays", body)
            .await
            .problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter);
    }
    let unknown = with("dryrun", json!(true));
    let problem = desk
        .post("/v1/replays", unknown)
        .await
        .problem(400, "unknown_parameter");
    assert_eq!(problem["nearest"], "dry_run");
    assert!(
        desk.get("/v1/replays").await.ok()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn replays_are_paused_resumed_and_cancelled_until_they_are_over() {
    let desk = Desk::new().await;
    let id = start(&desk, dry_run("default")).await;
    let order = async |order: &str| {
        desk.post(&format!("/v1/replays/{id}/{order}"), json!({}))
            .await
    };
    assert_eq!(order("pause").await.ok()["state"], "paused");
    assert_eq!(order("resume").await.ok()["state"], "queued");
    assert_eq!(order("cancel").await.ok()["state"], "cancelled");
    for again in ["pause", "resume", "cancel"] {
        let problem = order(again).await.problem(409, "replay_state");
        assert_eq!(problem["state"], "cancelled");
    }
    for switch in ["switch", "switch-back"] {
        let problem = order(switch).await.problem(409, "replay_state");
        assert!(problem["detail"].as_str().unwrap().contains("dry run"));
    }
    for order in ["pause", "resume", "cancel", "switch", "switch-back"] {
        let path = format!("/v1/replays/nobody/{order}");
        desk.post(&path, json!({})).await.problem(404, "not_found");
    }
    desk.get("/v1/replays/nobody")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_full_queue_says_when_to_try_again() {
    let desk = Desk::new().await;
    for _ in 0..3 {
        start(&desk, dry_run("default")).await;
    }
    let answer = desk.post("/v1/replays", dry_run("default")).await;
    answer.problem(429, "replay_queue_full");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn replays_are_listed_newest_first_without_samples() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, start(&desk, dry_run("default")).await);
    }
    let first = desk.get("/v1/replays?limit=2").await.ok();
    let next = first["next_cursor"].as_str().unwrap();
    let second = desk
        .get(&format!("/v1/replays?limit=2&cursor={next}"))
        .await
        .ok();
    let items = [&first, &second]
        .into_iter()
        .flat_map(|p| p["items"].as_array().unwrap());
    let found: Vec<&Value> = items.collect();
    assert_eq!(
        found.iter().map(|r| &r["id"]).collect::<Vec<_>>(),
        ids.iter().collect::<Vec<_>>()
    );
    assert!(found.iter().all(|r| r.get("samples").is_none()));
    assert!(second["next_cursor"].is_null());
}

#[tokio::test]
async fn only_an_unlimited_admin_may_replay() {
    let desk = Desk::new().await;
    let id = start(&desk, dry_run("default")).await;
    let path = format!("/v1/replays/{id}");
    for scope in [Scope::Read, Scope::Review, Scope::Ingest] {
        let key = desk.key(&[scope], None).await;
        desk.call(&key, "GET", &path, "")
            .await
            .problem(403, "missing_scope");
    }
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for (method, path) in [
        ("GET", path.as_str()),
        ("GET", "/v1/replays"),
        ("POST", "/v1/replays"),
    ] {
        desk.call(&limited, method, path, "")
            .await
            .problem(403, "missing_scope");
    }
}
