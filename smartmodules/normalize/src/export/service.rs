//! A short English description of an exported service message.

use super::{
    entry::Entry,
    media::{names, seconds},
};

/// What happened, in the form of an action by the author: `invited: Olena, Taras`.
pub(super) fn describe(entry: &Entry<'_>) -> String {
    let what = match entry.action.as_str() {
        "create_group" => "created the group",
        "create_channel" => "created the channel",
        "edit_group_title" => "renamed the chat",
        "edit_group_photo" => "changed the chat photo",
        "delete_group_photo" => "removed the chat photo",
        "invite_members" => "invited",
        "remove_members" => "removed",
        "join_group_by_link" => "joined by an invite link",
        "join_group_by_request" => "joined by request",
        "migrate_to_supergroup" => "converted the group to a supergroup",
        "migrate_from_group" => "converted a group to this supergroup",
        "pin_message" => "pinned a message",
        "clear_history" => "cleared the history",
        "score_in_game" => "scored in a game",
        "send_payment" => "sent a payment",
        "phone_call" => "phone call",
        "conference_call" => "conference call",
        "take_screenshot" => "took a screenshot",
        "joined_telegram" => "joined Telegram",
        "group_call" => "video chat",
        "invite_to_group_call" => "invited to the video chat",
        "group_call_scheduled" => "scheduled a video chat",
        "set_messages_ttl" => "set the auto-delete timer",
        "edit_chat_theme" => "changed the chat theme",
        "topic_created" => "created the topic",
        "topic_edit" => "edited the topic",
        "suggest_profile_photo" => "suggested a profile photo",
        "send_premium_gift" => "sent a Premium gift",
        "set_chat_wallpaper" => "set the wallpaper",
        "set_same_chat_wallpaper" => "set the same wallpaper",
        "boost_apply" => "boosted the chat",
        "giveaway_launch" => "started a giveaway",
        "giveaway_results" => "announced giveaway results",
        "" => entry
            .information_text
            .non_empty()
            .unwrap_or("service message"),
        // The rest are words already.
        other => return with_details(&other.replace('_', " "), entry),
    };
    with_details(what, entry)
}

fn with_details(what: &str, entry: &Entry<'_>) -> String {
    let mut details: Vec<String> = Vec::new();
    for title in [&entry.title, &entry.new_title] {
        details.extend(title.owned());
    }
    let members = names(entry.members);
    if !members.is_empty() {
        details.push(members);
    }
    details.extend(entry.discard_reason.owned());
    details.extend(seconds(entry.duration_seconds));
    if details.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", details.join(", "))
    }
}
