//! Atoms and subjects: listed, searched, reviewed; and what a key that is limited to chats finds of them.

use serde_json::{Value, json};
use telesift_ports::{
    KnowledgeCatalog, RecordLog,
    catalog::Scope,
    knowledge::{AtomClaim, AtomDocument, AtomSource, KnowledgeChange, StoredAtom, SubjectRow},
    leases::Fence,
    record_log::ReadLimits,
};
use telesift_schemas::{
    Atom, AtomKind, AtomLink, AtomStatus, Decision, DecisionKind, Evidence, ExtractorRef, LinkKind,
    MessageKey, Offset, Origin, PartitionId, SubjectRef, Timestamp, Topic, TopicPartition,
};

use crate::desk::{Desk, NEWS, OPS, message};

fn key(chat: &str, id: i64) -> MessageKey {
    format!("{chat}:{id}").parse().unwrap()
}

/// An atom on `subject` that stands on these messages.
fn atom(n: u64, title: &str, subject: &str, messages: &[MessageKey]) -> StoredAtom {
    let id = format!("a-{n:016x}");
    let at = |m: &MessageKey| Timestamp::from_second(1_767_600_000 + m.message_id).unwrap();
    let evidence: Vec<Evidence> = messages
        .iter()
        .map(|message| Evidence {
            message: *message,
            edit: 0,
            quote: title.to_owned(),
            start: 0,
            end: u32::try_from(title.chars().count()).unwrap(),
            origin: Origin {
                topic: Topic::TELEGRAM_RAW,
                partition: PartitionId(0),
                offset: Offset(1),
            },
        })
        .collect();
    let extractor = ExtractorRef {
        name: "rules".to_owned(),
        version: "1".to_owned(),
        model: None,
    };
    let subject_id = format!("s-{subject}");
    let (first_at, last_at) = (at(&messages[0]), at(messages.last().unwrap()));
    let claim = AtomClaim {
        unit: format!("u-{n}"),
        kind: AtomKind::Problem,
        title: title.to_owned(),
        content: title.to_owned(),
        confidence: 0.75,
        subject: Some(subject_id.clone()),
        evidence: evidence.clone(),
        links: Vec::new(),
        extractor: extractor.clone(),
        first_at,
        last_at,
    };
    StoredAtom {
        atom: Atom {
            v: Atom::VERSION,
            id,
            kind: AtomKind::Problem,
            title: title.to_owned(),
            content: title.to_owned(),
            confidence: 0.75,
            status: AtomStatus::NeedsReview,
            subject: Some(SubjectRef {
                id: subject_id,
                name: subject.to_owned(),
            }),
            evidence,
            links: Vec::new(),
            version: 1,
            extractor,
            unit: claim.unit.clone(),
            updated_at: first_at,
        },
        claims: vec![claim],
        review: None,
        merged_into: None,
        sources: Vec::new(),
        evidence_removed: false,
        stood_in: Vec::new(),
        first_at,
        last_at,
    }
}

/// A desk with four messages and what they claim: one in each chat, one in both, one that was rejected.
async fn desk() -> Desk {
    let desk = Desk::new().await;
    for (chat, id) in [(OPS, 1), (NEWS, 2), (OPS, 3), (OPS, 4)] {
        desk.take_in(message(chat, id, "signal", "оплата падає"))
            .await;
    }
    let mut ops = atom(1, "оплата падає", "оплата", &[key(OPS, 1)]);
    ops.atom.links = vec![AtomLink {
        kind: LinkKind::Relates,
        to: "a-0000000000000002".to_owned(),
    }];
    ops.sources = vec![AtomSource {
        unit: "u-9".to_owned(),
        same_as: "u-1".to_owned(),
        messages: vec![key(NEWS, 9), key(OPS, 9)],
    }];
    let mut rejected = atom(4, "жарт", "жарти", &[key(OPS, 4)]);
    rejected.atom.status = AtomStatus::Rejected;
    let mut decision = atom(
        3,
        "перехід відкладено",
        "перехід",
        &[key(NEWS, 2), key(OPS, 3)],
    );
    decision.atom.kind = AtomKind::Decision;
    let atoms = vec![
        ops,
        atom(2, "доставка стоїть", "доставка", &[key(NEWS, 2)]),
        decision,
        rejected,
    ];
    let subjects = ["оплата", "доставка", "перехід", "жарти"].map(|name| SubjectRow {
        id: format!("s-{name}"),
        key: name.to_owned(),
        name: name.to_owned(),
        merged_into: None,
    });
    let documents = atoms.iter().map(|stored| AtomDocument {
        atom: stored.atom.clone(),
        vector: None,
    });
    desk.atoms.put(documents.collect()).await.unwrap();
    let change = KnowledgeChange {
        versions: atoms.iter().map(|s| s.atom.clone()).collect(),
        atoms,
        subjects: subjects.into(),
        ..KnowledgeChange::default()
    };
    let open = Fence::open();
    desk.catalog
        .apply_knowledge(&change, &[], &open)
        .await
        .unwrap();
    desk
}

