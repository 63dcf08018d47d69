//! Labels through the API: given, seen, filtered by, taken back, and never of a chat the key may not see.

use serde_json::{Value, json};
use telesift_ports::{
    MessageStore, RecordLog,
    catalog::{LabelRow, Labels, Scope, in_force},
    message_store::VersionLabel,
    record_log::ReadLimits,
};
use telesift_schemas::{Decision, DecisionKind, Offset, Topic};

use crate::desk::{Answer, Desk, NEWS, OPS, message};

impl Desk {
    /// Every decision there is, with its offset.
    async fn decisions(&self) -> Vec<(Offset, Value)> {
        let at = telesift_schemas::TopicPartition::new(
            Topic::DECISIONS,
            telesift_schemas::PartitionId(0),
        );
        let batch = self.log.read(&at, Offset::ZERO, ReadLimits::default());
        let records = batch.await.unwrap().records;
        let parsed = records
            .iter()
            .map(|r| (r.offset, serde_json::from_slice(&r.value).unwrap()));
        parsed.collect()
    }

    /// What the stage does with all decisions.
    async fn project(&self) {
        let mut rows = Vec::new();
        for (offset, value) in self.decisions().await {
            let decision: Decision = serde_json::from_value(value).unwrap();
            let DecisionKind::Labelled {
                message,
                edit,
                class,
                spam,
                owner,
            } = decision.decision
            else {
                panic!("only labels are decided here")
            };
            rows.push(LabelRow {
                message,
                edit,
                owner: owner.unwrap(),
                class,
                spam,
                at: decision.at,
                decided: offset,
            });
        }
        self.catalog.put_labels(&rows).await.unwrap();
        let keys: Vec<_> = rows.iter().map(|r| r.message).collect();
        let stored = self.catalog.labels_of(&keys).await.unwrap();
        let labels: Vec<VersionLabel> = in_force(stored).into_iter().map(Into::into).collect();
        self.store.set_labels(&labels).await.unwrap();
    }

    async fn feedback(&self, key: &str, body: Value) -> Answer {
        let path = "/v1/feedback";
        self.call(key, "POST", path, body.to_string()).await
    }

    async fn reviewer(&self, name: &str) -> String {
        self.key_named(name, &[Scope::Review], None).await
    }

    /// The label a message shows.
    async fn label_of(&self, id: &str) -> Value {
        self.get(&format!("/v1/messages/{id}")).await.ok()["label"].clone()
    }
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|i| i.get("id").unwrap_or(&i["message"]).as_str().unwrap())
        .map(|id| id.split_once(':').unwrap().1)
        .collect()
}

async fn filled() -> Desk {
    let desk = Desk::new().await;
    for (id, class) in [(1, "noise"), (2, "signal"), (3, "weak_signal")] {
        let text = format!("слово {id}");
        desk.take_in(message(OPS, id, class, &text)).await;
        desk.take_in(message(NEWS, id, class, &text)).await;
    }
    desk
}

#[tokio::test]
async fn a_label_is_answered_logged_and_shown() {
    let desk = filled().await;
    let olena = desk.reviewer("Olena").await;
    let id = format!("{OPS}:1");
    let body = json!({"message": id, "class": "signal"});
    let answer = desk.feedback(&olena, body).await.ok();
    let at = answer["label"]["at"].clone();
    let label = json!({"class": "signal", "spam": null, "by": "Olena", "at": at});
    assert_eq!(answer, json!({"message": id, "edit": 0, "label": label}));
    let decisions = desk.decisions().await;
    assert_eq!(decisions.len(), 1);
    let decision = &decisions[0].1;
    assert_eq!(decision["decision"], "labelled");
    assert_eq!(decision["owner"], "Olena");
    assert_eq!((&decision["message"], &decision["at"]), (&json!(id), &at));
    assert_ne!(decision["by"], "Olena", "the key by its id");

    desk.project().await;
    assert_eq!(desk.label_of(&id).await, label);
    assert_eq!(desk.label_of(&format!("{OPS}:2")).await, Value::Null);
    let context = desk.get(&format!("/v1/messages/{id}/context")).await.ok();
    assert_eq!(context["items"][0]["label"], label);
    let listed = desk.get(&format!("/v1/messages?chat={OPS}")).await.ok();
    assert_eq!(ids(&listed), ["3", "2", "1"]);
    assert_eq!(listed["items"][2]["label"], label);
    assert_eq!(
        listed["items"][2]["screen"]["class"], "noise",
        "the screen's word stays"
    );
    let ask = json!({"query": "слово 1", "mode": "text", "filter": {"chats": [OPS]}});
    let found = desk.post("/v1/search", ask).await.ok();
    let hits = found["hits"].as_array().unwrap();
    let hit = hits.iter().find(|h| h["message"]["id"] == id).unwrap();
    assert_eq!(hit["message"]["label"], label);
}

