//! The three interfaces: what is sent, and the model's words out of what comes back.

use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use telesift_ports::{
    Secret,
    providers::{AskError, ProviderKind, Terms},
};

use super::answer::{schema, unusable};

/// What the schema, or the tool of it, is called.
const NAME: &str = "claims";
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Where a call goes, below the base address.
pub(super) fn path(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::OpenAi => "chat/completions",
        ProviderKind::Ollama => "api/chat",
        ProviderKind::Anthropic => "v1/messages",
    }
}

/// The call with what identifies the caller.
pub(super) fn identified(
    kind: ProviderKind,
    request: RequestBuilder,
    key: Option<&Secret>,
) -> RequestBuilder {
    match (kind, key) {
        (ProviderKind::Anthropic, key) => {
            let request = request.header("anthropic-version", ANTHROPIC_VERSION);
            match key {
                Some(key) => request.header("x-api-key", key.expose()),
                None => request,
            }
        }
        (_, Some(key)) => request.bearer_auth(key.expose()),
        (_, None) => request,
    }
}

/// The body of a call. `tokens_in` is the estimate of what is sent.
pub(super) fn body(
    kind: ProviderKind,
    model: &str,
    terms: &Terms,
    system: &str,
    user: &str,
    tokens_in: u64,
) -> Value {
    let most = terms.max_tokens_out;
    match kind {
        ProviderKind::OpenAi => {
            let mut body = json!({
                "model": model,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": NAME, "strict": true, "schema": schema()},
                },
            });
            match terms.reasoning {
                true => body["max_completion_tokens"] = most.into(),
                false => {
                    body["max_tokens"] = most.into();
                    body["temperature"] = 0.into();
                }
            }
            body
        }
        ProviderKind::Ollama => json!({
            "model": model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "format": schema(),
            "stream": false,
            "think": terms.reasoning,
            // Its own context is short, and it cuts off what does not fit without a word.
            "options": {
                "temperature": 0,
                "num_predict": most,
                "num_ctx": (tokens_in + u64::from(most)).next_multiple_of(1_024),
            },
        }),
        ProviderKind::Anthropic => {
            let mut body = json!({
                "model": model,
                "max_tokens": most,
                "system": system,
                "messages": [{"role": "user", "content": user}],
                "tools": [{
                    "name": NAME, "description": "Says what the messages claim.", "input_schema": schema(),
                }],
                "tool_choice": {"type": "tool", "name": NAME},
            });
            if !terms.reasoning {
                body["temperature"] = 0.into();
            }
            body
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    /// The model's words.
    pub(super) text: Result<String, AskError>,
    /// Tokens sent and received, as far as the provider says.
    pub(super) tokens: Option<(u64, u64)>,
}

impl Reply {
    /// An answer of which nothing could be read.
    fn unreadable(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "another shape than its interface has",
            serde_json::error::Category::Eof => "cut off",
            _ => "no JSON",
        };
        Reply {
            text: Err(unusable(format!("its response is {what}"))),
            tokens: None,
        }
    }
}

/// The reply in the bytes of a response.
pub(super) fn reply(kind: ProviderKind, bytes: &[u8]) -> Reply {
    let read = match kind {
        ProviderKind::OpenAi => serde_json::from_slice(bytes).map(OpenAi::reply),
        ProviderKind::Ollama => serde_json::from_slice(bytes).map(Ollama::reply),
        ProviderKind::Anthropic => serde_json::from_slice(bytes).map(Anthropic::reply),
    };
    read.unwrap_or_else(|e| Reply::unreadable(&e))
}

fn cut_short() -> AskError {
    unusable("its answer was cut short at the limit of tokens")
}

fn refused(reason: &str) -> AskError {
    AskError::Refused {
        reason: reason.to_owned(),
    }
}

#[derive(Deserialize)]
struct OpenAi {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<OpenAiUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: ChoiceMessage,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ChoiceMessage {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct OpenAiUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl OpenAi {
    fn reply(self) -> Reply {
        let choice = self.choices.into_iter().next();
        let text = match choice {
            None => Err(unusable("its response has no choice")),
            Some(choice) => match choice.finish_reason.as_deref() {
                Some("content_filter") => Err(refused("its content filter stopped the answer")),
                Some("length") => Err(cut_short()),
                _ if choice.message.refusal.is_some_and(|r| !r.is_empty()) => {
                    Err(refused("the model refused"))
                }
                _ => choice
                    .message
                    .content
                    .ok_or_else(|| unusable("its answer has no content")),
            },
        };
        let tokens = self.usage.map(|u| (u.prompt_tokens, u.completion_tokens));
        Reply { text, tokens }
    }
}

#[derive(Deserialize)]
struct Ollama {
    message: OllamaMessage,
    #[serde(default)]
    done: Option<bool>,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
}

#[derive(Deserialize)]
struct OllamaMessage {
    content: String,
}

impl Ollama {
    fn reply(self) -> Reply {
        let is_short = self.done == Some(false) || self.done_reason.as_deref() == Some("length");
        Reply {
            text: match is_short {
                true => Err(cut_short()),
                false => Ok(self.message.content),
            },
            tokens: self.prompt_eval_count.zip(self.eval_count),
        }
    }
}

#[derive(Deserialize)]
struct Anthropic {
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<AnthropicUsage>,
}

#[derive(Deserialize)]
struct Block {
    r#type: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

#[derive(Deserialize)]
struct AnthropicUsage {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
}

impl Anthropic {
    fn reply(self) -> Reply {
        let mut inputs = self.content.into_iter().filter_map(|block| {
            let is_ours = block.r#type == "tool_use" && block.name.as_deref() == Some(NAME);
            block.input.filter(|_| is_ours)
        });
        let text = match (self.stop_reason.as_deref(), inputs.next(), inputs.next()) {
            (Some("refusal"), ..) => Err(refused("the model refused")),
            (Some("max_tokens" | "model_context_window_exceeded"), ..) => Err(cut_short()),
            (_, Some(input), None) => Ok(input.to_string()),
            (_, Some(_), Some(_)) => Err(unusable("it answered more than once")),
            (_, None, _) => Err(unusable("it did not use the tool it was given")),
        };
        let tokens = self.usage.map(|u| {
            let cached =
                u.cache_creation_input_tokens.unwrap_or(0) + u.cache_read_input_tokens.unwrap_or(0);
            (u.input_tokens + cached, u.output_tokens)
        });
        Reply { text, tokens }
    }
}
