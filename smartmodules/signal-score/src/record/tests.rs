use serde_json::json;
use telesift_schemas::{Message, Screen};

use super::*;
use crate::score;

fn message(text: &str, flags: &[&str]) -> Message {
    serde_json::from_value(json!({
        "v": 1, "id": "-1001:42", "chat": {"id": "-1001", "title": "Ops \"A\"", "kind": "supergroup"},
        "message_id": 42, "edit": 0, "event_time": "2026-01-05T10:00:00Z",
        "author": {"id": "777", "name": "Olena", "kind": "user"}, "kind": "text", "text": text, "lang": "uk",
        "reply_to": null, "thread": null, "forward": null, "links": ["https://example.com/a?b=\"c\""], "media": null,
        "reactions": {"👍": 3}, "deleted_at": null, "flags": flags
    }))
    .unwrap()
}

/// What the record should become, by way of the types.
fn expected(mut message: Message, rules: &Rules) -> Vec<u8> {
    let screen: Screen = score(&MessageView::from(&message), rules);
    message.flags.clear();
    message.screen = Some(screen);
    serde_json::to_vec(&message).unwrap()
}

#[test]
fn a_scored_record_is_what_the_types_would_write() {
    let rules = Rules::default();
    for text in [
        "Критична помилка: падає \"сервер\"\n\t😀",
        "",
        "ok",
        "\u{0}\u{7f}\u{2028}",
    ] {
        for flags in [
            &[][..],
            &["edited"],
            &["edited", "forwarded"],
            &["odd \"flag\""],
        ] {
            let message = message(text, flags);
            let scored = score_record(&serde_json::to_vec(&message).unwrap(), &rules);
            let value: Value = serde_json::from_slice(&scored).unwrap();
            let wanted: Value = serde_json::from_slice(&expected(message, &rules)).unwrap();
            assert_eq!(value, wanted);
        }
    }
}

#[test]
fn the_bytes_of_the_message_stay() {
    let rules = Rules::default();
    let message = message("Token refresh is broken", &["edited"]);
    let scored = score_record(&serde_json::to_vec(&message).unwrap(), &rules);
    assert_eq!(
        String::from_utf8(scored),
        String::from_utf8(expected(message, &rules))
    );
}

#[test]
fn scoring_twice_replaces_the_first_screen() {
    let rules = Rules::default();
    let once = score_record(
        &serde_json::to_vec(&message("падає сервер", &[])).unwrap(),
        &rules,
    );
    let other = Rules::from_toml("name = \"other\"\nversion = 2\n").unwrap();
    let twice: Message = serde_json::from_slice(&score_record(&once, &other)).unwrap();
    assert_eq!(twice.screen.unwrap().rules, other.version());
}

#[test]
fn what_is_no_message_passes_unchanged() {
    let rules = Rules::default();
    for value in [
        r#"{"skip":"no_message"}"#,
        r#"{"fail":{"code":"unreadable","message":"not JSON"}}"#,
        "",
        "null",
        "{}",
        "not JSON",
        r#"{"text":"no kind"}"#,
        "\u{feff}{}",
    ] {
        assert_eq!(score_record(value.as_bytes(), &rules), value.as_bytes());
    }
    assert_eq!(score_record(&[0xff, 0xfe], &rules), [0xff, 0xfe]);
}
