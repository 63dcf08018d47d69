//! What goes in while things are killed: updates as Telegram sends them, again and again until they are taken, and exports.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::server::{Server, export, texts};

const BOT_SECRET: &str = "a-Secret_0f-ours";
const N_SENDERS: i64 = 2;
/// Chats of the bot, over every partition.
const N_CHATS: i64 = 8;

/// The ids of messages whose taking was acknowledged.
pub(super) type Acknowledged = BTreeSet<String>;

/// Sends updates until it is told to stop.
pub(super) struct Telegram {
    stop: Arc<AtomicBool>,
    n_taken: Arc<AtomicI64>,
    senders: Vec<JoinHandle<Acknowledged>>,
}

impl Telegram {
    /// Adds the bot at `front`, and begins to send to wherever `url` says.
    pub(super) async fn start(front: &Server, url: &Arc<Mutex<String>>) -> Self {
        let bot = json!({"name": "ops", "token": "123456:A-token_of-a-bot", "secret": BOT_SECRET, "register": false, "chats": []});
        let added = front.request(Method::POST, "/v1/bots").json(&bot).send();
        assert_eq!(added.await.unwrap().status(), 201);
        let (stop, n_taken) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default());
        let senders = (0..N_SENDERS).map(|sender| {
            let (url, stop, n_taken) = (url.clone(), stop.clone(), n_taken.clone());
            tokio::spawn(send(sender, url, stop, n_taken))
        });
        Telegram {
            senders: senders.collect(),
            stop,
            n_taken,
        }
    }

    /// Updates taken so far.
    pub(super) fn n_taken(&self) -> i64 {
        self.n_taken.load(Ordering::Relaxed)
    }

    /// Ends once what is on its way was taken; everything that was.
    pub(super) async fn end(self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Acknowledged::new();
        for sender in self.senders {
            all.extend(sender.await.unwrap());
        }
        all
    }
}

async fn send(
    sender: i64,
    url: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    n_taken: Arc<AtomicI64>,
) -> Acknowledged {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut id = sender;
    while !stop.load(Ordering::Relaxed) {
        id += N_SENDERS;
        let chat = -1_002_100_000_001 - id % N_CHATS;
        let update = update(id, chat).to_string();
        // As Telegram does: until it is taken, however often that is.
        loop {
            let at = url.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let request = http
                .post(format!("{at}/v1/telegram/webhook/ops"))
                .header("x-telegram-bot-api-secret-token", BOT_SECRET)
                .body(update.clone());
            match request.send().await {
                Ok(answer) if answer.status() == 200 => break,
                Ok(answer) => assert!(answer.status().is_server_error(), "{}", answer.status()),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        acknowledged.insert(format!("{chat}:{id}"));
        n_taken.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    acknowledged
}

fn update(id: i64, chat: i64) -> Value {
    json!({"update_id": id, "message": {
        "message_id": id, "date": 1_767_607_200 + id,
        "chat": {"id": chat, "title": "Ops", "type": "supergroup"},
        "from": {"id": 777, "is_bot": false, "first_name": "Olena"},
        "text": format!("сервер {id} впав, хто дивиться?"),
    }})
}

/// Export number `n`, of 200 messages, and their ids.
pub(super) fn export_of(n: u32) -> (Vec<u8>, Acknowledged) {
    const N: i64 = 200;
    let (chat, first) = (1_000_001 + i64::from(n % 5), 1 + i64::from(n) * N);
    let body = export(chat, first, &texts(u64::from(n), N as usize));
    let ids = (first..first + N).map(|id| format!("{}:{id}", -(1_000_000_000_000 + chat)));
    (body, ids.collect())
}