fn titles(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().unwrap();
    items.iter().map(|a| a["title"].as_str().unwrap()).collect()
}

async fn get(desk: &Desk, key: &str, path: &str) -> Value {
    desk.call(key, "GET", path, "").await.ok()
}

#[tokio::test]
async fn atoms_are_listed_filtered_and_paged() {
    let desk = desk().await;
    let admin = desk.admin.clone();
    let all = get(&desk, &admin, "/v1/atoms").await;
    assert_eq!(
        titles(&all),
        ["перехід відкладено", "доставка стоїть", "оплата падає"]
    );
    let first = &all["items"][2];
    assert_eq!(first["evidence"][0]["quote"], "оплата падає");
    assert_eq!(first["n_messages"], 3);
    assert_eq!(
        first["sources"],
        json!([format!("{NEWS}:9"), format!("{OPS}:9")])
    );
    assert_eq!(
        (&first["review"], &first["evidence_removed"]),
        (&Value::Null, &json!(false))
    );
    for (query, expected) in [
        ("kind=decision", vec!["перехід відкладено"]),
        ("status=rejected", vec!["жарт"]),
        (
            "subject=s-%D0%BE%D0%BF%D0%BB%D0%B0%D1%82%D0%B0",
            vec!["оплата падає"],
        ),
        (
            &*format!("chat={NEWS}&kind=problem"),
            vec!["доставка стоїть", "оплата падає"],
        ),
        ("since=2026-01-05T08:00:03Z", vec!["перехід відкладено"]),
        ("until=2026-01-05T08:00:02Z", vec!["оплата падає"]),
        (
            "query=%D0%B4%D0%BE%D1%81%D1%82%D0%B0%D0%B2%D0%BA%D0%B8",
            vec!["доставка стоїть"],
        ),
    ] {
        let found = get(&desk, &admin, &format!("/v1/atoms?{query}")).await;
        assert_eq!(titles(&found), expected, "{query}");
    }
    let page = get(&desk, &admin, "/v1/atoms?limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = get(&desk, &admin, &format!("/v1/atoms?limit=2&cursor={cursor}")).await;
    assert_eq!(
        (titles(&rest), &rest["next_cursor"]),
        (vec!["оплата падає"], &Value::Null)
    );
    let bad = desk.call(&admin, "GET", "/v1/atoms?kind=problm", "").await;
    assert_eq!(bad.problem(400, "invalid_parameter")["nearest"], "problem");
}

#[tokio::test]
async fn an_atom_comes_with_its_versions_and_one_that_is_not_there_is_404() {
    let desk = desk().await;
    let one = get(
        &desk,
        &desk.admin,
        "/v1/atoms/a-0000000000000001?history=true",
    )
    .await;
    assert_eq!(one["versions"].as_array().unwrap().len(), 1);
    let plain = get(&desk, &desk.admin, "/v1/atoms/a-0000000000000001").await;
    assert!(plain.get("versions").is_none());
    let missing = desk.call(&desk.admin, "GET", "/v1/atoms/a-9", "").await;
    missing.problem(404, "not_found");
}

#[tokio::test]
async fn a_limited_key_sees_an_atom_only_if_all_its_evidence_is_allowed() {
    let desk = desk().await;
    let limited = desk.key(&[Scope::Read, Scope::Review], Some(&[OPS])).await;
    let seen = get(&desk, &limited, "/v1/atoms").await;
    assert_eq!(titles(&seen), ["оплата падає"]);
    let shown = &seen["items"][0];
    assert_eq!(
        (&shown["links"], &shown["n_messages"]),
        (&json!([]), &json!(2))
    );
    assert_eq!(shown["sources"], json!([format!("{OPS}:9")]));
    for hidden in ["a-0000000000000002", "a-0000000000000003"] {
        let path = format!("/v1/atoms/{hidden}");
        desk.call(&limited, "GET", &path, "")
            .await
            .problem(404, "not_found");
        let path = format!("/v1/atoms/{hidden}/review");
        let body = r#"{"verdict": "approve"}"#;
        desk.call(&limited, "POST", &path, body)
            .await
            .problem(404, "not_found");
    }
    let subjects = get(&desk, &limited, "/v1/subjects").await;
    assert_eq!(subjects["items"].as_array().unwrap().len(), 1);
    let path = "/v1/subjects/s-%D0%B4%D0%BE%D1%81%D1%82%D0%B0%D0%B2%D0%BA%D0%B0";
    desk.call(&limited, "GET", path, "")
        .await
        .problem(404, "not_found");
    let search = get(
        &desk,
        &limited,
        "/v1/atoms?query=%D0%B4%D0%BE%D1%81%D1%82%D0%B0%D0%B2%D0%BA%D0%B8",
    );
    assert!(titles(&search.await).is_empty());
    // Messages name only the subjects of atoms the key may see.
    let other = get(&desk, &limited, &format!("/v1/messages/{OPS}:3")).await;
    assert_eq!(other["subjects"], json!([]));
    desk.call(&limited, "GET", "/v1/approval-rules", "")
        .await
        .problem(403, "limited_key");
}

#[tokio::test]
async fn messages_carry_their_subjects_and_are_found_by_them() {
    let desk = desk().await;
    let admin = desk.admin.clone();
    let one = get(&desk, &admin, &format!("/v1/messages/{OPS}:1")).await;
    assert_eq!(
        one["subjects"],
        json!([{"id": "s-оплата", "name": "оплата"}])
    );
    let subject = "s-%D0%BF%D0%B5%D1%80%D0%B5%D1%85%D1%96%D0%B4";
    let list = get(&desk, &admin, &format!("/v1/messages?subject={subject}")).await;
    let ids: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].clone())
        .collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    let none = get(&desk, &admin, "/v1/messages?subject=s-none").await;
    assert_eq!(none["items"], json!([]));
    let search = json!({"query": "оплата", "mode": "text", "filter": {"subjects": ["s-перехід"]}});
    let found = desk
        .call(&admin, "POST", "/v1/search", search.to_string())
        .await
        .ok();
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
}

