//! What becomes of each entry: its chat, its bytes, its identity, its turn.

use std::ops::ControlFlow;

use telesift_ports::{
    ExportReader as _,
    source::{ExportEntry, message_identity},
};
use telesift_schemas::{ChatId, ExportChat};
use telesift_telegram::DesktopExport;

use crate::support::{Export, SUPERGROUP, assumed, entries, record, supergroup, update};

/// A full-account export: personal data around the chats, headers after the messages in one of them.
const FULL_ACCOUNT: &str = r#"{
 "about": "Here is the data you requested.",
 "personal_information": {"user_id": 1, "first_name": "SECRET-owner", "phone_number": "+380 SECRET-phone"},
 "contacts": {"list": [{"first_name": "SECRET-contact", "phone_number": "SECRET-number"}]},
 "frequent_contacts": {"list": [{"id": 5, "name": "SECRET-frequent", "messages": [{"id": 99}]}]},
 "sessions": {"list": [{"last_ip": "SECRET-ip"}]},
 "chats": {"about": "…", "list": [
  {"name": "Ops", "type": "private_supergroup", "id": 1234567890, "messages": [{"id": 1}, {"id": 2}]},
  {"id": 42, "messages": [{"id": 3, "text": "y"}], "name": null, "type": "personal_chat", "draft": "SECRET-draft"},
  {"type": "saved_messages", "id": 1, "messages": []},
  {"name": "Holo", "type": "hologram", "id": 7, "messages": [{"id": 4}]}
 ]},
 "left_chats": {"list": [
  {"name": "Old", "type": "public_channel", "id": 55, "messages": [{"id": 5}]}
 ]},
 "other_data": {"drafts": [{"messages": "SECRET-drafts"}]}
}"#;

#[test]
fn a_full_account_gives_its_chats_and_left_chats() {
    let export = Export::new(FULL_ACCOUNT);
    let summary = export.validate().unwrap();
    assert_eq!((summary.n_chats, summary.n_entries), (4, 5));
    let chats: Vec<_> = export
        .entries()
        .into_iter()
        .map(|entry| match entry {
            ExportEntry::Update(update) => Ok((update.chat.0, update.unique)),
            ExportEntry::Skipped(reason) => Err(reason),
        })
        .collect();
    let message = |chat, id| Ok((chat, vec![message_identity(ChatId(chat), id, 0)]));
    assert_eq!(
        chats,
        [
            message(-1_001_234_567_890, 1),
            message(-1_001_234_567_890, 2),
            message(42, 3),
            Err("unknown_chat_type"),
            message(-1_000_000_000_055, 5),
        ]
    );
}

