//! Rule sets through the API: checked, kept, activated, rolled back, and who may.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};
use telesift_ports::catalog::Scope;
use telesift_schemas::Topic;

use crate::desk::{Answer, Desk, OPS, message};

async fn add_as(desk: &Desk, content_type: Option<&str>, body: &str) -> Answer {
    let mut request = Request::post("/v1/rules?note=%D1%87%D0%BE%D0%BC%D1%83%20%D0%BD%D1%96")
        .header(header::AUTHORIZATION, format!("Bearer {}", desk.admin));
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    desk.answer(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

/// Adds a set; its version.
async fn add(desk: &Desk, name: &str, version: u32) -> String {
    let toml = format!("name = \"{name}\"\nversion = {version} # ours\nsignal = 0.7\n");
    let answer = add_as(desk, Some("text/plain; charset=utf-8"), &toml).await;
    assert_eq!(answer.status, 201);
    answer.ok()["version"].as_str().unwrap().to_owned()
}

async fn activate(desk: &Desk, version: &str, body: Value) -> Answer {
    desk.post(&format!("/v1/rules/{version}/activate"), body)
        .await
}

fn versions(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|i| i["version"].as_str().unwrap()).collect()
}

/// Screens up to `next` of raw partition `partition`, as the stage's state says.
async fn screened_up_to(desk: &Desk, partition: u32, next: u64) {
    use telesift_ports::{RecordLog, record_log::Transaction};
    let state = json!({"next": next, "received": next, "emitted": next, "dead_lettered": 0, "retried_ok": 0});
    let transaction = Transaction {
        finish: Box::new(move |_| {
            let key = format!("stage/screen/telegram-raw/{partition}");
            vec![(key, Some(state.to_string().into()))]
        }),
        ..Transaction::appends(Vec::new())
    };
    desk.log.commit(transaction).await.unwrap();
}

#[tokio::test]
async fn the_rules_that_ship_are_there_and_active_without_a_decision() {
    let desk = Desk::new().await;
    let page = desk.get("/v1/rules").await.ok();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(page);
    let shown = desk.get("/v1/rules/length@1+0").await.ok();
    assert_eq!(shown["json"]["name"], "default");
    assert!(shown["toml"].as_str().unwrap().contains("signal = 0.5"));
    assert_eq!(
        desk.get("/v1/rules/history").await.ok(),
        json!({"items": [], "next_cursor": null})
    );
    let active = desk.get("/v1/rules/active").await.ok();
    assert_eq!(active["rules"]["version"], "length@1+0");
    assert_eq!(
        active["partitions"][1],
        json!({"partition": 1, "next": 0, "rules": "length@1+0", "until": null})
    );
}

#[tokio::test]
async fn a_set_is_added_once_and_shown_as_it_was_given() {
    let desk = Desk::new().await;
    let toml = "name = \"ops\" # ours\nversion = 2\nsignal = 0.7\n";
    let first = add_as(&desk, Some("application/toml"), toml).await;
    assert_eq!(first.status, 201);
    let added = first.ok();
    let version = added["version"].as_str().unwrap();
    assert_eq!(
        first.headers[header::LOCATION],
        format!("/v1/rules/{version}")
    );
    assert_eq!(
        (&added["active"], &added["note"], &added["shipped"]),
        (&json!(false), &json!("чому ні"), &json!(false))
    );
    let same = r#"{"name": "ops", "version": 2, "signal": 0.7}"#;
    for (content_type, body) in [(Some("application/json"), same), (None, same), (None, toml)] {
        let again = add_as(&desk, content_type, body).await;
        assert_eq!(again.status, 200, "{content_type:?}");
        assert_eq!(again.ok(), added);
    }
    let encoded = version.replace('@', "%40").replace('+', "%2B");
    for path in [version, &encoded, "ops@2", "ops"] {
        let shown = desk.get(&format!("/v1/rules/{path}")).await.ok();
        assert_eq!(shown["toml"], toml, "{path}");
        assert_eq!(
            shown["json"],
            json!({"name": "ops", "version": 2, "signal": 0.7})
        );
    }
    desk.get("/v1/rules/ops@2+00000000")
        .await
        .problem(404, "not_found");
    let other = add(&desk, "ops", 3).await;
    let problem = desk.get("/v1/rules/ops").await;
    let problem = problem.problem(400, "invalid_parameter");
    assert_eq!(problem["valid"], json!([version, other]));
}

#[tokio::test]
async fn an_invalid_set_is_refused_with_line_and_reason() {
    let desk = Desk::new().await;
    let answer = add_as(&desk, None, "name = \"ops\"\nversion = 2\nsignl = 0.7\n").await;
    let problem = answer.problem(400, "invalid_rules");
    assert_eq!(
        (&problem["line"], &problem["reason"]),
        (&json!(3), &json!("unknown key `signl`"))
    );
    let answer = add_as(&desk, None, "").await;
    let problem = answer.problem(400, "invalid_rules");
    assert_eq!(problem["line"], Value::Null);
    let request = Request::post("/v1/rules")
        .header(header::AUTHORIZATION, format!("Bearer {}", desk.admin))
        .body(Body::from(&b"name = \"\xff\""[..]));
    desk.answer(request.unwrap())
        .await
        .problem(400, "malformed_request");
    assert_eq!(versions(&desk.get("/v1/rules").await.ok()), ["length@1+0"]);
}

#[tokio::test]
async fn lists_are_paged_newest_first_down_to_the_shipped_set() {
    let desk = Desk::new().await;
    let mut expected = vec!["length@1+0".to_owned()];
    for version in 1..=5 {
        expected.insert(0, add(&desk, "ops", version).await);
    }
    for limit in [1, 2, 3, 5, 6, 50] {
        let (mut seen, mut path) = (Vec::new(), format!("/v1/rules?limit={limit}"));
        loop {
            let page = desk.get(&path).await.ok();
            seen.extend(versions(&page).into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/rules?limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn an_activation_counts_from_stated_offsets_and_can_be_taken_back() {
    let desk = Desk::new().await;
    for id in 1..=3 {
        desk.take_in(message(OPS, id, "signal", "слово")).await;
    }
    screened_up_to(&desk, 0, 2).await;
    let (one, two) = (add(&desk, "ops", 1).await, add(&desk, "ops", 2).await);
    let first = activate(&desk, &one, json!({})).await.ok();
    assert_eq!(
        first["from"],
        json!([{"partition": 0, "offset": 3}, {"partition": 1, "offset": 0}])
    );
    let epoch = first["cursor"].as_str().unwrap();
    assert!(epoch.ends_with("/0:3,1:0"), "{epoch}");
    let epoch = epoch.strip_suffix("0:3,1:0").unwrap();

    let body = json!({"from": format!("{epoch}0:2"), "note": "суворіше"});
    let second = activate(&desk, &two, body).await.ok();
    assert_eq!(second["from"][0]["offset"], 2);
    let active = desk.get("/v1/rules/active").await.ok();
    assert_eq!(active["rules"]["version"], two);
    assert_eq!(active["partitions"][0]["next"], 2);
    assert_eq!(active["partitions"][0]["rules"], two);
    let page = desk.get("/v1/rules").await.ok();
    let active: Vec<_> = page["items"].as_array().unwrap().iter().collect();
    assert_eq!(active[0]["active"], true);
    assert_eq!(active[0]["from"], second["from"]);
    assert_eq!(
        (&active[1]["active"], &active[2]["active"]),
        (&json!(false), &json!(false))
    );

    // Back, to an earlier set and to those that ship; the same again decides nothing.
    for _ in 0..2 {
        activate(&desk, "ops@1", json!({})).await.ok();
    }
    let last = activate(&desk, "length", json!({"from": "unscreened"}))
        .await
        .ok();
    assert_eq!(
        (&last["shipped"], &last["from"][0]["offset"]),
        (&json!(true), &json!(2))
    );
    let history = desk.get("/v1/rules/history?limit=3").await.ok();
    let rules = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|i| i["rules"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(rules(&history), ["length@1+0", &one, &two]);
    let cursor = history["next_cursor"].as_str().unwrap();
    let rest = desk
        .get(&format!("/v1/rules/history?cursor={cursor}"))
        .await
        .ok();
    assert_eq!(rules(&rest), [one]);
    assert_eq!(rest["next_cursor"], Value::Null);
    // Decisions are records, with the key that made them.
    let decisions = desk
        .get("/v1/topics/decisions/partitions/0/records")
        .await
        .ok();
    assert_eq!(decisions["items"].as_array().unwrap().len(), 6);

    let desk = desk.restarted().await;
    let active = desk.get("/v1/rules/active").await.ok();
    assert_eq!(active["rules"]["shipped"], true);
    assert_eq!(active["rules"]["from"], last["from"]);
    assert_eq!(rules(&desk.get("/v1/rules/history").await.ok()).len(), 4);
}

#[tokio::test]
async fn an_activation_that_could_not_be_kept_is_refused() {
    let desk = Desk::new().await;
    for id in 1..=3 {
        desk.take_in(message(OPS, id, "signal", "слово")).await;
    }
    screened_up_to(&desk, 0, 2).await;
    add(&desk, "ops", 1).await;
    add(&desk, "refused", 1).await;
    let probe = activate(&desk, "ops", json!({})).await.ok();
    let cursor = probe["cursor"].as_str().unwrap();
    let at = |text: &str| json!({"from": cursor.replace("0:3,1:0", text)});

    let answer = activate(&desk, "ops", at("0:1")).await;
    let problem = answer.problem(409, "already_screened");
    assert_eq!(
        (
            &problem["partition"],
            &problem["from"],
            &problem["screened"]
        ),
        (&json!(0), &json!(1), &json!(2))
    );
    assert!(problem["detail"].as_str().unwrap().contains("replay"));
    for (from, status, code) in [
        (at("0:4"), 409, "cursor_unknown"),
        (at("9:0"), 404, "not_found"),
        (json!({"from": "g1@zz/0:2"}), 409, "cursor_unknown"),
        (
            json!({"from": cursor.replace("g1", "g2")}),
            409,
            "cursor_unknown",
        ),
        (json!({"from": "yesterday"}), 400, "invalid_parameter"),
        (json!({"form": "latest"}), 400, "unknown_parameter"),
        (json!({"note": "x".repeat(1001)}), 400, "invalid_parameter"),
    ] {
        activate(&desk, "ops", from.clone())
            .await
            .problem(status, code);
    }
    let problem = activate(&desk, "refused", json!({})).await;
    let problem = problem.problem(400, "invalid_rules");
    assert!(
        problem["reason"].as_str().unwrap().contains("out of words"),
        "{problem}"
    );
    activate(&desk, "nobody", json!({}))
        .await
        .problem(404, "not_found");
    let history = desk.get("/v1/rules/history").await.ok();
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn readers_read_rules_and_only_admins_change_them() {
    let desk = Desk::new().await;
    let version = add(&desk, "ops", 1).await;
    let reader = desk.key(&[Scope::Read], None).await;
    for path in [
        "/v1/rules",
        "/v1/rules/ops",
        "/v1/rules/active",
        "/v1/rules/history",
    ] {
        desk.call(&reader, "GET", path, "").await.ok();
    }
    let path = format!("/v1/rules/{version}/activate");
    for path in ["/v1/rules", &path] {
        let answer = desk.call(&reader, "POST", path, "").await;
        let problem = answer.problem(403, "missing_scope");
        assert_eq!(problem["scope"], "admin");
    }
}

#[tokio::test]
async fn a_message_is_explained_by_the_rules_that_screened_it() {
    let desk = Desk::new().await;
    let ours = add(&desk, "ops", 1).await;
    for (id, rules) in [(1, "length@1+0"), (2, ours.as_str()), (3, "length@0+ff")] {
        let mut screened = message(OPS, id, "signal", "слово");
        screened.screen.as_mut().unwrap().rules = rules.to_owned();
        desk.take_in(screened).await;
    }
    activate(&desk, "ops", json!({})).await.ok();
    let explained = async |id: i64| {
        desk.get(&format!("/v1/messages/{OPS}:{id}/explain"))
            .await
            .ok()
    };
    for (id, rules) in [(1, "length@1+0"), (2, ours.as_str())] {
        let answer = explained(id).await;
        assert_eq!(answer["recomputed"]["rules"], rules);
        assert_eq!(
            (
                &answer["same_rules"],
                &answer["rules_known"],
                &answer["note"]
            ),
            (&json!(true), &json!(true), &Value::Null)
        );
    }
    // Rules nobody here knows: said plainly, and what is active now in their place.
    let answer = explained(3).await;
    assert_eq!(answer["rules"], "length@0+ff");
    assert_eq!(answer["recomputed"]["rules"], ours);
    assert_eq!(
        (&answer["same_rules"], &answer["rules_known"]),
        (&json!(false), &json!(false))
    );
    let note = answer["note"].as_str().unwrap();
    assert!(
        note.contains("`length@0+ff` are not known here") && note.contains(&ours),
        "{note}"
    );
}

#[tokio::test]
async fn decisions_carry_what_a_rebuild_needs() {
    let desk = Desk::new().await;
    let version = add(&desk, "ops", 1).await;
    activate(&desk, &version, json!({"note": "чому"}))
        .await
        .ok();
    let page = desk
        .get(&format!(
            "/v1/topics/{}/partitions/0/records",
            Topic::DECISIONS
        ))
        .await
        .ok();
    let _sorted = crate::desk::sorted_maps();
    insta::assert_json_snapshot!(page["items"], {"[].data.by" => "[key]", "[].data.rules" => "[version]"});
}
