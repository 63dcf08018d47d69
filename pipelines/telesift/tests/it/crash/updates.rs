//! Updates of a bot while the server is killed again and again: what was answered 200 is there, once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_conserved, assert_not_behind, n_kills, progress, row};
use crate::server::{Home, Server, telesift};

const SECRET: &str = "a-Secret_0f-ours";
const CHAT: i64 = -1_001_900_000_009;
const N_SENDERS: usize = 4;

/// A server that leaves Telegram alone.
fn serve(home: &Home) -> Server {
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TELESIFT__TELEGRAM__API_BASE", "http://127.0.0.1:9");
    Server::start(home, &mut command)
}

/// Where the server is now, and what it has answered.
#[derive(Default)]
struct Load {
    url: Mutex<String>,
    next: AtomicI64,
    acknowledged: Mutex<Vec<i64>>,
    is_over: AtomicBool,
}

impl Load {
    /// Sends updates one after the other, each until it is answered 200, as Telegram does.
    async fn send(&self) {
        let http = reqwest::Client::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let id = self.next.fetch_add(1, Ordering::SeqCst);
            let update = json!({"update_id": id, "message": {
                "message_id": id, "date": 1_767_607_200 + id,
                "chat": {"id": CHAT, "title": "Ops", "type": "supergroup"},
                "from": {"id": 777, "is_bot": false, "first_name": "Olena"},
                "text": format!("сервер {id} впав, перевірте журнали"),
            }});
            loop {
                let url = self.url.lock().unwrap().clone();
                let request = http
                    .post(format!("{url}/v1/telegram/webhook/ops"))
                    .header("x-telegram-bot-api-secret-token", SECRET)
                    .body(update.to_string());
                match request.send().await {
                    Ok(answer) if answer.status() == 200 => break,
                    // Down, or not yet up: the same again.
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            self.acknowledged.lock().unwrap().push(id);
        }
    }
}

/// How often each message id occurs.
fn counted(ids: impl Iterator<Item = i64>) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_update_that_was_answered() {
    let home = Home::new();
    let mut server = serve(&home);
    let bot = json!({"name": "ops", "token": "123456:STUB-token_of-a-bot", "secret": SECRET, "register": false, "chats": []});
    let added = server
        .request(Method::POST, "/v1/bots")
        .json(&bot)
        .send()
        .await
        .unwrap();
    assert_eq!(added.status(), 201, "{}", added.text().await.unwrap());

    let load = Arc::new(Load::default());
    load.next.store(1, Ordering::SeqCst);
    *load.url.lock().unwrap() = server.url.clone();
    let senders: Vec<_> = (0..N_SENDERS)
        .map(|_| {
            let load = load.clone();
            tokio::spawn(async move { load.send().await })
        })
        .collect();

    let mut random = StdRng::seed_from_u64(9);
    let mut before = BTreeMap::new();
    for kill in 0..n_kills() {
        let delay = Duration::from_millis(random.random_range(0..400));
        tokio::time::sleep(delay).await;
        let said = progress(&server).await;
        assert_not_behind(&said, &before);
        let n_acknowledged = load.acknowledged.lock().unwrap().len();
        server.kill();
        let started = Instant::now();
        server = serve(&home);
        let restart = started.elapsed();
        *load.url.lock().unwrap() = server.url.clone();
        let now = progress(&server).await;
        assert_not_behind(&now, &said);
        row(
            kill,
            delay,
            restart,
            &now,
            &format!("{n_acknowledged} answered"),
        );
        before = now;
    }
    load.is_over.store(true, Ordering::SeqCst);
    for sender in senders {
        sender.await.unwrap();
    }

    let ledger = server.settled().await;
    assert_conserved(&ledger);
    let answered = counted(load.acknowledged.lock().unwrap().iter().copied());
    assert!(answered.values().all(|n| *n == 1));
    let of = |message: &Value| message["message_id"].as_i64().unwrap();
    let on_topic = counted(
        server
            .records("messages")
            .await
            .iter()
            .map(|(_, _, data)| of(data)),
    );
    assert_eq!(on_topic, answered, "each once on the topic");
    let in_store = counted(server.messages().await.iter().map(of));
    assert_eq!(in_store, answered, "each once in the store");
    assert_eq!(
        server.n_records("telegram-raw").await,
        answered.len() as u64
    );
    assert_eq!(server.n_records("dead-letters").await, 0);
    let door: Vec<&Value> = ledger.iter().filter(|i| i["stage"] == "ingest").collect();
    assert_eq!(door.len(), 1, "{door:?}");
    assert_eq!(door[0]["emitted"], answered.len(), "{door:?}");
    eprintln!(
        "{} updates answered, each once on the topic, in the store and in the ledger",
        answered.len()
    );
}
