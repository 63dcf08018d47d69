//! A Bot API server of a test's own: keeps webhooks and updates as Telegram does, and fails on request.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// The token of the one bot there is.
pub(crate) const TOKEN: &str = "123456:STUB-token_of-a-bot";

/// What a call is answered with instead of what was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Unauthorized,
    Conflict,
    TooMany(u64),
    BadGateway,
}

#[derive(Default)]
struct Bot {
    webhook: String,
    secret: String,
    allowed: Value,
    last_error: Option<String>,
    /// Updates that were not confirmed yet, by id.
    updates: BTreeMap<i64, Value>,
    /// Every call: method and parameters.
    calls: Vec<(String, Value)>,
    failures: VecDeque<Failure>,
}

/// The server. Dropping it ends it.
pub(crate) struct BotApiStub {
    pub(crate) url: String,
    bot: Arc<Mutex<Bot>>,
    arrived: Arc<Notify>,
    task: JoinHandle<()>,
}

type Shared = (Arc<Mutex<Bot>>, Arc<Notify>);

impl BotApiStub {
    pub(crate) async fn start() -> Self {
        let (bot, arrived): Shared = Default::default();
        let app = Router::new()
            .route("/{bot}/{method}", post(answer))
            .with_state((bot.clone(), arrived.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        BotApiStub {
            url,
            bot,
            arrived,
            task,
        }
    }

    fn bot(&self) -> MutexGuard<'_, Bot> {
        self.bot.lock().unwrap()
    }

    /// Something happens in a chat.
    pub(crate) fn send(&self, updates: impl IntoIterator<Item = Value>) {
        let mut bot = self.bot();
        for update in updates {
            bot.updates
                .insert(update["update_id"].as_i64().unwrap(), update);
        }
        drop(bot);
        self.arrived.notify_waiters();
    }

    pub(crate) fn fail(&self, failures: &[Failure]) {
        self.bot().failures.extend(failures);
        self.arrived.notify_waiters();
    }

    pub(crate) fn recover(&self) {
        self.bot().failures.clear();
    }

    pub(crate) fn n_pending_failures(&self) -> usize {
        self.bot().failures.len()
    }

    pub(crate) fn n_unconfirmed(&self) -> usize {
        self.bot().updates.len()
    }

    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let bot = self.bot();
        let calls = bot.calls.iter().filter(|(m, _)| m == method);
        calls.map(|(_, params)| params.clone()).collect()
    }

    /// Somebody else sets the webhook.
    pub(crate) fn set_webhook(&self, url: &str) {
        self.bot().webhook = url.to_owned();
    }

    pub(crate) fn webhook(&self) -> (String, String) {
        let bot = self.bot();
        (bot.webhook.clone(), bot.secret.clone())
    }

    pub(crate) fn note_error(&self, error: &str) {
        self.bot().last_error = Some(error.to_owned());
    }
}

impl Drop for BotApiStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State((bot, arrived)): State<Shared>,
    Path((token, method)): Path<(String, String)>,
    Json(params): Json<Value>,
) -> Response {
    if token != format!("bot{TOKEN}") {
        return refused(404, "Not Found", json!(null));
    }
    if let Some(failure) = called(&bot, &method, &params) {
        return failed(failure);
    }
    let result = match method.as_str() {
        "getMe" => json!({"id": 123_456, "is_bot": true, "first_name": "Stub"}),
        "setWebhook" => {
            let mut bot = bot.lock().unwrap();
            bot.webhook = params["url"].as_str().unwrap().to_owned();
            bot.secret = params["secret_token"].as_str().unwrap().to_owned();
            bot.allowed = params["allowed_updates"].clone();
            json!(true)
        }
        "deleteWebhook" => {
            assert_eq!(params["drop_pending_updates"], false);
            bot.lock().unwrap().webhook.clear();
            json!(true)
        }
        "getWebhookInfo" => info(&bot.lock().unwrap()),
        "getUpdates" => return updates(&bot, &arrived, &params).await,
        other => panic!("unexpected call of {other}"),
    };
    Json(json!({"ok": true, "result": result})).into_response()
}

/// Notes the call; what it is to fail with.
fn called(bot: &Mutex<Bot>, method: &str, params: &Value) -> Option<Failure> {
    let mut bot = bot.lock().unwrap();
    bot.calls.push((method.to_owned(), params.clone()));
    bot.failures.pop_front()
}

fn info(bot: &Bot) -> Value {
    let mut info = json!({
        "url": bot.webhook, "has_custom_certificate": false, "pending_update_count": bot.updates.len(),
        "allowed_updates": bot.allowed.as_array().cloned().unwrap_or_default(),
    });
    if let Some(error) = &bot.last_error {
        info["last_error_message"] = error.as_str().into();
        info["last_error_date"] = 1_767_607_200.into();
    }
    info
}

/// As Telegram: what lies before the offset is confirmed and forgotten; an empty answer is held back for a while.
async fn updates(bot: &Mutex<Bot>, arrived: &Notify, params: &Value) -> Response {
    let until =
        tokio::time::Instant::now() + Duration::from_secs(params["timeout"].as_u64().unwrap_or(0));
    loop {
        let more = arrived.notified();
        tokio::pin!(more);
        more.as_mut().enable();
        let found: Vec<Value> = {
            let mut bot = bot.lock().unwrap();
            if !bot.webhook.is_empty() {
                return failed(Failure::Conflict);
            }
            if let Some(failure) = bot.failures.pop_front() {
                return failed(failure);
            }
            if let Some(offset) = params["offset"].as_i64() {
                bot.updates = bot.updates.split_off(&offset);
            }
            let limit = params["limit"].as_u64().unwrap_or(100) as usize;
            bot.updates.values().take(limit).cloned().collect()
        };
        if !found.is_empty() || tokio::time::Instant::now() >= until {
            return Json(json!({"ok": true, "result": found})).into_response();
        }
        tokio::select! {
            () = more => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

fn failed(failure: Failure) -> Response {
    match failure {
        Failure::Unauthorized => refused(401, "Unauthorized", json!(null)),
        Failure::Conflict => refused(
            409,
            "Conflict: terminated by other getUpdates request",
            json!(null),
        ),
        Failure::TooMany(seconds) => {
            refused(429, "Too Many Requests", json!({"retry_after": seconds}))
        }
        Failure::BadGateway => (StatusCode::BAD_GATEWAY, "<html>502</html>").into_response(),
    }
}

fn refused(code: u16, words: &str, parameters: Value) -> Response {
    let mut body = json!({"ok": false, "error_code": code, "description": words});
    if !parameters.is_null() {
        body["parameters"] = parameters;
    }
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}
