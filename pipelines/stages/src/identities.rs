//! What makes a record the same as another, worked out from the record itself: for logs that keep no identities.

use serde::Deserialize;
use telesift_ports::record_log::{StoredRecord, UniqueKey};
use telesift_schemas::{MessageKey, Topic};

/// The identities under which the stages appended `record` to `topic`. Those of raw records are the business of their
/// sources; those of `messages` of screening, which keeps them itself.
pub fn of(topic: &Topic, record: &StoredRecord) -> Vec<UniqueKey> {
    let key = match topic {
        t if *t == Topic::STORIES => story(&record.value),
        t if *t == Topic::DEAD_LETTERS => dead_letter(&record.value),
        t if *t == Topic::DECISIONS => rules(&record.value),
        _ => None,
    };
    key.into_iter().collect()
}

/// A message has one story.
pub(crate) fn of_story(message: &MessageKey) -> UniqueKey {
    UniqueKey::new("story", &[&message.to_string()])
}

/// A dead letter by its id.
pub(crate) fn of_dead_letter(id: &str) -> UniqueKey {
    UniqueKey::new("dead-letter", &[id])
}

/// A rule set is added once.
pub(crate) fn of_rules(version: &str) -> UniqueKey {
    UniqueKey::new("rules", &[version])
}

fn story(value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Assigned {
        message: MessageKey,
    }
    let assigned: Assigned = serde_json::from_slice(value).ok()?;
    Some(of_story(&assigned.message))
}

fn dead_letter(value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Letter {
        id: String,
    }
    let letter: Letter = serde_json::from_slice(value).ok()?;
    Some(of_dead_letter(&letter.id))
}

fn rules(value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Added {
        decision: String,
        rules: String,
    }
    let added: Added = serde_json::from_slice(value).ok()?;
    (added.decision == "rules_added").then(|| of_rules(&added.rules))
}