#[test]
fn an_account_without_chats_is_an_export_of_nothing() {
    let summary = Export::new(r#"{"about": "…", "chats": {"list": []}}"#).validate();
    let summary = summary.unwrap();
    assert_eq!((summary.n_chats, summary.n_entries), (0, 0));
}

#[test]
fn the_id_of_a_chat_may_be_written_as_a_text() {
    let text =
        r#"{"name": "Ops", "type": "private_supergroup", "id": "55", "messages": [{"id": 7}]}"#;
    let entries = Export::new(text).entries();
    let [ExportEntry::Update(update)] = &entries[..] else {
        panic!("{}", entries.len())
    };
    assert_eq!(update.chat, ChatId(-1_000_000_000_055));
    assert_eq!(update.unique, vec![message_identity(update.chat, 7, 0)]);
}

#[test]
fn personal_data_never_gets_into_a_record() {
    for entry in Export::new(FULL_ACCOUNT).entries() {
        if let ExportEntry::Update(update) = entry {
            let text = String::from_utf8(update.value.to_vec()).unwrap();
            assert!(!text.contains("SECRET"), "{text}");
        }
    }
}

#[test]
fn a_record_carries_the_header_of_its_chat() {
    let header = |id, kind: &str, name: Option<&str>| {
        Some(ExportChat {
            id,
            kind: kind.to_owned(),
            name: name.map(str::to_owned),
        })
    };
    let export = Export::new(FULL_ACCOUNT);
    let headers: Vec<_> = export
        .entries()
        .iter()
        .filter_map(|entry| match entry {
            ExportEntry::Update(update) => Some(record(update).0.chat),
            ExportEntry::Skipped(_) => None,
        })
        .collect();
    assert_eq!(
        headers[1..],
        [
            header(1234567890, "private_supergroup", Some("Ops")),
            header(42, "personal_chat", None), // it stands after the messages
            header(55, "public_channel", Some("Old")),
        ]
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let plain = Export::new(FULL_ACCOUNT).entries();
    let windows = format!("\u{feff}{}\r\n", FULL_ACCOUNT.replace('\n', "\r\n"));
    assert_eq!(Export::new(windows).entries(), plain);
}

#[test]
fn a_payload_is_the_slice_of_the_file() {
    let odd = [
        "{\"id\":1}",
        "{ }",
        "{\t\"text\" :\r\n \"\\u043a\\u0430\\/\\\"va \\ud83d\\ude00 \u{1f600}\",\n\n  \"id\" : 2 }",
        "{\"z\": 1.50e+3, \"a\": -0, \"id\": 3, \"z\": 12345678901234567890123, \"\": null}",
        "{\"id\": 4, \"text\": \"\\ud800 \u{2028}\u{fffe}\u{7f}\"}",
        "{\"id\": 5, \"text\": [\"[{]}\", {\"type\": \"bold\", \"text\": \"}\\\\\"}]}",
    ];
    let updates = Export::new(supergroup(&odd.join(" ,\r\n"))).updates();
    let payloads: Vec<_> = updates.iter().map(|u| record(u).1).collect();
    assert_eq!(payloads, odd);
}

#[test]
fn a_deep_entry_overflows_no_stack() {
    let deep = format!(
        "{{\"id\": 1, \"x\": {}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let updates = Export::new(supergroup(&deep)).updates();
    assert_eq!(record(&updates[0]).1, deep);
    assert_eq!(updates[0].unique, [message_identity(SUPERGROUP, 1, 0)]);
}

#[test]
fn a_message_is_the_same_in_every_export_of_it() {
    let first = supergroup(
        r#"{"id": 7, "type": "message", "date": "2026-01-05T12:00:00", "date_unixtime": "1767600000",
            "edited": "2026-01-05T12:01:40", "edited_unixtime": "1767600100", "text": "hi"}"#,
    );
    let later = supergroup(
        r#"{"text_entities": [], "edited_unixtime": 1767600100, "date_unixtime": 1767600000, "text": ["hi"],
            "date": "2026-01-05T10:00:00", "edited": "2026-01-05T10:01:40", "id": 7, "reactions": []}"#,
    )
    .replace("Ops", "Ops renamed");
    let same = vec![message_identity(SUPERGROUP, 7, 1_767_600_100)];
    assert_eq!(Export::new(first).updates()[0].unique, same);
    assert_eq!(Export::new(later).updates()[0].unique, same);
}

#[test]
fn another_edit_is_another_version() {
    let version = |edited: &str| {
        let entry =
            format!(r#"{{"id": 7, "date_unixtime": "1767600000", "edited_unixtime": {edited}}}"#);
        Export::new(supergroup(&entry)).updates().remove(0).unique
    };
    assert_ne!(version("\"1767600100\""), version("\"1767600101\""));
    for never in ["\"0\"", "0", "\"7200\"", "null", "\"soon\""] {
        assert_eq!(
            version(never),
            [message_identity(SUPERGROUP, 7, 0)],
            "{never}"
        );
    }
}

#[test]
fn an_unreadable_time_leaves_the_identity() {
    let odd =
        r#"{"id": 7, "date": 5, "edited": false, "date_unixtime": [{}], "edited_unixtime": 1.5}"#;
    let updates = Export::new(supergroup(odd)).updates();
    assert_eq!(updates[0].unique, [message_identity(SUPERGROUP, 7, 0)]);
    assert_eq!(assumed(&updates[0]), None);
}

#[test]
fn an_entry_without_a_readable_id_keeps_its_place_by_its_bytes() {
    let unread = [
        r#"{"type": "message"}"#,
        r#"{"id": "x"}"#,
        r#"{"id": 1, "id": 2}"#,
        r#"{"id": null}"#,
    ];
    let export = supergroup(&[unread.join(","), unread.join(",\n")].join(","));
    let updates = Export::new(export).updates();
    assert_eq!(updates.len(), 8);
    for (i, update) in updates.iter().enumerate() {
        assert_eq!(update.chat, SUPERGROUP);
        assert_eq!(record(update).1, unread[i % 4]);
        assert_eq!(
            update.unique,
            updates[i % 4].unique,
            "the same bytes are the same entry"
        );
        let others = updates.iter().filter(|other| other.unique == update.unique);
        assert_eq!(others.count(), 2);
    }
}

#[test]
fn only_selected_chats_are_taken() {
    let export = Export::new(FULL_ACCOUNT);
    let mut request = export.request();
    request.chats = vec![ChatId(42), ChatId(-1_000_000_000_055), ChatId(999)];
    let taken: Vec<_> = entries(&request, 0)
        .unwrap()
        .into_iter()
        .map(|entry| match entry {
            ExportEntry::Update(update) => update.chat.to_string(),
            ExportEntry::Skipped(reason) => reason.to_owned(),
        })
        .collect();
    let left_out = "chat_not_selected";
    assert_eq!(
        taken,
        [
            left_out,
            left_out,
            "42",
            "unknown_chat_type",
            "-1000000000055"
        ]
    );
    assert_eq!(DesktopExport.validate(&request).unwrap().n_entries, 5);
}

#[test]
fn reading_resumes_after_any_number_of_entries() {
    let export = Export::new(FULL_ACCOUNT);
    let all = export.entries();
    for skip in 0..all.len() + 2 {
        let rest = entries(&export.request(), skip as u64).unwrap();
        assert_eq!(rest, all[skip.min(all.len())..], "after {skip}");
    }
}

#[test]
fn reading_stops_when_the_sink_has_enough() {
    let export = Export::new(FULL_ACCOUNT);
    let all = export.entries();
    for enough in 1..=all.len() {
        let mut found = Vec::new();
        let mut sink = |entry, _| {
            found.push(entry);
            if found.len() == enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        DesktopExport
            .read("import-1", &export.request(), 0, &mut sink)
            .unwrap();
        assert_eq!(found, all[..enough]);
    }
}

#[test]
fn ids_need_not_ascend() {
    let updates =
        Export::new(supergroup(r#"{"id": 9}, {"id": -5}, {"id": 9}, {"id": 2}"#)).entries();
    let ids: Vec<_> = updates.into_iter().map(|e| update(e).unique).collect();
    let expected = [9, -5, 9, 2].map(|id| vec![message_identity(SUPERGROUP, id, 0)]);
    assert_eq!(ids, expected);
}
