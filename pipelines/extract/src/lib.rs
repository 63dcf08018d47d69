//! Claims from conversations by rules, without a model: cue phrases in Ukrainian, Russian and English decide what a
//! sentence claims, and the sentence is the evidence. Deterministic; and [`evaluation`], how any extractor is measured.

mod claims;
mod cues;
pub mod evaluation;
mod sentences;
mod subjects;
mod titles;
mod words;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use telesift_ports::{
    Extractor,
    extractor::{Answers, ExtractError, Extracted, Plan, Unit},
};
use telesift_schemas::{ChatKind, ExtractorRef, Usage};

/// Version of the rules; a change of cues or of how they are weighed is a new one.
const VERSION: &str = "4";

/// The extractor `rules`: costs nothing, asks nobody, and says the same every time.
#[derive(Clone, Debug, Default)]
pub struct RulesExtractor;

impl RulesExtractor {
    /// The rules that ship with this build.
    pub fn new() -> Self {
        RulesExtractor
    }

    /// Its name and version, as atoms carry them.
    pub fn reference() -> ExtractorRef {
        ExtractorRef {
            name: "rules".to_owned(),
            version: VERSION.to_owned(),
            model: None,
        }
    }
}

#[async_trait]
impl Extractor for RulesExtractor {
    async fn extract(&self, unit: &Unit) -> Result<Extracted, ExtractError> {
        Ok(Extracted {
            by: Self::reference(),
            input: input_hash(unit),
            claims: claims::claims(unit),
            usage: Usage::default(),
        })
    }

    async fn plan(&self, _: &Unit) -> Result<Plan, ExtractError> {
        Ok(Plan {
            by: Self::reference(),
            from: Answers::Rules,
        })
    }
}

/// Hash over all the rules look at.
fn input_hash(unit: &Unit) -> String {
    let mut hash = Sha256::new();
    let is_channel = unit.chat.kind == ChatKind::Channel;
    hash.update(format!("rules@{VERSION}\n{is_channel}\n"));
    for message in &unit.messages {
        let header = format!(
            "{}\n{:?}\n{}\n",
            message.id.message_id, message.reply_to, message.score
        );
        hash.update(header);
        hash.update(message.text.len().to_le_bytes());
        hash.update(&message.text);
    }
    for subject in &unit.subjects {
        hash.update(subject.len().to_le_bytes());
        hash.update(subject);
    }
    hex::encode(&hash.finalize()[..16])
}
