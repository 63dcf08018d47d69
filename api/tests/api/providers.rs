//! Providers, which chats they may read, and what they cost; nothing of their keys ever leaves.

use serde_json::{Value, json};
use telesift_api::ApiConfig;
use telesift_ports::{
    ChatSettings, Clock, CostLedger,
    catalog::Scope,
    providers::{Budget, Limits, Reservation, day_of},
};
use telesift_schemas::{ChatId, Usage};

use crate::desk::{Desk, NEWS, OPS, message};

fn provider(name: &str) -> Value {
    json!({
        "name": name, "kind": "openai", "url": "https://api.example/v1", "model": "small", "key": "topsecret",
        "usd_per_million_in": 2.0, "usd_per_million_out": 10.0,
    })
}

#[tokio::test]
async fn a_provider_is_added_listed_tried_and_removed_and_its_key_never_leaves() {
    let desk = Desk::new().await;
    let added = desk.post("/v1/providers", provider("far")).await;
    assert_eq!(added.status, 201);
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(added.json());
    let list = desk.get("/v1/providers").await.ok();
    let names: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, ["far", "near"]);
    assert!(!format!("{list}{}", added.json()).contains("topsecret"));
    let page = desk.get("/v1/providers?limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = desk
        .get(&format!("/v1/providers?cursor={cursor}"))
        .await
        .ok();
    assert_eq!(
        (page["items"][0]["name"].as_str(), &page["next_cursor"]),
        (Some("near"), &Value::Null)
    );

    let tried = desk.post("/v1/providers/far/test", json!({})).await.ok();
    assert_eq!(
        (&tried["ok"], &tried["error"], &tried["micro_usd"]),
        (&json!(true), &Value::Null, &json!(70))
    );
    let cost = desk.get("/v1/stats/cost?by=provider").await.ok();
    assert_eq!(cost["items"][0]["key"], "far");
    assert_eq!(
        (&cost["total"]["calls"], &cost["total"]["micro_usd"]),
        (&json!(1), &json!(70))
    );
    assert_eq!(
        cost["budgets"]["daily"]["micro_usd"],
        json!({"limit": null, "spent": 70})
    );

    let delete = async |name: &str| {
        let path = format!("/v1/providers/{name}");
        desk.call(&desk.admin, "DELETE", &path, "").await
    };
    assert_eq!(delete("far").await.status, 204);
    delete("far").await.problem(404, "not_found");
    delete("near").await.problem(409, "conflict");
    desk.post("/v1/providers/far/test", json!({}))
        .await
        .problem(404, "not_found");
    let audit = desk.get("/v1/audit").await.ok();
    assert!(
        audit.to_string().contains("providers.add") && !audit.to_string().contains("topsecret")
    );
}

#[tokio::test]
async fn what_cannot_be_a_provider_is_refused_by_field() {
    let desk = Desk::new().await;
    for (field, value) in [
        ("kind", json!("openapi")),
        ("max_tokens_out", json!(3)),
        ("usd_per_million_in", json!(-1)),
    ] {
        let mut request = provider("far");
        request[field] = value;
        let problem = desk
            .post("/v1/providers", request)
            .await
            .problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], field, "{problem}");
        assert!(!problem.to_string().contains("topsecret"), "{problem}");
    }
    let mut unknown = provider("far");
    unknown["local"] = json!(true);
    desk.post("/v1/providers", unknown)
        .await
        .problem(400, "unknown_parameter");
    desk.post("/v1/providers", provider("near"))
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn a_chat_goes_to_remote_models_only_with_consent() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "text")).await;
    let set = async |body: Value| {
        let path = format!("/v1/chats/{OPS}");
        desk.call(&desk.admin, "PATCH", &path, body.to_string())
            .await
    };
    let seen = async || desk.get("/v1/chats").await.ok()["items"][0].clone();
    assert_eq!(
        (&seen().await["enrich"], &seen().await["consent"]),
        (&json!("local"), &json!(false))
    );

    let refused = set(json!({"enrich": "remote"}))
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(refused["parameter"], "consent");
    set(json!({"enrich": "everywhere"}))
        .await
        .problem(400, "invalid_parameter");
    set(json!({"enrich": "off", "provider": "x"}))
        .await
        .problem(400, "unknown_parameter");
    set(json!({})).await.problem(400, "invalid_parameter");
    assert_eq!(seen().await["enrich"], "local", "a refusal changes nothing");

    let answer = set(json!({"enrich": "remote", "consent": true})).await.ok();
    assert_eq!(
        (&answer["enrich"], &answer["consent"]["by"]),
        (&json!("remote"), &json!("test"))
    );
    assert_eq!(
        (&seen().await["enrich"], &seen().await["consent"]),
        (&json!("remote"), &json!(true))
    );
    set(json!({"enrich": "local"})).await.ok();
    assert_eq!(seen().await["consent"], false, "consent is gone with it");
    set(json!({"enrich": "remote"}))
        .await
        .problem(400, "invalid_parameter");
    desk.call(
        &desk.admin,
        "PATCH",
        "/v1/chats/ops",
        "{\"enrich\": \"off\"}",
    )
    .await
    .problem(400, "invalid_parameter");
    let stored = desk.catalog.chat_settings().await.unwrap();
    assert_eq!(stored.len(), 1);
}

