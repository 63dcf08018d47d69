//! What a model may answer: the schema it is given, and the strict reading of what comes back.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use telesift_ports::{
    extractor::{Claim, ClaimedQuote, Unit},
    providers::AskError,
};
use telesift_schemas::{AtomKind, LinkKind};

use super::prompt::Prompt;

/// The links, by their names.
pub(super) const LINKS: [&str; 5] = ["solves", "answers", "explains", "contradicts", "relates"];

/// Claims of one answer. More than a unit can hold, and less than a model that has lost its way gives.
const MAX_CLAIMS: usize = 64;
/// Quotes, and links, of one claim.
const MAX_PARTS: usize = 16;
/// Characters of a title and of a subject's name.
const MAX_TITLE: usize = 300;
/// Characters of a content and of a quote.
const MAX_CONTENT: usize = 4_000;

/// The schema, in the subset that strict providers take: every member required, none besides, no bounds.
pub(super) fn schema() -> Value {
    let kinds = AtomKind::ALL.map(AtomKind::as_str);
    let object = |properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
            .collect();
        json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        })
    };
    let quote = object(json!({
        "message": {"type": "integer", "description": "The number of the message"},
        "quote": {"type": "string", "description": "Copied from that message, character by character"},
    }));
    let link = object(json!({
        "kind": {"type": "string", "enum": LINKS},
        "to": {"type": "integer", "description": "The other claim, by its place in `claims`, from 0"},
    }));
    let claim = object(json!({
        "kind": {"type": "string", "enum": kinds},
        "title": {"type": "string"},
        "content": {"type": "string"},
        "confidence": {"type": "number"},
        "subject": {"type": ["string", "null"]},
        "quotes": {"type": "array", "items": quote},
        "links": {"type": "array", "items": link},
    }));
    object(json!({"claims": {"type": "array", "items": claim}}))
}