#[tokio::test]
async fn filters_and_counts_go_by_the_label() {
    let desk = filled().await;
    let key = desk.reviewer("Olena").await;
    for (id, class) in [(1, "signal"), (2, "noise")] {
        let body = json!({"message": format!("{OPS}:{id}"), "class": class, "spam": id == 2});
        desk.feedback(&key, body).await.ok();
    }
    desk.project().await;
    for (query, expected) in [
        ("", vec!["3", "1"]),
        ("&class=signal", vec!["1"]),
        ("&class=noise", vec!["2"]),
        ("&flag=spam&include_noise=true", vec!["2"]),
        ("&class=signal&min_score=0.5", vec![]),
    ] {
        let page = desk
            .get(&format!("/v1/messages?chat={OPS}{query}"))
            .await
            .ok();
        assert_eq!(ids(&page), expected, "{query}");
    }
    let total = desk.get("/v1/stats/screen").await.ok()["total"].clone();
    let counted = ["noise", "weak_signal", "signal"].map(|class| total[class].clone());
    assert_eq!(counted, [json!(2), json!(2), json!(2)], "{total}");
}

#[tokio::test]
async fn what_is_absent_stays_and_null_takes_back() {
    let desk = filled().await;
    let key = desk.reviewer("Olena").await;
    let id = format!("{OPS}:1");
    let give = async |body: Value| {
        let mut body = body;
        body["message"] = json!(id);
        let label = desk.feedback(&key, body).await.ok()["label"].clone();
        desk.project().await;
        assert_eq!(desk.label_of(&id).await, label);
        (label["class"].clone(), label["spam"].clone())
    };
    let said = |class: Value, spam: Value| (class, spam);
    assert_eq!(
        give(json!({"class": "signal"})).await,
        said(json!("signal"), Value::Null)
    );
    assert_eq!(
        give(json!({"spam": true})).await,
        said(json!("signal"), json!(true))
    );
    assert_eq!(
        give(json!({"class": null})).await,
        said(Value::Null, json!(true))
    );
    assert_eq!(
        give(json!({"class": null, "spam": null})).await,
        said(Value::Null, Value::Null)
    );
    assert_eq!(desk.label_of(&id).await, Value::Null);
    assert_eq!(desk.decisions().await.len(), 4);
}

#[tokio::test]
async fn the_same_label_again_appends_nothing() {
    let desk = filled().await;
    let key = desk.reviewer("Olena").await;
    let body = json!({"message": format!("{OPS}:1"), "class": "noise", "spam": false});
    let first = desk.feedback(&key, body.clone()).await.ok();
    // Before and after the catalog knows it, and after a restart; a rotated key has the same owner.
    assert_eq!(desk.feedback(&key, body.clone()).await.ok(), first);
    desk.project().await;
    assert_eq!(desk.feedback(&key, body.clone()).await.ok(), first);
    let desk = desk.restarted().await;
    let rotated = desk.reviewer("Olena").await;
    assert_eq!(desk.feedback(&rotated, body.clone()).await.ok(), first);
    assert_eq!(desk.decisions().await.len(), 1);

    let nothing = json!({"message": format!("{OPS}:2"), "class": null});
    let answer = desk.feedback(&rotated, nothing).await.ok();
    assert_eq!(answer["label"], Value::Null);
    assert_eq!(desk.decisions().await.len(), 1);

    let other = desk.reviewer("Taras").await;
    desk.feedback(&other, body).await.ok();
    assert_eq!(desk.decisions().await.len(), 2);
}

