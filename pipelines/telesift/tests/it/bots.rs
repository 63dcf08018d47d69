//! Bots against a Bot API of our own: webhook, polling, what Telegram does wrong, and what becomes of each update.

mod polling;
mod stub;
mod updates;
mod versions;
mod webhook;

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Home, Server, telesift};
use stub::{BotApiStub, TOKEN};

const SECRET: &str = "a-Secret_0f-ours";
const PUBLIC_URL: &str = "https://sift.example";

/// A server that takes the stub for Telegram.
fn serve(home: &Home, stub: &BotApiStub) -> Server {
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TELESIFT__TELEGRAM__API_BASE", &stub.url)
        .env("TELESIFT__TELEGRAM__PUBLIC_URL", PUBLIC_URL)
        .env("TELESIFT__TELEGRAM__CONFLICT_RETRY_S", "1")
        .env("TELESIFT__INDEX__MIN_INTERVAL_MS", "10");
    Server::start(home, &mut command)
}

/// `telesift bots add` with two lines on standard input.
fn add(home: &Home, args: &[&str], lines: &str) -> Output {
    let mut command = home.command(&[&["bots", "add"], args].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// A bot whose webhook somebody else sets.
async fn add_unregistered(server: &Server, chats: Value) {
    let body =
        json!({"name": "ops", "token": TOKEN, "secret": SECRET, "register": false, "chats": chats});
    let answer = server.request(Method::POST, "/v1/bots").json(&body).send();
    assert_eq!(answer.await.unwrap().status(), 201);
}

/// Telegram calls.
async fn post(server: &Server, update: &Value) -> StatusCode {
    post_text(server, update.to_string()).await
}

async fn post_text(server: &Server, update: String) -> StatusCode {
    let request = reqwest::Client::new()
        .post(format!("{}/v1/telegram/webhook/ops", server.url))
        .header("x-telegram-bot-api-secret-token", SECRET)
        .body(update);
    request.send().await.unwrap().status()
}

const OPS: i64 = -1_002_100_000_001;

fn message(update_id: i64, message_id: i64, text: &str) -> Value {
    json!({"update_id": update_id, "message": {
        "message_id": message_id, "date": 1_767_607_200 + message_id,
        "chat": {"id": OPS, "title": "Ops", "type": "supergroup"},
        "from": {"id": 777, "is_bot": false, "first_name": "Olena"},
        "text": text,
    }})
}

/// The same message, edited `seconds` after the first ones were sent.
fn edit(update_id: i64, message_id: i64, seconds: i64, text: &str) -> Value {
    let mut update = message(update_id, message_id, text);
    let mut edited = update["message"].take();
    edited["edit_date"] = (1_767_608_000 + seconds).into();
    json!({"update_id": update_id, "edited_message": edited})
}

async fn state_of(server: &Server) -> Value {
    server.get("/v1/bots").await["items"][0].clone()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
