//! The kinds of Bot API updates, by the field that holds them: one list for who asks for them, appends them and reads them.

/// Updates that hold a message.
pub const MESSAGES: [&str; 7] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_message",
    "edited_business_message",
    "guest_message",
];

/// Messages of a business account that were deleted: the only deletions bots are told of.
pub const DELETED: &str = "deleted_business_messages";

/// What one user reacts with now.
pub const REACTION: &str = "message_reaction";

/// How often everybody together reacts with what, where Telegram does not say who.
pub const REACTION_COUNT: &str = "message_reaction_count";

/// What a bot asks Telegram for: all that says anything of a message. Telegram leaves reactions out unless they are named.
pub const SUBSCRIBED: [&str; 10] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    DELETED,
    REACTION,
    REACTION_COUNT,
];