#[tokio::test]
async fn of_several_owners_the_last_word_is_in_force() {
    let desk = filled().await;
    let (olena, taras) = (desk.reviewer("Olena").await, desk.reviewer("Taras").await);
    let id = format!("{OPS}:1");
    let give = async |key: &str, class: Value| {
        let body = json!({"message": id, "class": class});
        desk.feedback(key, body).await.ok()["label"].clone()
    };
    give(&olena, json!("signal")).await;
    desk.project().await;
    assert_eq!(give(&taras, json!("weak_signal")).await["by"], "Taras");
    desk.project().await;
    assert_eq!(desk.label_of(&id).await["class"], "weak_signal");
    let left = give(&taras, Value::Null).await;
    assert_eq!(
        (&left["by"], &left["class"]),
        (&json!("Olena"), &json!("signal"))
    );
    desk.project().await;
    assert_eq!(desk.label_of(&id).await, left);
}

#[tokio::test]
async fn an_edit_has_no_label() {
    let desk = filled().await;
    let key = desk.reviewer("Olena").await;
    let id = format!("{OPS}:1");
    let body = json!({"message": id, "class": "signal", "edit": 0});
    desk.feedback(&key, body.clone()).await.ok();
    desk.project().await;
    let mut edited = message(OPS, 1, "noise", "слово одне");
    edited.edit = 50;
    desk.take_in(edited).await;
    let shown = desk
        .get(&format!("/v1/messages/{id}?history=true"))
        .await
        .ok();
    assert_eq!(shown["label"], Value::Null);
    assert_eq!(shown["edits"][0]["label"]["class"], "signal");
    let page = desk.get(&format!("/v1/messages?chat={OPS}")).await.ok();
    assert_eq!(ids(&page), ["3", "2"]);
    let problem = desk.feedback(&key, body).await.problem(409, "conflict");
    assert_eq!(problem["edit"], 50);
    let listed = desk.get("/v1/feedback?texts=true").await.ok();
    assert_eq!(listed["items"][0]["text"], "слово 1", "what was labelled");
}

