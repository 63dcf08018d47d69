//! What nobody promised: broken, strange and hostile records.

use proptest::prelude::*;
use serde_json::{Value, json};
use telesift_normalize::{NormalizeError, normalize, normalize_into};
use telesift_schemas::{Normalized, SkipReason};

fn update(payload: &Value) -> Vec<u8> {
    json!({"v": 1, "source": {"kind": "webhook", "bot": "b"}, "chat": null, "payload": payload})
        .to_string()
        .into_bytes()
}

fn export(payload: &Value) -> Vec<u8> {
    json!({"v": 1, "source": {"kind": "export", "import": "i"},
        "chat": {"id": 1, "type": "private_group", "name": "g"}, "payload": payload})
    .to_string()
    .into_bytes()
}

#[test]
fn what_cannot_be_read_is_refused_with_its_cause() {
    let missing = |field| Err(NormalizeError::Missing(field));
    let chat = json!({"id": -5, "type": "group"});
    for (raw, expected) in [
        (
            update(&json!({"update_id": 1, "message": {}})),
            missing("message_id"),
        ),
        (
            update(&json!({"update_id": 1, "message": {"message_id": 1}})),
            missing("date"),
        ),
        (
            update(&json!({"update_id": 1, "message": {"message_id": 1, "date": 1}})),
            missing("chat"),
        ),
        (
            update(
                &json!({"update_id": 1, "message": {"message_id": 1, "date": 9e17, "chat": chat}}),
            ),
            missing("date"),
        ),
        (
            export(&json!({"type": "message", "date_unixtime": "1"})),
            missing("id"),
        ),
        (
            export(&json!({"type": "message", "id": 1, "date": "2020-01-01T00:00:00"})),
            missing("date_unixtime"),
        ),
        (
            br#"{"v":2,"source":{"kind":"webhook","bot":"b"},"payload":{}}"#.to_vec(),
            Err(NormalizeError::Version(2)),
        ),
    ] {
        assert_eq!(normalize(&raw), expected);
    }
    for raw in [&b""[..], b"null", b"[]", b"{\"v\":1", b"\xff\xfe"] {
        assert!(matches!(normalize(raw), Err(NormalizeError::NotARecord(_))));
    }
    for payload in [
        json!([]),
        json!("text"),
        json!(5),
        json!({"update_id": 1, "message": "text"}),
    ] {
        assert!(
            matches!(
                normalize(&update(&payload)),
                Err(NormalizeError::Payload(_))
            ),
            "{payload}"
        );
    }
}

#[test]
fn half_an_emoji_costs_no_text() {
    for raw in [
        r#"{"v":1,"source":{"kind":"webhook","bot":"b"},"chat":null,"payload":{"update_id":1,"message":{"message_id":1,"date":1767600000,"chat":{"id":-5,"type":"group"},"text":"впав \ud83d сервер"}}}"#,
        r#"{"v":1,"source":{"kind":"export","import":"i"},"chat":{"id":5,"type":"private_group","name":"g"},"payload":{"id":1,"type":"message","date_unixtime":"1767600000","text":["впав \ud83d ","сервер"]}}"#,
    ] {
        let Ok(Normalized::Message(message)) = normalize(raw.as_bytes()) else {
            panic!("{raw}")
        };
        assert_eq!(message.text, "впав \u{fffd} сервер");
    }
}

#[test]
fn failures_leave_the_guest_as_values_without_a_word_of_the_text() {
    let mut out = Vec::new();
    normalize_into(
        &update(&json!({"update_id": 1, "message": "top secret"})),
        &mut out,
    );
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with(r#"{"fail":{"code":"unreadable","message":"payload: "#),
        "{text}"
    );
    assert!(!text.contains("secret"));
}

#[test]
fn strange_fields_do_not_cost_the_message() {
    let odd = json!({"update_id": "x", "message": {"message_id": "7", "date": 1_767_607_200.0, "chat": {"id": "-5"},
        "text": "ok", "from": [], "sender_chat": 5, "entities": {"a": 1}, "photo": null, "edit_date": null,
        "reply_to_message": "x", "quote": 3, "forward_origin": [1], "is_automatic_forward": 1}});
    let Ok(Normalized::Message(message)) = normalize(&update(&odd)) else {
        panic!("no message");
    };
    assert_eq!(
        (message.id.to_string().as_str(), message.text.as_str()),
        ("-5:7", "ok")
    );
    let odd = json!({"id": 7.0, "type": "message", "date_unixtime": 1_767_607_200, "from": 5, "from_id": {},
        "text": [null, "a", {"text": 5}], "poll": [], "reactions": {}, "members": 4, "width": "12"});
    let Ok(Normalized::Message(message)) = normalize(&export(&odd)) else {
        panic!("no message");
    };
    assert_eq!(message.text, "a5");
}

#[test]
fn objects_that_are_no_updates_are_skipped() {
    for payload in [
        json!({}),
        json!({"message": {"text": "x"}}),
        json!({"update_id": 1}),
        json!({"update_id": 1, "message": null}),
    ] {
        let skip = Normalized::Skip {
            skip: SkipReason::UnknownUpdate,
        };
        assert_eq!(normalize(&update(&payload)), Ok(skip), "{payload}");
    }
}

/// JSON that knows the field names.
fn value() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "update_id",
        "message",
        "channel_post",
        "message_id",
        "id",
        "type",
        "date",
        "date_unixtime",
        "chat",
        "from",
        "from_id",
        "text",
        "caption",
        "entities",
        "text_entities",
        "offset",
        "length",
        "url",
        "href",
        "photo",
        "poll",
        "rich_message",
        "blocks",
        "reply_to_message",
        "forward_origin",
        "sender_chat",
        "edited_unixtime",
        "reactions",
        "count",
        "emoji",
        "new_chat_members",
        "members",
        "action",
        "actor_id",
        "file",
        "width",
        "location",
        "latitude",
        "title",
        "zzz",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "message",
            "service",
            "url",
            "text_link",
            "user1",
            "channel9223372036854775807",
            "chat-9223372036854775808",
            "1767607200"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 10, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..10)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_gives_an_outcome(payload in value()) {
        for raw in [update(&payload), export(&payload)] {
            let mut out = Vec::new();
            normalize_into(&raw, &mut out);
            prop_assert!(serde_json::from_slice::<Normalized>(&out).is_ok());
        }
    }

    #[test]
    fn any_message_gives_an_outcome(mut payload in value(), id in any::<i64>(), chat in any::<i64>(), text in "\\PC{0,40}") {
        if let Value::Object(fields) = &mut payload {
            for (key, field) in [("message_id", json!(id)), ("id", json!(id)), ("date", json!(1)), ("date_unixtime", json!("1")),
                ("type", json!("message")), ("chat", json!({"id": chat})), ("text", json!(text))] {
                fields.insert(key.to_owned(), field);
            }
        }
        for raw in [update(&json!({"update_id": 1, "message": payload})), export(&payload)] {
            let mut out = Vec::new();
            normalize_into(&raw, &mut out);
            prop_assert!(serde_json::from_slice::<Normalized>(&out).is_ok());
        }
    }

    #[test]
    fn any_bytes_give_an_outcome(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(normalize(&raw).is_err());
    }
}
