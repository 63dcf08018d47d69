//! Updates and exports that nobody here wrote, where they lie beside the checkout.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json, value::RawValue};
use telesift_normalize::normalize;
use telesift_schemas::{ChatId, Message, MessageKind, Normalized};

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

#[rustfmt::skip]
const UPDATES: &[(&str, &str)] = &[
    ("audio", "audio"),
    ("business_message", "text"),
    ("callback_query_complex", "no_message"),
    ("callback_query_without_message", "no_message"),
    ("chat_boost", "no_message"),
    ("chat_member", "no_message"),
    ("chat_owner_changed", "service"),
    ("chat_shared", "service"),
    ("checklist_tasks_added", "service"),
    ("command", "text"),
    ("command_tag_valid", "text"),
    ("command_with_parameters", "text"),
    ("community_chat_removed", "service"),
    ("contact", "contact"),
    ("deleted_business_messages", "deleted"),
    ("dice", "dice"),
    ("document", "document"),
    ("edited_channel_post", "text"),
    ("food", "text"),
    ("forum_topic_created", "service"),
    ("forum_topic_reopened", "service"),
    ("giveaway", "giveaway"),
    ("giveaway_created", "service"),
    ("group_chat_created", "service"),
    ("guest_message", "text"),
    ("left_chat_member", "service"),
    ("managed_bot", "no_message"),
    ("managed_bot_created", "service"),
    ("message_auto_delete_timer_changed", "service"),
    ("message_different_topic", "text"),
    ("message_forward_origin", "text"),
    ("message_general_topic_reply", "text"),
    ("message_reaction", "reactions"),
    ("message_topic", "text"),
    ("messages_rich_message", "unknown_update"),
    ("migrate_to_chat_id", "service"),
    ("my_chat_member", "no_message"),
    ("new_chat_photo", "service"),
    ("not_command", "text"),
    ("paid_media_purchased", "no_message"),
    ("photo", "photo"),
    ("poll_answer", "no_message"),
    ("poll_option_added", "service"),
    ("proximity_alert_triggered", "service"),
    ("rich_message", "text"),
    ("shipping_query", "no_message"),
    ("story", "story"),
    ("supergroup_chat_created", "service"),
    ("users_shared", "service"),
    ("video", "video"),
    ("video_chat_participants_invited", "service"),
    ("video_chat_started", "service"),
    ("voice", "voice"),
    ("maybe_inaccessible_message_L85_test_regular_message", "unknown_update"),
    ("message_L2357_de_shared_chat", "unknown_update"),
    ("message_L2453_de_text", "unknown_update"),
    ("message_L2522_de_image", "unknown_update"),
    ("message_L2638_issue_427", "unknown_update"),
    ("message_L2666_issue_481", "unknown_update"),
    ("message_L2729_parse_caption_entities", "unknown_update"),
    ("message_L2824_topic_message", "unknown_update"),
    ("message_L2840_issue_874", "unknown_update"),
    ("message_L2916_giveaway_created", "unknown_update"),
    ("message_L3043_giveaway_winners", "unknown_update"),
    ("message_L3164_suggested_post_approved", "unknown_update"),
    ("message_L3230_suggested_post_declined", "unknown_update"),
    ("message_L3290_suggested_post_refunded", "unknown_update"),
    ("message_L3364_unique_gift_info", "unknown_update"),
    ("message_L3462_effect_id", "unknown_update"),
    ("message_reaction_count_updated_L47_deserialize", "unknown_update"),
    ("message_reaction_updated_L103_deserialize_chat", "unknown_update"),
    ("update_L1082_chat_boost_updated", "no_message"),
    ("update_L1206_paid_media_purchased_de", "no_message"),
    ("update_L650_issue_1107", "story"),
    ("update_L749_de_private_chat_text_message", "text"),
    ("update_L828_dice_works", "dice"),
    ("update_L880_issue_523", "no_message"),
    ("update_L965_message_reaction_updated", "reactions"),
];