/// What was decided, in order.
async fn decided(desk: &Desk) -> Vec<DecisionKind> {
    let at = TopicPartition::new(Topic::DECISIONS, PartitionId(0));
    let batch = desk
        .log
        .read(&at, Offset(0), ReadLimits::default())
        .await
        .unwrap();
    let read = batch
        .records
        .iter()
        .map(|r| serde_json::from_slice::<Decision>(&r.value).unwrap());
    read.map(|d| d.decision).collect()
}

#[tokio::test]
async fn reviews_are_decisions_one_or_many() {
    let desk = desk().await;
    let key = desk.key_named("olena", &[Scope::Review], None).await;
    let path = "/v1/atoms/a-0000000000000001/review";
    let edit = json!({"verdict": "edit", "title": "Оплата падає на телефонах", "version": 1});
    let answer = desk.call(&key, "POST", path, edit.to_string()).await;
    assert_eq!(answer.status.as_u16(), 202, "no stage runs here");
    let many = json!({"ids": ["a-0000000000000002", "a-0000000000000003"], "verdict": "approve"});
    desk.call(&key, "POST", "/v1/atoms/review", many.to_string())
        .await
        .ok();
    let merge = json!({"verdict": "merge", "into": "a-0000000000000002"});
    desk.call(&key, "POST", path, merge.to_string()).await.ok();
    let decided = decided(&desk).await;
    assert_eq!(decided.len(), 4);
    let text = serde_json::to_value(&decided[0]).unwrap();
    assert_eq!(text["owner"], "olena");
    assert_eq!(
        text["review"],
        json!({"verdict": "edit", "title": "Оплата падає на телефонах"})
    );
}

