//! What Telegram says of a bot, in plain words, and what to do about it.

use telesift_ports::bots::{BotInfo, BotState, Delivery, WebhookInfo};
use telesift_schemas::update_kinds;

/// Empty where all is well. `url` is where Telegram should send updates, if that is configured.
pub(super) fn of(bot: &BotInfo, webhook: Option<&WebhookInfo>, url: Option<&str>) -> Vec<String> {
    let mut advice: Vec<String> = state(bot).into_iter().collect();
    let Some(info) = webhook else {
        return advice;
    };
    match bot.delivery {
        Delivery::Webhook => advice.extend(place(bot, info, url)),
        Delivery::Polling if !info.url.is_empty() => advice.push(format!(
            "a webhook is set ({}), so polling gets nothing: remove the bot here and add it again, which clears it",
            info.url
        )),
        Delivery::Polling => {}
    }
    if info.pending_updates > 0 {
        advice.push(format!(
            "{} updates wait at Telegram, which keeps them for 24 hours",
            info.pending_updates
        ));
    }
    if let (Delivery::Webhook, Some(error)) = (bot.delivery, &info.last_error) {
        let at = info
            .last_error_at
            .map_or(String::new(), |t| format!(" at {t}"));
        advice.push(format!(
            "Telegram could not deliver an update{at}: {error}. It tries again by itself. See that the address is reached from outside by HTTPS with a valid certificate; a 401 means that Telegram holds another secret: remove the bot and add it again"
        ));
    }
    advice.extend(kinds(bot, info));
    advice
}

fn state(bot: &BotInfo) -> Option<String> {
    match bot.state {
        BotState::Locked | BotState::Conflict | BotState::Revoked | BotState::Waiting => {
            bot.detail.clone()
        }
        BotState::Listening | BotState::Starting | BotState::Polling => None,
    }
}

/// Whether Telegram sends updates here.
fn place(bot: &BotInfo, info: &WebhookInfo, url: Option<&str>) -> Option<String> {
    let again = match bot.registered {
        true => "remove the bot here and add it again",
        false => "call setWebhook with this server's address and the secret given here",
    };
    if info.url.is_empty() {
        return Some(format!("Telegram has no webhook for this bot: {again}"));
    }
    let elsewhere = url.filter(|url| *url != info.url)?;
    Some(format!(
        "Telegram sends updates to {}, not to {elsewhere}: {again}",
        info.url
    ))
}

/// Which kinds of updates nobody asked Telegram for.
fn kinds(bot: &BotInfo, info: &WebhookInfo) -> Option<String> {
    if bot.delivery == Delivery::Polling || info.url.is_empty() {
        return None;
    }
    // Telegram's default: all but what must be named.
    let is_asked = |kind: &&str| match info.allowed_updates.is_empty() {
        true => ![update_kinds::REACTION, update_kinds::REACTION_COUNT].contains(kind),
        false => info.allowed_updates.iter().any(|asked| asked == kind),
    };
    let missing: Vec<&str> = update_kinds::SUBSCRIBED
        .into_iter()
        .filter(|kind| !is_asked(kind))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "Telegram was not asked for {}: set `allowed_updates`",
            missing.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use telesift_schemas::Timestamp;

    use super::*;

    fn bot(delivery: Delivery, state: BotState) -> BotInfo {
        BotInfo {
            name: "ops".to_owned(),
            id: "1".to_owned(),
            delivery,
            registered: true,
            chats: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            state,
            detail: Some("why".to_owned()),
            waiting_until: None,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn info(url: &str) -> WebhookInfo {
        WebhookInfo {
            url: url.to_owned(),
            allowed_updates: update_kinds::SUBSCRIBED.map(str::to_owned).to_vec(),
            ..WebhookInfo::default()
        }
    }

    const HERE: &str = "https://sift.example/v1/telegram/webhook/ops";

    #[test]
    fn all_well_needs_no_words() {
        let called = bot(Delivery::Webhook, BotState::Listening);
        assert_eq!(of(&called, Some(&info(HERE)), Some(HERE)), [""; 0]);
        let polled = bot(Delivery::Polling, BotState::Polling);
        assert_eq!(of(&polled, Some(&info("")), None), [""; 0]);
    }

    #[test]
    fn each_trouble_is_named_with_what_to_do() {
        let called = bot(Delivery::Webhook, BotState::Listening);
        let mut broken = info("https://other.example/hook");
        broken.pending_updates = 12;
        broken.last_error = Some("Connection timed out".to_owned());
        broken.last_error_at = Some(Timestamp::from_second(1_767_607_200).unwrap());
        broken.allowed_updates = vec!["message".to_owned()];
        let words = of(&called, Some(&broken), Some(HERE)).join("\n");
        for expected in [
            "other.example",
            "12 updates wait",
            "2026-01-05T10:00:00Z: Connection timed out",
            "message_reaction_count",
        ] {
            assert!(words.contains(expected), "{expected}: {words}");
        }
        let none = of(&called, Some(&info("")), Some(HERE));
        assert!(none[0].contains("no webhook"), "{none:?}");
        let polled = bot(Delivery::Polling, BotState::Conflict);
        let words = of(&polled, Some(&info(HERE)), None);
        assert_eq!(words[0], "why");
        assert!(words[1].contains("a webhook is set"), "{words:?}");
    }
}
