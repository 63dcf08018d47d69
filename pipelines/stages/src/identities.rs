//! What makes a record the same as another, worked out from the record itself: for logs that keep no identities.

use serde::Deserialize;
use telesift_ports::record_log::{StoredRecord, UniqueKey};
use telesift_schemas::{Extraction, Generation, MessageKey, Origin, Topic, UnitMember};

/// The identities under which the stages appended `record` to `topic`. Those of raw records are the business of their
/// sources; those of `messages` of screening, which keeps them itself.
pub fn of(topic: &Topic, record: &StoredRecord) -> Vec<UniqueKey> {
    let stories = Generation::of_name(Topic::STORIES.as_str(), topic.as_str());
    let key = match (topic, stories) {
        (_, Some(generation)) => story(generation, &record.value),
        (t, None) if *t == Topic::REACTIONS => reactions(&record.value),
        (t, None) if *t == Topic::DEAD_LETTERS => dead_letter(&record.value),
        (t, None) if *t == Topic::DECISIONS => rules(&record.value),
        (t, None) if *t == Topic::UNITS => unit(&record.value),
        (t, None) if *t == Topic::EXTRACTIONS => extraction(&record.value),
        (t, None) if *t == Topic::ATOMS => atom(&record.value),
        _ => None,
    };
    key.into_iter().collect()
}

/// A message has one story in a generation.
pub(crate) fn of_story(generation: Generation, message: &MessageKey) -> UniqueKey {
    UniqueKey::of_generation(generation, "story", &[&message.to_string()])
}

/// What a raw record says of reactions it says once, whichever generation screens it first.
pub(crate) fn of_reactions(origin: &Origin) -> UniqueKey {
    let place = [origin.partition.to_string(), origin.offset.to_string()];
    UniqueKey::new("reacted", &[origin.topic.as_str(), &place[0], &place[1]])
}

/// A dead letter by its id.
pub(crate) fn of_dead_letter(id: &str) -> UniqueKey {
    UniqueKey::new("dead-letter", &[id])
}

/// A rule set is added once.
pub(crate) fn of_rules(version: &str) -> UniqueKey {
    UniqueKey::new("rules", &[version])
}

/// A unit is closed once.
pub(crate) fn of_unit(unit: &str) -> UniqueKey {
    UniqueKey::new("unit", &[unit])
}

/// The same on a log without transactions: once with the same end. Where it was written that a unit is over and nobody noted it,
/// further messages may join it, and those are told by being written again.
pub(crate) fn of_unit_up_to(unit: &str, last: &MessageKey) -> UniqueKey {
    UniqueKey::new("unit-up-to", &[unit, &last.to_string()])
}

/// The same versions of a unit's messages are read by the same extractor once after each extraction of that unit, and once more
/// for each generation that wants it.
pub(crate) fn of_extraction(extraction: &Extraction) -> UniqueKey {
    let members = extraction.members.iter();
    let members: Vec<String> = members
        .map(|m| format!("{}/{}/{}", m.message, m.edit, m.origin.offset))
        .collect();
    let after = extraction.after.map(|offset| offset.to_string());
    let after = after.unwrap_or_default();
    let by = &extraction.extractor;
    let model = by.model.as_deref().unwrap_or_default();
    let same_as = extraction.same_as.as_deref().unwrap_or_default();
    let parts = [
        extraction.unit.as_str(),
        &members.join(","),
        &by.name,
        &by.version,
        model,
        same_as,
        &after,
    ];
    let generation = extraction.generation.map(|g| g.0.to_string());
    let again = generation.as_deref().map(|of| ["generation", of]);
    let parts: Vec<&str> = parts
        .into_iter()
        .chain(again.into_iter().flatten())
        .collect();
    UniqueKey::new("extraction", &parts)
}

/// A version of an atom.
pub(crate) fn of_atom(id: &str, version: u32) -> UniqueKey {
    UniqueKey::new("atom", &[id, &version.to_string()])
}

fn unit(value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Closed {
        unit: String,
        members: Vec<UnitMember>,
    }
    let closed: Closed = serde_json::from_slice(value).ok()?;
    Some(of_unit_up_to(&closed.unit, &closed.members.last()?.message))
}

fn extraction(value: &[u8]) -> Option<UniqueKey> {
    Some(of_extraction(&serde_json::from_slice(value).ok()?))
}

fn atom(value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Version {
        id: String,
        version: u32,
    }
    let atom: Version = serde_json::from_slice(value).ok()?;
    Some(of_atom(&atom.id, atom.version))
}

fn story(generation: Generation, value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Assigned {
        message: MessageKey,
    }
    let assigned: Assigned = serde_json::from_slice(value).ok()?;
    Some(of_story(generation, &assigned.message))
}

fn reactions(value: &[u8]) -> Option<UniqueKey> {
    #[derive(Deserialize)]
    struct Reacted {
        origin: Origin,
    }
    let reacted: Reacted = serde_json::from_slice(value).ok()?;
    Some(of_reactions(&reacted.origin))
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