#[tokio::test]
async fn reviews_that_say_nothing_or_too_much_are_refused() {
    let desk = desk().await;
    let admin = desk.admin.clone();
    let path = "/v1/atoms/a-0000000000000001/review";
    for body in [
        json!({}),
        json!({"verdict": "praise"}),
        json!({"verdict": "edit"}),
        json!({"verdict": "approve", "title": "x"}),
        json!({"verdict": "merge"}),
        json!({"verdict": "merge", "into": "a-0000000000000001"}),
        json!({"verdict": "edit", "title": " "}),
        json!({"verdict": "edit", "title": "a\u{7}"}),
        json!({"verdict": "edit", "kind": "story"}),
    ] {
        let answer = desk.call(&admin, "POST", path, body.to_string()).await;
        answer.problem(400, "invalid_parameter");
    }
    let stale = json!({"verdict": "approve", "version": 7});
    desk.call(&admin, "POST", path, stale.to_string())
        .await
        .problem(409, "conflict");
    let missing = json!({"ids": ["a-0000000000000001", "a-9"], "verdict": "approve"});
    let answer = desk
        .call(&admin, "POST", "/v1/atoms/review", missing.to_string())
        .await;
    answer.problem(404, "not_found");
    assert!(decided(&desk).await.is_empty());
    let reader = desk.key(&[Scope::Read], None).await;
    let body = r#"{"verdict": "approve"}"#;
    desk.call(&reader, "POST", path, body)
        .await
        .problem(403, "missing_scope");
}

#[tokio::test]
async fn subjects_are_listed_shown_renamed_and_merged() {
    let desk = desk().await;
    let admin = desk.admin.clone();
    let list = get(&desk, &admin, "/v1/subjects").await;
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].clone())
        .collect();
    assert_eq!(names, ["доставка", "оплата", "перехід"]);
    let path = "/v1/subjects/s-%D0%BE%D0%BF%D0%BB%D0%B0%D1%82%D0%B0";
    let one = get(&desk, &admin, path).await;
    assert_eq!(
        (titles(&one), &one["name"]),
        (vec!["оплата падає"], &json!("оплата"))
    );
    let rename = json!({"name": "Оплата"});
    desk.call(&admin, "POST", path, rename.to_string())
        .await
        .ok();
    let merge = json!({"merge_into": "s-доставка"});
    desk.call(&admin, "POST", path, merge.to_string())
        .await
        .ok();
    assert_eq!(decided(&desk).await.len(), 2);
    for body in [
        json!({}),
        json!({"name": "x", "merge_into": "s-доставка"}),
        json!({"merge_into": "s-оплата"}),
    ] {
        let answer = desk.call(&admin, "POST", path, body.to_string()).await;
        answer.problem(400, "invalid_parameter");
    }
    let limited = desk.key(&[Scope::Review], Some(&[OPS])).await;
    let path = "/v1/subjects/s-%D0%BF%D0%B5%D1%80%D0%B5%D1%85%D1%96%D0%B4";
    desk.call(&limited, "POST", path, rename.to_string())
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn approval_rules_are_tried_before_they_are_set() {
    let desk = desk().await;
    let admin = desk.admin.clone();
    let rules = json!({"rules": [{"name": "ops", "kinds": ["problem"], "min_confidence": 0.7, "chats": [OPS]}]});
    let tried = desk
        .call(
            &admin,
            "POST",
            "/v1/approval-rules/preview",
            rules.to_string(),
        )
        .await
        .ok();
    assert_eq!(
        (&tried["tried"], &tried["approved"], &tried["by_rule"]),
        (&json!(3), &json!(1), &json!({"ops": 1}))
    );
    assert_eq!(tried["samples"][0]["title"], "оплата падає");
    assert!(decided(&desk).await.is_empty());
    let mut set = rules.clone();
    set["existing"] = true.into();
    let answer = desk
        .call(&admin, "PUT", "/v1/approval-rules", set.to_string())
        .await
        .ok();
    assert_eq!(answer["approved"], 1);
    let decided = decided(&desk).await;
    assert_eq!(decided.len(), 2);
    assert_eq!(
        serde_json::to_value(&decided[1]).unwrap()["owner"],
        "rule:ops"
    );
    for bad in [
        json!({"rules": [{"name": "x", "min_confidence": 2}]}),
        json!({"rules": [{"name": "", "min_confidence": 0.5}]}),
        json!({"rules": [{"name": "x", "min_confidence": 0.5, "kind": "problem"}]}),
        json!({"rules": [{"name": "x", "min_confidence": 0.5, "kinds": ["tale"]}]}),
    ] {
        let answer = desk
            .call(&admin, "PUT", "/v1/approval-rules", bad.to_string())
            .await;
        answer.problem(400, "invalid_parameter");
    }
}
