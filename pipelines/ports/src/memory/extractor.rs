//! An extractor that claims what it is told to, and remembers what it was asked.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use telesift_schemas::{AtomKind, ExtractorRef, Usage};

use crate::{
    Extractor,
    extractor::{Answers, Claim, ClaimedQuote, ExtractError, Extracted, Plan, Unit, UnitMessage},
    memory::Script,
};

/// Makes a claim of every line of a message that says so itself.
///
/// A line that begins with the name of a kind and a colon, such as `problem: payments fail #billing`, is a claim of that kind
/// with the line as its quote; a word after `#` names the subject. Everything else claims nothing.
#[derive(Default)]
pub struct ScriptedExtractor {
    /// Faults of coming calls.
    pub calls: Script<ExtractError>,
    /// Its version, once that is not `1` any more.
    pub version: Mutex<Option<String>>,
    asked: Mutex<Vec<Unit>>,
}

impl ScriptedExtractor {
    /// The units asked for so far, in order.
    pub fn asked(&self) -> Vec<Unit> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn by(&self) -> ExtractorRef {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        ExtractorRef {
            name: "scripted".to_owned(),
            version: version.clone().unwrap_or_else(|| "1".to_owned()),
            model: None,
        }
    }
}

#[async_trait]
impl Extractor for ScriptedExtractor {
    async fn extract(&self, unit: &Unit) -> Result<Extracted, ExtractError> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(unit.clone());
        let claims = unit.messages.iter().flat_map(claims).collect();
        let answer = Extracted {
            by: self.by(),
            input: unit.id.clone(),
            claims,
            usage: Usage {
                tokens_in: 10,
                tokens_out: 1,
                micro_usd: 0,
            },
        };
        self.calls.play(|| Ok(answer)).await
    }

    async fn plan(&self, _: &Unit) -> Result<Plan, ExtractError> {
        let most = Usage {
            tokens_in: 10,
            tokens_out: 20,
            micro_usd: 3,
        };
        Ok(Plan {
            by: self.by(),
            from: Answers::Call(most),
        })
    }
}

fn claims(message: &UnitMessage) -> Vec<Claim> {
    message
        .text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(": ")?;
            let kind = AtomKind::ALL.into_iter().find(|k| k.as_str() == name)?;
            let (title, subject) = match rest.split_once(" #") {
                Some((title, subject)) => (title, Some(subject.to_owned())),
                None => (rest, None),
            };
            Some(Claim {
                kind,
                title: title.to_owned(),
                content: line.to_owned(),
                confidence: Some(0.75),
                subject,
                quotes: vec![ClaimedQuote {
                    message_id: message.id.message_id,
                    quote: line.to_owned(),
                }],
                links: Vec::new(),
            })
        })
        .collect()
}
