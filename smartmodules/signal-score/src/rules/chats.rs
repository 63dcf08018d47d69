//! What a rule set says of single chats.

use std::collections::{BTreeMap, HashMap};

use telesift_schemas::ChatId;

/// What holds in a chat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChatRules {
    /// Added to the logit of every message there.
    pub(crate) bias: f64,
    pub(crate) weak_signal_from: f64,
    pub(crate) signal_from: f64,
    pub(crate) spam_from: f64,
}

impl ChatRules {
    /// What holds where nothing is said of the chat.
    pub(super) fn everywhere(thresholds: &BTreeMap<String, f64>) -> Self {
        ChatRules {
            bias: 0.0,
            weak_signal_from: thresholds["weak_signal"],
            signal_from: thresholds["signal"],
            spam_from: thresholds["spam"],
        }
    }
}

/// The chats of a set, over its thresholds. An error is the key to blame and the reason.
pub(super) fn read(
    chats: &BTreeMap<String, BTreeMap<String, f64>>,
    thresholds: &BTreeMap<String, f64>,
) -> Result<HashMap<ChatId, ChatRules>, (String, String)> {
    let mut read = HashMap::new();
    for (id, own) in chats {
        let Ok(chat) = id.parse::<ChatId>() else {
            return Err((id.clone(), format!("`{id}` is no chat id")));
        };
        let mut rules = ChatRules::everywhere(thresholds);
        for (key, value) in own {
            let (field, range) = match key.as_str() {
                "bias" => (&mut rules.bias, -20.0..=20.0),
                "weak_signal" => (&mut rules.weak_signal_from, 0.0..=1.0),
                "signal" => (&mut rules.signal_from, 0.0..=1.0),
                "spam" => (&mut rules.spam_from, 0.0..=1.0),
                _ => {
                    let known = "bias, weak_signal, signal and spam";
                    let reason = format!("a chat has {known}, but no `{key}`");
                    return Err((key.clone(), reason));
                }
            };
            if !range.contains(value) {
                let (from, to) = range.into_inner();
                let reason = format!("`{key}` is {value}; it must be from {from} to {to}");
                return Err((key.clone(), reason));
            }
            *field = *value;
        }
        if rules.weak_signal_from > rules.signal_from {
            let (weak, signal) = (rules.weak_signal_from, rules.signal_from);
            let reason = format!("chat {id}: `weak_signal` ({weak}) is above `signal` ({signal})");
            return Err((id.clone(), reason));
        }
        read.insert(chat, rules);
    }
    Ok(read)
}
