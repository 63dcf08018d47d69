//! Updates that nobody here wrote, each through the whole flow with an outcome of its own.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::{add_unregistered, post_text, serve, stub::BotApiStub};
use crate::{
    server::{Home, Server},
    shared,
};

/// File name and content of every update, by name.
fn files() -> BTreeMap<String, Value> {
    let Some(folder) = shared::folder("updates") else {
        return BTreeMap::new();
    };
    let mut files = BTreeMap::new();
    for source in std::fs::read_dir(folder).unwrap() {
        let source = source.unwrap().path();
        for file in std::fs::read_dir(source).into_iter().flatten() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let content = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            files.insert(name, content);
        }
    }
    files
}

/// The same update with ids that no other file has: many of them share theirs, and would be taken for one.
fn told_apart(mut update: Value, n: i64) -> Value {
    let fields = update.as_object_mut().unwrap();
    if fields.contains_key("update_id") {
        fields.insert("update_id".to_owned(), n.into());
        for held in fields.values_mut() {
            if held["message_id"].is_i64() {
                held["message_id"] = (10_000 + n).into();
            }
        }
    }
    update
}

/// What became of each raw record, by (partition, offset).
async fn outcomes(server: &Server) -> HashMap<(u64, u64), String> {
    let mut outcomes = HashMap::new();
    for (topic, by) in [
        ("messages", "kind"),
        ("reactions", "reactions"),
        ("dead-letters", "dead"),
    ] {
        for (_, _, record) in server.records(topic).await {
            let origin = &record["origin"];
            let at = (
                origin["partition"].as_u64().unwrap(),
                origin["offset"].as_u64().unwrap(),
            );
            let outcome = record[by].as_str().unwrap_or(by).to_owned();
            assert!(outcomes.insert(at, outcome).is_none());
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_update_goes_through_with_its_outcome() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let (home, stub) = (Home::new(), BotApiStub::start().await);
    let server = serve(&home, &stub);
    add_unregistered(&server, json!([])).await;
    let mut sent = HashMap::new();
    for (n, (name, update)) in files.into_iter().enumerate() {
        let text = told_apart(update, 1 + n as i64).to_string();
        assert_eq!(post_text(&server, text.clone()).await, 200, "{name}");
        sent.insert(text, name);
    }
    let ledger = server.settled().await;

    let outcomes = outcomes(&server).await;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (partition, offset, record) in server.records("telegram-raw").await {
        let name = &sent[&record["payload"].to_string()];
        let outcome = outcomes.get(&(partition, offset));
        let outcome = outcome.map_or("skipped", String::as_str).to_owned();
        let first = found.insert(name.clone(), outcome.clone());
        assert!(first.is_none_or(|first| first == outcome), "{name}");
    }
    let is_skip = |outcome: &str| ["no_message", "unknown_update"].contains(&outcome);
    let expected: BTreeMap<String, String> = UPDATES
        .iter()
        .map(|&(name, what)| {
            let what = if is_skip(what) { "skipped" } else { what };
            (name.to_owned(), what.to_owned())
        })
        .collect();
    assert_eq!(found, expected);
    for reason in ["no_message", "unknown_update"] {
        let n = UPDATES.iter().filter(|(_, what)| *what == reason).count() as u64;
        let skipped = ledger.iter().filter(|s| s["stage"] == "screen");
        let skipped: u64 = skipped.filter_map(|s| s["skipped"][reason].as_u64()).sum();
        assert_eq!(skipped, n, "{reason}");
    }
    assert_eq!(server.n_records("dead-letters").await, 0);
    // No link to a file, which would hold the token, is made up anywhere.
    for (_, _, message) in server.records("messages").await {
        assert!(!message.to_string().contains("/file/bot"), "{message}");
    }
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
