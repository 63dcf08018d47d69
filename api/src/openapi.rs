//! The OpenAPI document: made from the routes, with the record types' own schemas put in.

mod bots;

use serde_json::{Map, Value, json};
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use crate::problem::Code;
pub(crate) use bots::{BotInfoBody, BotReportBody};

/// The document without its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "telesift",
        description = "Sifts Telegram: search, follow and trust. Every answer carries the position of the raw record it came from.\n\nSend `Authorization: Bearer KEY`. Ids are strings, times RFC 3339 in UTC. Errors are `application/problem+json`; `/errors` explains every `code`. Unknown parameters and unknown values of closed lists are refused, not ignored."
    ),
    components(schemas(ProblemBody)),
    modifiers(&KeyScheme),
    security(("key" = [])),
    tags(
        (name = "messages", description = "Messages and chats"),
        (name = "search", description = "Words, vectors, or both"),
        (name = "feedback", description = "Labels: what analysts say of messages"),
        (name = "live", description = "The live tail, with exact resume"),
        (name = "log", description = "Topics and records, byte for byte"),
        (name = "imports", description = "Telegram Desktop exports"),
        (name = "bots", description = "Bots, and the door Telegram calls at"),
        (name = "replays", description = "History under other rules, compared, or in a generation beside the live one"),
        (name = "stats", description = "The ledger and the classes"),
        (name = "dead letters", description = "What stages could not process"),
        (name = "rules", description = "Rule sets: added, activated from an offset on, rolled back"),
        (name = "keys", description = "API keys, and the record of who administered what"),
        (name = "operations", description = "Health and metrics"),
    )
)]
pub(crate) struct Document;

struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "key",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
        components.add_security_scheme(
            "webhook",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(
                "X-Telegram-Bot-Api-Secret-Token",
            ))),
        );
    }
}

/// An error (RFC 9457). Further members depend on `code`; `/errors` lists them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `problem::render` writes")]
pub(crate) struct ProblemBody {
    /// `/errors#<code>`.
    #[schema(example = "/errors#not_found")]
    r#type: String,
    /// The same for every occurrence of the code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here, and what to do.
    detail: String,
    /// This occurrence; the server's log names the cause under it.
    instance: String,
    /// One of a closed list.
    code: String,
}

/// Where an import stands.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents `ImportStatus` of the ports")]
pub(crate) struct ImportStatusBody {
    /// Its id.
    id: String,
    /// A name for people.
    name: String,
    /// `queued`, `running`, `done`, `failed`.
    state: String,
    /// When it was submitted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Entries of `messages` read so far.
    messages_read: u64,
    /// Appended.
    messages_new: u64,
    /// Refused: seen before.
    messages_duplicate: u64,
    /// Not appended, by reason.
    #[schema(value_type = Object, example = json!({"chat_not_selected": 3}))]
    skipped: String,
    /// Bytes of the file read so far.
    bytes_read: u64,
    /// Size of the file.
    bytes_total: u64,
    /// Why it failed.
    error: Option<String>,
}

/// What a stage could not process.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents `DeadLetterView`, whose types are not this crate's"
)]
pub(crate) struct DeadLetterBody {
    /// `<stage>:<topic>:<partition>:<offset>`.
    #[schema(example = "screen:telegram-raw:0:123")]
    id: String,
    /// The stage that gave up.
    stage: String,
    /// The record it gave up on.
    #[schema(value_type = Object, example = json!({"topic": "telegram-raw", "partition": 0, "offset": 123}))]
    origin: String,
    /// `open`: given up on. `retrying`: being tried again. `solved`: a retry succeeded.
    state: String,
    /// `unreadable`, `guest_error`, `guest_trap`, `guest_timeout`, `guest_output`, `store_rejected`, `too_large`, `gone`.
    code: String,
    /// Why, in words.
    message: String,
    /// How often it was tried.
    attempts: u32,
    /// First failure.
    #[schema(format = DateTime)]
    first_at: String,
    /// Last try.
    #[schema(format = DateTime)]
    last_at: String,
    /// The input record's value: `{"text": …}` or `{"base64": …}`; its first 64 KiB if it is longer, `null` if this record
    /// is gone. The whole one stands at `origin`.
    #[schema(value_type = Option<Object>)]
    payload: String,
    /// Bytes of the value, where `payload` is cut short.
    payload_bytes: Option<u64>,
    /// What an operator can do about it.
    what_to_do: String,
}