#[tokio::test]
async fn labels_are_listed_last_first_by_every_filter() {
    let desk = filled().await;
    let (olena, taras) = (desk.reviewer("Olena").await, desk.reviewer("Taras").await);
    for (key, chat, id, class) in [
        (&olena, OPS, 1, "signal"),
        (&taras, OPS, 1, "noise"),
        (&olena, OPS, 2, "noise"),
        (&taras, NEWS, 3, "signal"),
    ] {
        let body = json!({"message": format!("{chat}:{id}"), "class": class});
        desk.feedback(key, body).await.ok();
    }
    let back = desk
        .call(&olena, "DELETE", &format!("/v1/feedback/{OPS}:2"), "")
        .await;
    assert_eq!(back.status, 204);
    desk.project().await;
    for (query, expected) in [
        ("", vec!["3", "1", "1"]),
        ("by=Olena", vec!["1"]),
        ("by=Olena&by=Taras&class=signal", vec!["3", "1"]),
        (&*format!("chat={NEWS}"), vec!["3"]),
        (&*format!("message={OPS}:1"), vec!["1", "1"]),
        (&*format!("message={OPS}:2"), vec![]),
        ("class=weak_signal", vec![]),
    ] {
        let page = desk.get(&format!("/v1/feedback?{query}")).await.ok();
        assert_eq!(ids(&page), expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut path = "/v1/feedback?limit=2".to_owned();
    loop {
        let page = desk.get(&path).await.ok();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/feedback?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["3", "1", "1"]);
    let first = &desk.get("/v1/feedback?texts=true&limit=1").await.ok()["items"][0];
    assert_eq!(
        (&first["text"], &first["lang"], &first["by"], &first["chat"]),
        (
            &json!("слово 3"),
            &json!("uk"),
            &json!("Taras"),
            &json!(NEWS)
        )
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let desk = filled().await;
    let id = format!("{OPS}:1");
    for (body, parameter) in [
        (json!({"class": "signal"}), "message"),
        (json!({"message": 7, "class": "signal"}), "message"),
        (json!({"message": "ops:1", "class": "signal"}), "message"),
        (json!({"message": id}), "class"),
        (json!({"message": id, "class": "importnat"}), "class"),
        (json!({"message": id, "class": 1}), "class"),
        (json!({"message": id, "spam": "yes"}), "spam"),
        (json!({"message": id, "spam": true, "edit": "0"}), "edit"),
    ] {
        let answer = desk.feedback(&desk.admin, body.clone()).await;
        let problem = answer.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter, "{body}");
    }
    let body = json!({"message": id, "clas": "signal"});
    let problem = desk.feedback(&desk.admin, body).await;
    let problem = problem.problem(400, "unknown_parameter");
    assert_eq!(problem["nearest"], "class");
    let body = json!({"message": format!("{OPS}:99"), "class": "signal"});
    let answer = desk.feedback(&desk.admin, body).await;
    answer.problem(404, "not_found");
    for query in ["class=loud", "message=1", "chat=ops", "texts=perhaps"] {
        let answer = desk.get(&format!("/v1/feedback?{query}")).await;
        answer.problem(400, "invalid_parameter");
    }
    assert!(desk.decisions().await.is_empty());
}

#[tokio::test]
async fn labels_need_the_scope_and_keep_to_the_keys_chats() {
    let desk = filled().await;
    let reader = desk.key(&[Scope::Read], None).await;
    let body = json!({"message": format!("{NEWS}:1"), "class": "signal"});
    let answer = desk.feedback(&reader, body.clone()).await;
    answer.problem(403, "missing_scope");
    let answer = desk.call(&reader, "GET", "/v1/feedback", "").await;
    answer.problem(403, "missing_scope");

    let olena = desk.reviewer("Olena").await;
    desk.feedback(&olena, body.clone()).await.ok();
    desk.project().await;
    let limited = desk.key(&[Scope::Review], Some(&[OPS])).await;
    let answer = desk.feedback(&limited, body).await;
    answer.problem(404, "not_found");
    for query in ["", &format!("?chat={NEWS}"), &format!("?message={NEWS}:1")] {
        let page = desk
            .call(&limited, "GET", &format!("/v1/feedback{query}"), "")
            .await
            .ok();
        assert!(ids(&page).is_empty(), "{query}");
    }
    let path = format!("/v1/feedback/{NEWS}:1");
    let answer = desk.call(&limited, "DELETE", &path, "").await;
    answer.problem(404, "not_found");
    assert_eq!(desk.decisions().await.len(), 1);
}

#[tokio::test]
async fn of_requests_at_once_each_word_counts() {
    let desk = filled().await;
    let key = desk.reviewer("Olena").await;
    let id = format!("{OPS}:1");
    let (class, spam, again) = tokio::join!(
        desk.feedback(&key, json!({"message": id, "class": "signal"})),
        desk.feedback(&key, json!({"message": id, "spam": true})),
        desk.feedback(&key, json!({"message": id, "class": "signal"})),
    );
    for answer in [class, spam, again] {
        answer.ok();
    }
    assert_eq!(desk.decisions().await.len(), 2);
    desk.project().await;
    let label = desk.label_of(&id).await;
    assert_eq!(
        (&label["class"], &label["spam"]),
        (&json!("signal"), &json!(true))
    );
}
