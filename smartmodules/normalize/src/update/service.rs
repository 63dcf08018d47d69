//! Events of a chat that the Bot API reports as messages, each with a short English description.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parties::Party;
use crate::{json::Text, read};

/// (field, description); the more telling of two fields in one message comes first.
pub(super) const EVENTS: &[(&str, &str)] = &[
    ("new_chat_members", "joined"),
    ("new_chat_member", "joined"),
    ("left_chat_member", "left"),
    ("new_chat_title", "renamed the chat"),
    ("new_chat_photo", "changed the chat photo"),
    ("delete_chat_photo", "removed the chat photo"),
    ("group_chat_created", "created the group"),
    ("supergroup_chat_created", "created the supergroup"),
    ("channel_chat_created", "created the channel"),
    (
        "message_auto_delete_timer_changed",
        "set the auto-delete timer",
    ),
    ("migrate_to_chat_id", "converted the group to supergroup"),
    ("migrate_from_chat_id", "converted from group"),
    ("pinned_message", "pinned a message"),
    ("forum_topic_created", "created the topic"),
    ("forum_topic_edited", "edited the topic"),
    ("forum_topic_closed", "closed the topic"),
    ("forum_topic_reopened", "reopened the topic"),
    ("general_forum_topic_hidden", "hid the general topic"),
    ("general_forum_topic_unhidden", "showed the general topic"),
    ("video_chat_scheduled", "scheduled a video chat"),
    ("video_chat_started", "started a video chat"),
    ("video_chat_ended", "ended the video chat"),
    (
        "video_chat_participants_invited",
        "invited to the video chat",
    ),
    ("voice_chat_scheduled", "scheduled a video chat"),
    ("voice_chat_started", "started a video chat"),
    ("voice_chat_ended", "ended the video chat"),
    (
        "voice_chat_participants_invited",
        "invited to the video chat",
    ),
    ("boost_added", "boosted the chat"),
    ("chat_background_set", "set the chat background"),
    ("chat_owner_changed", "became the owner"),
    ("chat_owner_left", "the owner left"),
    ("community_chat_added", "added the chat to a community"),
    (
        "community_chat_removed",
        "removed the chat from a community",
    ),
    ("checklist_tasks_done", "changed tasks of a checklist"),
    ("checklist_tasks_added", "added tasks to a checklist"),
    ("poll_option_added", "added an option to a poll"),
    ("poll_option_deleted", "deleted an option of a poll"),
    (
        "direct_message_price_changed",
        "changed the price of direct messages",
    ),
    (
        "paid_message_price_changed",
        "changed the price of messages",
    ),
    ("giveaway_created", "created a giveaway"),
    ("giveaway_completed", "completed a giveaway"),
    ("suggested_post_approved", "approved a suggested post"),
    (
        "suggested_post_approval_failed",
        "could not approve a suggested post",
    ),
    ("suggested_post_declined", "declined a suggested post"),
    ("suggested_post_paid", "paid for a suggested post"),
    ("suggested_post_refunded", "refunded a suggested post"),
    ("gift", "sent a gift"),
    ("unique_gift", "sent a unique gift"),
    ("gift_upgrade_sent", "sent a gift upgrade"),
    ("successful_payment", "sent a payment"),
    ("refunded_payment", "refunded a payment"),
    ("users_shared", "shared users"),
    ("user_shared", "shared a user"),
    ("chat_shared", "shared a chat"),
    ("connected_website", "logged in on a website"),
    ("write_access_allowed", "allowed the bot to write"),
    ("passport_data", "sent passport data"),
    ("proximity_alert_triggered", "came near"),
    ("managed_bot_created", "created a managed bot"),
    ("web_app_data", "sent data from a web app"),
];

/// The place of the field `key` in [`EVENTS`].
pub(super) fn place(key: &str) -> Option<usize> {
    EVENTS.iter().position(|(name, _)| *name == key)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// What happened, with the names that matter: `joined: Olena, Taras`.
pub(super) fn describe(place: usize, raw: &RawValue) -> String {
    let (field, what) = EVENTS[place];
    let details = match field {
        "new_chat_members" => {
            let members: Vec<Party<'_>> = read(Some(raw)).unwrap_or_default();
            let names: Vec<String> = members.iter().filter_map(Party::name).collect();
            Some(names.join(", "))
        }
        "new_chat_member" | "left_chat_member" => {
            read::<Party<'_>>(Some(raw)).and_then(|p| p.name())
        }
        "new_chat_title" => read::<Text<'_>>(Some(raw)).and_then(|t| t.owned()),
        "migrate_to_chat_id" | "migrate_from_chat_id" => {
            read::<Text<'_>>(Some(raw)).and_then(|t| t.owned())
        }
        "forum_topic_created" | "forum_topic_edited" => {
            read::<Named<'_>>(Some(raw)).and_then(|n| n.name.owned())
        }
        _ => None,
    };
    match details.filter(|d| !d.is_empty()) {
        Some(details) => format!("{what}: {details}"),
        None => what.to_owned(),
    }
}