/// A message as the API shows it.
pub(crate) fn message_example() -> Value {
    json!({
        "v": 1, "id": "-1001234567890:42",
        "chat": {"id": "-1001234567890", "title": "Ops", "kind": "supergroup"},
        "message_id": 42, "edit": 0, "event_time": "2026-01-05T10:00:00Z",
        "author": {"id": "777", "name": "Olena", "kind": "user"},
        "kind": "text", "text": "Нова версія вийде завтра?", "lang": "uk",
        "reply_to": 40, "thread": null, "forward": null, "links": [], "media": null,
        "reactions": {"👍": 3}, "deleted_at": null,
        "screen": {"class": "signal", "score": 0.81, "factors": {"question": 0.4}, "flags": [], "rules": "default@3+ab12cd"},
        "origin": {"topic": "telegram-raw", "partition": 0, "offset": 123},
        "deep_link": "https://t.me/c/1234567890/42", "label": null, "story": {"id": "1f0c9a7be2d34456a1b2c3d4e5f60718", "first": "-1001234567890:42", "size": 3}, "subjects": [],
    })
}

/// The document as served.
pub(crate) fn finish(document: utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    {
        put_message(schemas);
        if let Some(code) = schemas
            .get_mut("ProblemBody")
            .and_then(|s| s.pointer_mut("/properties/code"))
        {
            code["enum"] = Code::ALL.iter().map(|c| c.as_str()).collect();
        }
    }
    add_default_problem(&mut document);
    crate::access::describe(&mut document);
    document
}

/// Every operation may answer with a problem.
fn add_default_problem(document: &mut Value) {
    let problem = json!({
        "description": "An error; `code` says which",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    });
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for path in paths.into_iter().flat_map(|p| p.values_mut()) {
        for operation in path
            .as_object_mut()
            .into_iter()
            .flat_map(|p| p.values_mut())
        {
            if let Some(responses) = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut)
            {
                responses.insert("default".to_owned(), problem.clone());
            }
        }
    }
}

/// Puts the schema of the record `Message`, made by schemars, where the routes refer to it, with what the API adds.
fn put_message(schemas: &mut Map<String, Value>) {
    let Ok(mut message) = serde_json::to_value(schemars::schema_for!(telesift_schemas::Message))
    else {
        return;
    };
    let definitions = message.as_object_mut().and_then(|m| {
        m.remove("$schema");
        m.remove("$defs")
    });
    if let Some(properties) = message.get_mut("properties").and_then(Value::as_object_mut) {
        // For the stories stage; the API does not show it.
        properties.remove("signature");
        properties.insert(
            "deep_link".into(),
            json!({"type": ["string", "null"], "description": "Opens the message in Telegram; `null` for users and basic groups."}),
        );
        properties.insert("label".into(), crate::labels::schema());
        properties.insert(
            "story".into(),
            json!({
                "type": ["object", "null"],
                "description": "The story it tells with others, counting only chats the key may see; `null` where no other message tells it.",
                "required": ["id", "first", "size"],
                "properties": {
                    "id": {"type": "string", "description": "For `GET /v1/stories/{id}`."},
                    "first": {"type": "string", "description": "Its oldest message.", "pattern": "^-?[0-9]+:-?[0-9]+$"},
                    "size": {"type": "integer", "description": "How many messages tell it.", "minimum": 2},
                },
            }),
        );
        properties.insert(
            "subjects".into(),
            json!({"type": "array", "items": {"type": "string"}, "description": "Subjects of the knowledge base."}),
        );
    }
    for (name, schema) in definitions
        .and_then(|d| d.as_object().cloned())
        .unwrap_or_default()
    {
        schemas.insert(name, with_own_references(schema));
    }
    schemas.insert("Message".to_owned(), with_own_references(message));
}

/// `#/$defs/X` to `#/components/schemas/X`, everywhere below.
fn with_own_references(schema: Value) -> Value {
    match schema {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| match (name.as_str(), &value) {
                ("$ref", Value::String(to)) => {
                    let to = to.replacen("#/$defs/", "#/components/schemas/", 1);
                    (name, Value::String(to))
                }
                _ => (name, with_own_references(value)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(with_own_references).collect(),
        other => other,
    }
}