#[tokio::test]
async fn a_budget_is_shown_with_what_is_spent_and_set_aside() {
    let budget = |tokens| Budget {
        tokens: Some(tokens),
        micro_usd: None,
    };
    let desk = Desk::with(ApiConfig {
        budgets: Limits {
            daily: budget(1_000),
            chat_daily: budget(100),
        },
        ..ApiConfig::default()
    })
    .await;
    let reservation = Reservation {
        day: day_of(desk.clock.now()),
        chat: OPS.parse::<ChatId>().unwrap(),
        most: Usage {
            tokens_in: 40,
            tokens_out: 2,
            micro_usd: 9,
        },
    };
    desk.catalog
        .reserve(&reservation, &Limits::default())
        .await
        .unwrap();
    let cost = desk.get(&format!("/v1/stats/cost?chat={OPS}")).await.ok();
    let budgets = &cost["budgets"];
    assert_eq!(
        budgets["daily"]["tokens"],
        json!({"limit": 1_000, "spent": 42})
    );
    assert_eq!(
        budgets["chat_daily"]["tokens"],
        json!({"limit": 100, "spent": 42})
    );
    assert_eq!(budgets["day"], "2026-01-05");
    let other = desk.get(&format!("/v1/stats/cost?chat={NEWS}")).await.ok();
    assert_eq!(other["budgets"]["chat_daily"]["tokens"]["spent"], 0);
    assert_eq!(cost["items"], json!([]), "no call was made yet");
    let problem = desk
        .get("/v1/stats/cost?by=colour")
        .await
        .problem(400, "invalid_parameter");
    assert_eq!(problem["parameter"], "by");
}

#[tokio::test]
async fn an_estimate_tells_who_would_read_what_and_asks_nobody() {
    let desk = Desk::new().await;
    desk.post("/v1/providers", provider("far")).await.ok();
    for id in 0..25 {
        desk.take_in(message(OPS, id + 1, "signal", &format!("Диск {id} повний")))
            .await;
    }
    desk.take_in(message(NEWS, 1, "weak_signal", "новина"))
        .await;
    let consent = json!({"enrich": "remote", "consent": true});
    desk.call(
        &desk.admin,
        "PATCH",
        &format!("/v1/chats/{OPS}"),
        consent.to_string(),
    )
    .await
    .ok();
    let estimate = desk.get("/v1/stats/cost/estimate").await.ok();
    assert_eq!(estimate["messages"], 26);
    let far = &estimate["by"]["far"];
    assert_eq!((&far["messages"], &far["units"]), (&json!(25), &json!(2)));
    // The scripted one says 10 tokens in and 5 out at most, at 2 and 10 dollars a million.
    assert_eq!(
        (&far["micro_usd_at_most"], &estimate["micro_usd_at_most"]),
        (&json!(140), &json!(140))
    );
    assert_eq!(estimate["by"]["near"]["messages"], 1);
    let part = desk
        .get(&format!("/v1/stats/cost/estimate?chat={NEWS}"))
        .await
        .ok();
    assert_eq!(
        (&part["messages"], &part["micro_usd_at_most"]),
        (&json!(1), &json!(0))
    );
    let off = json!({"enrich": "off"});
    desk.call(
        &desk.admin,
        "PATCH",
        &format!("/v1/chats/{NEWS}"),
        off.to_string(),
    )
    .await
    .ok();
    assert_eq!(desk.get("/v1/stats/cost/estimate").await.ok()["off"], 1);
    assert_eq!(desk.get("/v1/stats/cost").await.ok()["total"]["calls"], 0);
}

#[tokio::test]
async fn providers_and_settings_are_for_admins_and_costs_for_who_sees_all() {
    let desk = Desk::new().await;
    let key = desk
        .key(&[Scope::Read, Scope::Review, Scope::Ingest], None)
        .await;
    for (method, path) in [
        ("GET", "/v1/providers".to_owned()),
        ("POST", "/v1/providers".to_owned()),
        ("DELETE", "/v1/providers/x".to_owned()),
        ("POST", "/v1/providers/x/test".to_owned()),
        ("PATCH", format!("/v1/chats/{OPS}")),
    ] {
        desk.call(&key, method, &path, "{}")
            .await
            .problem(403, "missing_scope");
    }
    desk.call(&key, "GET", "/v1/stats/cost", "").await.ok();
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    for path in ["/v1/stats/cost", "/v1/stats/cost/estimate"] {
        desk.call(&limited, "GET", path, "")
            .await
            .problem(403, "limited_key");
    }
}