/// An answer as it is kept: exactly the schema.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    claims: Vec<Said>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Said {
    kind: AtomKind,
    title: String,
    content: String,
    /// Missing, it is no answer's fault: such a claim is not kept.
    #[serde(default)]
    confidence: Option<f64>,
    // `Option` alone would make it optional.
    #[serde(deserialize_with = "Option::deserialize")]
    subject: Option<String>,
    quotes: Vec<SaidQuote>,
    links: Vec<SaidLink>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SaidQuote {
    message: i64,
    quote: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SaidLink {
    kind: LinkKind,
    to: usize,
}

impl Answer {
    /// Reads what a model wrote. Nothing around the JSON is taken: a model that adds words did not keep to the schema.
    pub(super) fn read(text: &str) -> Result<Self, AskError> {
        let answer: Answer = serde_json::from_str(text).map_err(|e| {
            let what = match e.classify() {
                serde_json::error::Category::Data => "another shape than asked for",
                serde_json::error::Category::Eof => "cut off",
                _ => "no JSON",
            };
            unusable(format!(
                "its answer is {what} (line {}, column {})",
                e.line(),
                e.column()
            ))
        })?;
        match answer.fault() {
            Some(fault) => Err(unusable(format!("its answer has {fault}"))),
            None => Ok(answer),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let is_long = |text: &str, most: usize| text.chars().count() > most;
        if self.claims.len() > MAX_CLAIMS {
            return Some("too many claims");
        }
        self.claims.iter().find_map(|claim| {
            let is_overlong = is_long(&claim.title, MAX_TITLE)
                || is_long(&claim.content, MAX_CONTENT)
                || claim
                    .subject
                    .as_ref()
                    .is_some_and(|s| is_long(s, MAX_TITLE))
                || claim.quotes.iter().any(|q| is_long(&q.quote, MAX_CONTENT));
            let is_blank = claim.title.trim().is_empty() || claim.content.trim().is_empty();
            if claim.confidence.is_some_and(|c| !(0.0..=1.0).contains(&c)) {
                Some("a confidence outside of 0 to 1")
            } else if is_overlong {
                Some("an overlong text")
            } else if is_blank {
                Some("a claim without words")
            } else if claim.quotes.len() > MAX_PARTS || claim.links.len() > MAX_PARTS {
                Some("too many quotes or links")
            } else {
                None
            }
        })
    }

    /// The form in which it is kept.
    pub(super) fn to_json(&self) -> String {
        // Plain data, with finite numbers, always is JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The claims about `unit`, of which `prompt` was made. A quote that stands in its message becomes the words as they
    /// stand there; one that does not stays as it was said, and so does a number that is none: whoever checks finds it.
    pub(super) fn claims(self, unit: &Unit, prompt: &Prompt) -> Vec<Claim> {
        let claims = self.claims.into_iter();
        let claims = claims.map(|said| Claim {
            kind: said.kind,
            title: super::clean::line(&said.title),
            content: super::clean::lines(&said.content),
            confidence: said.confidence,
            subject: said
                .subject
                .map(|s| super::clean::line(&s))
                .filter(|s| !s.is_empty()),
            quotes: said
                .quotes
                .into_iter()
                .map(|quote| found(quote, unit, prompt))
                .collect(),
            links: said.links.iter().map(|l| (l.kind, l.to)).collect(),
        });
        claims.collect()
    }
}

fn found(said: SaidQuote, unit: &Unit, prompt: &Prompt) -> ClaimedQuote {
    let place = usize::try_from(said.message)
        .ok()
        .and_then(|n| n.checked_sub(1));
    let message = place.and_then(|i| Some((unit.messages.get(i)?, prompt.messages.get(i)?)));
    match message {
        Some((message, clean)) => ClaimedQuote {
            message_id: message.id.message_id,
            quote: clean
                .literal(&message.text, &said.quote)
                .unwrap_or(&said.quote)
                .to_owned(),
        },
        // Messages have positive ids: this is none of them, whatever the model said.
        None => ClaimedQuote {
            message_id: said.message.saturating_abs().saturating_neg(),
            quote: said.quote,
        },
    }
}

pub(super) fn unusable(reason: impl Into<String>) -> AskError {
    AskError::Unusable {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Value {
        json!({
            "kind": "problem", "title": "t", "content": "c", "confidence": 0.5, "subject": null,
            "quotes": [{"message": 1, "quote": "q"}], "links": [{"kind": "solves", "to": 0}],
        })
    }

    #[test]
    fn exactly_the_schema_is_taken() {
        let read = |value: Value| Answer::read(&value.to_string());
        assert!(read(json!({"claims": []})).is_ok());
        assert!(read(json!({"claims": [claim()]})).is_ok());
        for member in ["kind", "title", "content", "subject", "quotes", "links"] {
            let mut without = claim();
            without.as_object_mut().unwrap().remove(member);
            let refused = read(json!({"claims": [without]})).unwrap_err();
            assert!(
                refused.to_string().contains("another shape"),
                "{member}: {refused}"
            );
        }
        for (member, value) in [
            ("kind", json!("rumour")),
            ("kind", json!(3)),
            ("title", json!("  ")),
            ("title", json!("x".repeat(301))),
            ("content", json!(null)),
            ("confidence", json!(1.01)),
            ("confidence", json!("high")),
            ("subject", json!(["a"])),
            ("quotes", json!("q")),
            ("quotes", json!([{"message": "1", "quote": "q"}])),
            ("quotes", json!([{"message": 1, "quote": "q", "edit": 3}])),
            ("links", json!([{"kind": "solves", "to": -1}])),
            ("status", json!("approved")),
        ] {
            let mut changed = claim();
            changed[member] = value;
            assert!(read(json!({"claims": [changed]})).is_err(), "{member}");
        }
        assert!(read(json!({"claims": [], "note": "x"})).is_err());
        assert!(read(json!([])).is_err());
        assert!(read(json!({"claims": vec![claim(); 65]})).is_err());
        for text in [
            "",
            "{",
            "```json\n{\"claims\": []}\n```",
            "{\"claims\": []} Done!",
        ] {
            assert!(Answer::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_claim_without_confidence_comes_without() {
        let mut without = claim();
        without.as_object_mut().unwrap().remove("confidence");
        let answer = Answer::read(&json!({"claims": [without]}).to_string()).unwrap();
        assert_eq!(answer.claims[0].confidence, None);
    }

    #[test]
    fn the_schema_says_what_is_read() {
        let schema = schema();
        let claim_schema = &schema["properties"]["claims"]["items"];
        let mut said: Vec<&str> = claim_schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        let claim = claim();
        let mut have: Vec<&str> = claim
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        said.sort_unstable();
        have.sort_unstable();
        assert_eq!(said, have);
        for name in LINKS {
            assert!(serde_json::from_value::<LinkKind>(json!(name)).is_ok());
        }
    }
}
