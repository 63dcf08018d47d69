//! What the works screen with, and the raw records they are given.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use telesift_ports::{
    SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
};
use telesift_schemas::MessageKind;
use telesift_stages::screen::ChainFactory;

/// A raw record that is the message it shall become, but for what screening says. Every third text is told by others too.
pub(super) fn raw(chat: i64, id: i64, score: f64) -> String {
    match id % 11 {
        5 => r#"{"skip":"no_message"}"#.to_owned(),
        10 => "fail".to_owned(),
        _ => message(chat, id, score).to_string(),
    }
}

fn message(chat: i64, id: i64, score: f64) -> Value {
    let text = match id % 3 {
        0 => format!(
            "the bridge over the river was closed at dawn, witnesses number {} say",
            id % 5
        ),
        _ => format!("message number {id} about nothing in particular and nobody at all"),
    };
    let signature = telesift_text::signature::signature(&text).map(|s| s.to_string());
    json!({
        "v": 1, "id": format!("{chat}:{id}"), "chat": {"id": chat.to_string(), "title": "Ops", "kind": "private"},
        "message_id": id, "edit": 0, "event_time": "2026-01-05T10:00:00Z", "author": null, "kind": MessageKind::Text,
        "text": text, "lang": "en", "reply_to": null, "thread": null, "forward": null, "links": [], "media": null,
        "reactions": {}, "signature": signature, "deleted_at": null, "wants": score,
    })
}

/// A chain that cuts classes from the score a record wants: a signal from `signal` on, else noise.
pub(super) fn cutting() -> ChainFactory {
    Arc::new(|set| {
        let data: Value = serde_json::from_str(&set.data).unwrap();
        Ok(Box::new(Cutting {
            signal: data["signal"].as_f64().unwrap_or(0.5),
            version: set.version.clone(),
        }) as Box<dyn SmartModuleChain>)
    })
}

struct Cutting {
    signal: f64,
    version: String,
}

impl SmartModuleChain for Cutting {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        Ok(inputs.iter().map(|i| self.outcome(&i.value)).collect())
    }
}

impl Cutting {
    fn outcome(&self, value: &Bytes) -> ChainOutcome {
        let Ok(mut message) = serde_json::from_slice::<Value>(value) else {
            return ChainOutcome::Failed {
                module: "cutting".into(),
                code: telesift_schemas::DeadLetterCode::GuestError,
                message: "as told".into(),
            };
        };
        if let Some(score) = message["wants"].as_f64() {
            let class = if score >= self.signal {
                "signal"
            } else {
                "noise"
            };
            message["screen"] = json!({
                "class": class, "score": score, "factors": {"cut": self.signal}, "flags": [], "rules": self.version,
            });
        }
        ChainOutcome::Value(message.to_string().into())
    }
}
