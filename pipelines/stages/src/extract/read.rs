//! The messages of a unit as they stand, for an extractor to read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use telesift_ports::{
    catalog::in_force,
    extractor::{Unit, UnitMessage},
    knowledge::{AtomFilter, UnitRow},
};
use telesift_schemas::{ChatId, Message, MessageKey, UnitMember};

use super::Extract;
use crate::{consumer::StageError, switched_units::is_worth_reading};

/// Names of subjects an extractor is told.
const MAX_SUBJECTS: usize = 50;
/// How long they are taken for what they are, and of how many chats they are kept.
const KNOWN_FOR: Duration = Duration::from_secs(30);
const MAX_CHATS: usize = 1_000;
/// Atoms they are taken from.
const MAX_ATOMS: usize = 200;

/// What the store has of a unit.
pub(super) enum Read {
    /// Its messages, without those that were deleted, that an analyst calls noise or spam, or, where nobody says otherwise, that
    /// the live generation does.
    Messages(Vec<UnitMessage>),
    /// This one has not arrived in the version the unit speaks of.
    NotThere(MessageKey),
}

impl Extract {
    /// Reads the unit's messages.
    pub(super) async fn read(&self, unit: &UnitRow) -> Result<Read, StageError> {
        let keys: Vec<MessageKey> = unit.members.iter().map(|m| m.message).collect();
        let stored = self.stored(&keys).await?;
        let stored: HashMap<MessageKey, Message> = stored.into_iter().map(|m| (m.id, m)).collect();
        let labels = in_force(self.parts.catalog.labels_of(&keys).await?);
        let is_passed_by = self.is_passed_by(unit).await?;
        let mut messages = Vec::new();
        for member in &unit.members {
            let current = stored.get(&member.message);
            let Some(message) = current.filter(|m| has_arrived(m, member)) else {
                match is_passed_by {
                    false => return Ok(Read::NotThere(member.message)),
                    // It became a dead letter of the index: the others need not wait for it.
                    true => continue,
                }
            };
            let label = labels
                .iter()
                .find(|l| l.message == message.id && l.edit == message.edit);
            let label = label.and_then(|l| l.label.as_ref());
            if is_worth_reading(message, label) {
                messages.extend(read(message));
            }
        }
        Ok(Read::Messages(messages))
    }

    /// What the store has of them, looked up together with what other units want.
    async fn stored(&self, keys: &[MessageKey]) -> Result<Vec<Message>, StageError> {
        let found = match self.look_ups.get() {
            Some(look_ups) => look_ups.find(keys).await,
            None => None,
        };
        match found {
            Some(found) => Ok(found),
            None => Ok(self.parts.store.get_many(keys).await?),
        }
    }

    /// The unit as an extractor is given it.
    pub(super) async fn unit(
        &self,
        unit: &UnitRow,
        messages: &[UnitMessage],
    ) -> Result<Unit, StageError> {
        let cut = |message: &UnitMessage| UnitMessage {
            text: cut(&message.text, self.config.max_text_chars).to_owned(),
            ..message.clone()
        };
        Ok(Unit {
            id: unit.id.clone(),
            chat: unit.chat.clone(),
            messages: messages.iter().map(cut).collect(),
            subjects: self.subjects_of(unit).await?,
        })
    }

    /// What the chat's earlier atoms are on, most frequent first.
    async fn subjects_of(&self, unit: &UnitRow) -> Result<Vec<String>, StageError> {
        let known = self.subjects().get(&unit.chat.id).cloned();
        if let Some((_, names)) = known.filter(|(since, _)| since.elapsed() < KNOWN_FOR) {
            return Ok(names);
        }
        let filter = AtomFilter {
            chats: vec![unit.chat.id],
            ..AtomFilter::default()
        };
        let atoms = self.parts.catalog.atoms(&filter, None, MAX_ATOMS).await?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for subject in atoms.into_iter().filter_map(|s| s.atom.subject) {
            *counts.entry(subject.name).or_default() += 1;
        }
        let mut names: Vec<(String, usize)> = counts.into_iter().collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        names.truncate(MAX_SUBJECTS);
        let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
        let mut subjects = self.subjects();
        if subjects.len() >= MAX_CHATS {
            subjects.clear();
        }
        subjects.insert(unit.chat.id, (Instant::now(), names.clone()));
        Ok(names)
    }

    fn subjects(&self) -> MutexGuard<'_, HashMap<ChatId, (Instant, Vec<String>)>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The member a message is.
pub(super) fn member(message: &UnitMessage) -> UnitMember {
    UnitMember {
        message: message.id,
        edit: message.edit,
        event_time: message.event_time,
        origin: message.origin.clone(),
    }
}

/// Whether the store holds at least the version the unit speaks of.
fn has_arrived(message: &Message, member: &UnitMember) -> bool {
    message.version() >= (member.edit, member.origin.offset.0)
}

fn read(message: &Message) -> Option<UnitMessage> {
    let author = message.author.as_ref().and_then(|a| a.name.clone());
    let is_channel = message.chat.kind == telesift_schemas::ChatKind::Channel;
    Some(UnitMessage {
        id: message.id,
        edit: message.edit,
        origin: message.origin.clone()?,
        event_time: message.event_time,
        author: author.filter(|_| !is_channel),
        reply_to: message.reply_to,
        text: message.text.clone(),
        score: message.screen.as_ref().map_or(0.0, |s| s.score),
        lang: match message.lang.as_str() {
            "und" => String::new(),
            lang => lang.to_owned(),
        },
    })
}

/// The first `max` characters.
fn cut(text: &str, max: usize) -> &str {
    match text.char_indices().nth(max) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}
