//! Language models behind HTTP that read units of conversation: OpenAI-compatible ones, Ollama, Anthropic.

mod answer;
mod clean;
mod prompt;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Secret,
    extractor::{Claim, Unit},
    providers::{AskError, Asked, Estimate, Provider, ProviderKind, Terms},
};
use telesift_schemas::{ExtractorRef, Usage};

use crate::call::{CallError, Caller};
use answer::{Answer, unusable};
use prompt::Prompt;

/// How long nobody asks a provider that knows not the key or the model: somebody has to mend that.
const UNTIL_MENDED: std::time::Duration = std::time::Duration::from_secs(60);

/// A model of a provider that chats.
#[derive(Clone, Debug)]
pub struct ChatModel {
    /// The interface.
    pub kind: ProviderKind,
    /// Its name there.
    pub name: String,
    /// The key, where one is needed. Never shown.
    pub key: Option<Secret>,
    /// Whether texts stay on this machine or with those who run it.
    pub is_local: bool,
    /// How it may be called, and what that costs.
    pub terms: Terms,
}

/// A [`Provider`] behind HTTP.
#[derive(Clone, Debug)]
pub struct ChatProvider {
    by: ExtractorRef,
    model: ChatModel,
    caller: Arc<Caller>,
}

impl ChatProvider {
    /// The model, called through `caller`, whose name is the provider's.
    pub fn new(model: ChatModel, caller: Arc<Caller>) -> Self {
        ChatProvider {
            by: ExtractorRef {
                name: caller.provider().to_owned(),
                version: prompt::VERSION.to_owned(),
                model: Some(model.name.clone()),
            },
            model,
            caller,
        }
    }

    fn prompt(&self, unit: &Unit) -> Prompt {
        Prompt::of(unit, &self.model.name)
    }

    async fn call(&self, prompt: &Prompt) -> Asked {
        let tokens_in = tokens_in(prompt);
        let (kind, terms) = (self.model.kind, &self.model.terms);
        let body = wire::body(
            kind,
            &self.model.name,
            terms,
            prompt::SYSTEM,
            &prompt.text,
            tokens_in,
        );
        let n_tokens = u32::try_from(tokens_in).unwrap_or(u32::MAX);
        let key = self.model.key.as_ref();
        let called = self
            .caller
            .post_paid(wire::path(kind), &body, n_tokens, |request| {
                wire::identified(kind, request, key)
            });
        let bytes = match called.await {
            Ok(bytes) => bytes,
            Err(error) => {
                // Who may have begun to answer may also charge for it.
                let sent = if error.may_have_been_done() {
                    tokens_in
                } else {
                    0
                };
                return Asked {
                    usage: terms.usage(sent, 0),
                    is_estimated: sent > 0,
                    answer: Err(sorted(error)),
                };
            }
        };
        let reply = wire::reply(kind, &bytes);
        let answer = reply.text.and_then(|text| Answer::read(&text));
        let (tokens_in, tokens_out) = reply
            .tokens
            .unwrap_or((tokens_in, (bytes.len() as u64).div_ceil(3)));
        Asked {
            answer: answer.map(|a| a.to_json()),
            usage: terms.usage(tokens_in, tokens_out),
            is_estimated: reply.tokens.is_none(),
        }
    }
}

#[async_trait]
impl Provider for ChatProvider {
    fn by(&self) -> &ExtractorRef {
        &self.by
    }

    fn is_local(&self) -> bool {
        self.model.is_local
    }

    fn estimate(&self, unit: &Unit) -> Estimate {
        let prompt = self.prompt(unit);
        let terms = &self.model.terms;
        Estimate {
            most: most(terms, tokens_in(&prompt)),
            input: prompt.input,
        }
    }

    async fn ask(&self, unit: &Unit) -> Asked {
        self.call(&self.prompt(unit)).await
    }

    fn claims(&self, unit: &Unit, answer: &str) -> Result<Vec<Claim>, AskError> {
        Ok(Answer::read(answer)?.claims(unit, &self.prompt(unit)))
    }
}

fn most(terms: &Terms, tokens_in: u64) -> Usage {
    terms.usage(tokens_in, terms.max_tokens_out.into())
}

/// Tokens of a prompt, rather too many than too few: three bytes each are a letter and a half of Cyrillic, or three of
/// English.
fn tokens_in(prompt: &Prompt) -> u64 {
    /// What the schema comes to.
    const SCHEMA: u64 = 300;
    let n_bytes = prompt::SYSTEM.len() + prompt.text.len();
    (n_bytes as u64).div_ceil(3) + SCHEMA
}

/// A refusal of what was sent; an answer nobody can read; or else something that passes, or that somebody can mend without
/// changing what was sent.
fn sorted(error: CallError) -> AskError {
    let reason = error.to_string();
    match error {
        CallError::Held { wait } => AskError::Resting { wait },
        CallError::Status {
            status: 400 | 413 | 422,
            ..
        } => AskError::Refused { reason },
        CallError::Status {
            status: 401..=404, ..
        } => AskError::Unavailable {
            reason,
            retry_after: Some(UNTIL_MENDED),
        },
        CallError::Answer { .. } | CallError::AnswerTooLarge { .. } => unusable(reason),
        error => AskError::Unavailable {
            reason,
            retry_after: error.retry_after(),
        },
    }
}
