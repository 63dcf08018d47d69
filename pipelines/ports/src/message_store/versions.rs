//! What every store does with a batch before it touches anything: refuse what cannot be stored, then sort the versions
//! of each message.

use std::collections::BTreeMap;

use telesift_schemas::{Message, MessageKey};

use super::{Error, IndexedMessage, Result};

/// The versions of one message in a batch, oldest first, without repeats; never empty.
pub type Versions = Vec<IndexedMessage>;

impl IndexedMessage {
    /// Refuses what no store can hold: a message that was not screened or has no origin, an id that contradicts the chat,
    /// a score or a vector that is not made of finite numbers, a vector of another length than `dimensions`.
    ///
    /// # Errors
    /// [`Error::Rejected`] naming the message.
    pub fn validate(&self, dimensions: Option<usize>) -> Result<()> {
        let message = &self.message;
        let reason = match (&message.screen, &message.origin, &self.vector) {
            (None, _, _) => "it was not screened",
            (_, None, _) => "it names no origin",
            (Some(screen), _, _) if !screen.score.is_finite() => "its score is not a finite number",
            _ if message.id.chat != message.chat.id
                || message.id.message_id != message.message_id =>
            {
                "its id contradicts its chat"
            }
            (_, _, Some(v)) if v.iter().any(|x| !x.is_finite()) => {
                "its vector holds a number that is not finite"
            }
            (_, _, Some(v)) if Some(v.len()) != dimensions => {
                "its vector has another length than the model's"
            }
            _ => return Ok(()),
        };
        Err(Error::Rejected {
            key: message.id,
            reason: reason.to_owned(),
        })
    }
}

/// Sorts a batch by message and version. Repeats of one version are dropped (and counted), keeping a vector if any of
/// them has one.
pub fn sort_versions(batch: Vec<IndexedMessage>) -> (BTreeMap<MessageKey, Versions>, usize) {
    let mut by_key: BTreeMap<MessageKey, BTreeMap<(i64, u64), IndexedMessage>> = BTreeMap::new();
    let mut n_repeated = 0;
    for indexed in batch {
        let versions = by_key.entry(indexed.message.id).or_default();
        match versions.entry(indexed.message.version()) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(indexed);
            }
            std::collections::btree_map::Entry::Occupied(mut held) => {
                n_repeated += 1;
                let held = held.get_mut();
                held.vector = held.vector.take().or(indexed.vector);
            }
        }
    }
    let sorted = by_key
        .into_iter()
        .map(|(key, versions)| (key, versions.into_values().collect()))
        .collect();
    (sorted, n_repeated)
}

/// The words a search looks through: the text, then what describes the medium (a poll's question and options, a
/// sticker's emoji, a contact's name).
pub fn searched_text(message: &Message) -> std::borrow::Cow<'_, str> {
    let description = message
        .media
        .as_ref()
        .and_then(|m| m.description.as_deref())
        .unwrap_or("");
    match (message.text.as_str(), description) {
        (text, "") => text.into(),
        ("", description) => description.into(),
        (text, description) => format!("{text}\n{description}").into(),
    }
}
