//! What a model is told: the versioned prompt, and a unit's messages fenced as data.

use sha2::{Digest as _, Sha256};
use telesift_ports::extractor::Unit;

use super::clean::{CLOSE, Clean, OPEN, name};

/// The version of the prompt. A changed prompt is a new file with a new number: answers are kept by version.
pub(super) const VERSION: &str = "extract@1";
/// Its text.
pub(super) const SYSTEM: &str = include_str!("../../prompts/extract@1.md");

/// Characters of a message that are sent.
const MAX_CHARS: usize = 16_000;
/// Characters of names.
const MAX_NAME: usize = 64;
/// Known subjects that are told.
const MAX_SUBJECTS: usize = 30;

/// A unit as it is sent.
#[derive(Debug)]
pub(super) struct Prompt {
    /// The user's turn.
    pub(super) text: String,
    /// The messages as seen, in the unit's order; message N of the prompt is the Nth of them.
    pub(super) messages: Vec<Clean>,
    /// Hash over prompt, model and messages. The known subjects are no part of it: they help to name, and change daily.
    pub(super) input: String,
}

impl Prompt {
    /// What is sent of `unit` to a model named `model`.
    pub(super) fn of(unit: &Unit, model: &str) -> Self {
        let messages: Vec<Clean> = unit
            .messages
            .iter()
            .map(|m| Clean::of(&m.text, MAX_CHARS))
            .collect();
        let fenced = fenced(unit, &messages);
        let input = hash(&[VERSION, SYSTEM, model, &fenced]);
        let text = format!("{}{fenced}", subjects(unit));
        Prompt {
            text,
            messages,
            input,
        }
    }
}

fn subjects(unit: &Unit) -> String {
    let names = unit.subjects.iter().take(MAX_SUBJECTS);
    let names: Vec<String> = names
        .map(|s| name(s, MAX_NAME))
        .filter(|s| !s.is_empty())
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(
            "{OPEN}known subjects{CLOSE}\n{}\n{OPEN}/known subjects{CLOSE}\n\n",
            names.join("\n")
        ),
    }
}

fn fenced(unit: &Unit, messages: &[Clean]) -> String {
    let mut text = format!(
        "{OPEN}chat{CLOSE}\n{}\n{OPEN}/chat{CLOSE}\n",
        name(unit.chat.title.as_deref().unwrap_or_default(), MAX_NAME)
    );
    for (i, (message, clean)) in unit.messages.iter().zip(messages).enumerate() {
        let number = i + 1;
        let mut head = String::new();
        if let Some(author) = &message.author {
            head += &format!(" | from {}", name(author, MAX_NAME));
        }
        let answered = message.reply_to.and_then(|id| {
            let found = unit.messages.iter().position(|m| m.id.message_id == id);
            found.filter(|n| *n != i)
        });
        if let Some(n) = answered {
            head += &format!(" | answers {}", n + 1);
        }
        text += &format!(
            "\n{OPEN}message {number}{head}{CLOSE}\n{}\n{OPEN}/message {number}{CLOSE}\n",
            // No line end of the text's own beside the fence's: two of them begin some templates' turns.
            clean.text().trim()
        );
    }
    text
}

/// In hex; each part with its length, so that no two lists come to the same.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every version of the prompt that was ever used, with its hash.
    const PINNED: &[(&str, &str)] = &[(
        "extract@1",
        "e03bd919cbc5d2951e79d0660f9a4c0d6ec75a3c4f107a974f0b46467bbff137",
    )];

    #[test]
    fn a_changed_prompt_has_a_new_version() {
        let pinned = PINNED.iter().find(|(version, _)| *version == VERSION);
        let found = hex::encode(Sha256::digest(SYSTEM.as_bytes()));
        assert_eq!(
            pinned,
            Some(&(VERSION, found.as_str())),
            "put the new text in a new file with a new version, and pin that"
        );
    }

    #[test]
    fn every_version_is_kept_as_it_was() {
        for (version, pinned) in PINNED {
            let file = format!("{}/prompts/{version}.md", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read(&file).unwrap();
            assert_eq!(hex::encode(Sha256::digest(text)), *pinned, "{file}");
        }
    }

    #[test]
    fn the_prompt_names_every_kind_and_link_of_the_schema() {
        for kind in telesift_schemas::AtomKind::ALL {
            assert!(SYSTEM.contains(&format!("`{}`", kind.as_str())), "{kind:?}");
        }
        for link in super::super::answer::LINKS {
            assert!(SYSTEM.contains(&format!("`{link}`")), "{link}");
        }
    }
}
