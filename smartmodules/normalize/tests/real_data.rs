//! Updates and exports that nobody here wrote, where they lie beside the checkout.

#[path = "real_data/updates.rs"]
mod updates;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json, value::RawValue};
use telesift_normalize::normalize;
use telesift_schemas::{ChatId, Message, MessageKind, Normalized};
use updates::UPDATES;

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The kind of the message, or the reason of the skip.
fn outcome(raw: &str) -> String {
    match normalize(raw.as_bytes()) {
        Ok(Normalized::Message(message)) => message.kind.as_str().to_owned(),
        Ok(Normalized::Skip { skip }) => skip.as_str().to_owned(),
        Ok(Normalized::Reacted { .. }) => "reactions".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_update_has_the_outcome_its_name_promises() {
    let Some(dir) = shared("updates") else {
        return;
    };
    let mut found = BTreeMap::new();
    for path in files(&dir) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let payload = fs::read_to_string(&path).unwrap();
        let raw = format!(
            r#"{{"v":1,"source":{{"kind":"webhook","bot":"b"}},"chat":null,"received":1767607200,"part":0,"payload":{payload}}}"#
        );
        found.insert(name, outcome(&raw));
    }
    let expected: BTreeMap<String, String> = UPDATES
        .iter()
        .map(|&(name, what)| (name.to_owned(), what.to_owned()))
        .collect();
    assert_eq!(found, expected);
}

/// Every message of an export, wrapped as the importer wraps it, with what it gave.
fn messages_of(path: &Path) -> Vec<Message> {
    #[derive(serde::Deserialize)]
    struct Chat<'a> {
        #[serde(default)]
        name: Option<String>,
        #[serde(rename = "type")]
        kind: String,
        id: i64,
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
    }
    #[derive(serde::Deserialize)]
    struct Account<'a> {
        #[serde(borrow)]
        chats: List<'a>,
    }
    #[derive(serde::Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        list: Vec<Chat<'a>>,
    }
    let text = fs::read_to_string(path).expect("a readable file");
    let chats = match serde_json::from_str::<Account<'_>>(&text) {
        Ok(account) => account.chats.list,
        Err(_) => serde_json::from_str::<Chat<'_>>(&text)
            .into_iter()
            .collect(),
    };
    let mut messages = Vec::new();
    for chat in chats {
        let header = json!({"id": chat.id, "type": chat.kind, "name": chat.name});
        for payload in chat.messages {
            let value: Value = serde_json::from_str(payload.get()).expect("JSON");
            let assumed = if value.get("date_unixtime").is_none() {
                r#","assumed":{"tz":"UTC","date":1500000000}"#
            } else {
                ""
            };
            let raw = format!(
                r#"{{"v":1,"source":{{"kind":"export","import":"i"{assumed}}},"chat":{header},"payload":{}}}"#,
                payload.get()
            );
            let Ok(Normalized::Message(message)) = normalize(raw.as_bytes()) else {
                panic!("{}: {}", path.display(), outcome(&raw));
            };
            assert_eq!(Some(message.message_id), value["id"].as_i64());
            assert_eq!(
                message.kind == MessageKind::Service,
                value["type"] == "service"
            );
            assert_eq!(
                message.flags.iter().any(|f| f == "time_uncertain"),
                !assumed.is_empty()
            );
            messages.push(*message);
        }
    }
    messages
}

#[test]
fn every_message_of_every_export_goes_through() {
    let Some(dir) = shared("exports") else {
        return;
    };
    let mut n = 0;
    let mut n_edited = 0;
    for path in files(&dir) {
        let messages = messages_of(&path);
        n += messages.len();
        n_edited += messages.iter().filter(|m| m.edit > 0).count();
        for message in messages {
            assert!(message.chat.id != ChatId(0));
            assert!(
                message.kind != MessageKind::Other,
                "{}: {message:?}",
                path.display()
            );
            if message.kind == MessageKind::Text {
                assert!(!message.text.is_empty() || message.media.is_none());
            }
        }
    }
    assert_eq!(n, 664);
    assert_eq!(n_edited, 19);
}
