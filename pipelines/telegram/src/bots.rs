//! Bots: who may call which webhook, who is polled, and what is arranged with Telegram about it.

mod advice;
mod check;
mod door;
mod follow;
mod polling;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use telesift_ports::{
    BotCatalog, Bots, Clock, Secret, UpdateSink,
    bots::{
        Admission, BotError, BotInfo, BotReport, BotRow, BotSecrets, BotSource, BotState, Delivery,
        NewBot, TakeError, Taken,
    },
    catalog::{self, ChatLinks},
};
use telesift_schemas::ChatId;
use tokio::{
    sync::{Mutex, Notify},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::bot_api::{BotApi, CallError};
use door::Door;
use polling::Poller;

/// How bots are served.
#[derive(Clone, Debug)]
pub struct BotDeskConfig {
    /// The address under which Telegram reaches this server, such as `https://sift.example.org`; empty = none.
    pub public_url: String,
    /// How long Telegram holds a poll that has nothing to give.
    pub poll_hold: Duration,
    /// Pause after another poller, or a webhook, took the updates.
    pub conflict_pause: Duration,
    /// How often the list of bots is read again, for what other processes change.
    pub resync: Duration,
}

/// Keeps the bots of one process.
pub struct BotDesk {
    catalog: Arc<dyn BotCatalog>,
    links: Arc<dyn ChatLinks>,
    sink: Arc<dyn UpdateSink>,
    clock: Arc<dyn Clock>,
    api: BotApi,
    config: BotDeskConfig,
    doors: RwLock<BTreeMap<String, Arc<Door>>>,
    /// What the secret of an unknown bot is compared with: nobody knows it.
    nobody: [u8; 32],
    /// One look at the catalog at a time: an older list must not take the place of a newer one.
    syncing: Mutex<()>,
    /// When the last look for a caller who was refused began.
    looked: std::sync::Mutex<Option<Instant>>,
    changed: Notify,
}

/// A poller at work.
struct Running {
    door: Arc<Door>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl BotDesk {
    /// A desk without any bot yet; see [`BotDesk::sync`].
    pub fn new(
        catalog: Arc<dyn BotCatalog>,
        links: Arc<dyn ChatLinks>,
        sink: Arc<dyn UpdateSink>,
        clock: Arc<dyn Clock>,
        api: BotApi,
        config: BotDeskConfig,
    ) -> Self {
        BotDesk {
            catalog,
            links,
            sink,
            clock,
            api,
            config,
            doors: RwLock::default(),
            nobody: rand::random(),
            syncing: Mutex::new(()),
            looked: std::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Reads the bots of the catalog. To be called before the first request is let in.
    ///
    /// # Errors
    /// If the catalog cannot say; what was known stays.
    pub async fn sync(&self) -> catalog::Result<()> {
        let _one = self.syncing.lock().await;
        let rows = self.catalog.bots().await?;
        let links: HashMap<ChatId, ChatId> = self.links.chat_links().await?.into_iter().collect();
        let now = self.clock.now();
        let mut doors = self.doors.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = rows.into_iter().map(|row| {
            let chats = with_successors(&row.chats, &links);
            let held = doors.get(&row.name);
            let door = match held.filter(|held| held.is_of(&row, &chats)) {
                Some(held) => held.clone(),
                None => Arc::new(Door::new(row, chats, now)),
            };
            (door.row.name.clone(), door)
        });
        let fresh: BTreeMap<String, Arc<Door>> = fresh.collect();
        for (_, gone) in doors.iter().filter(|(name, _)| !fresh.contains_key(*name)) {
            gone.close();
        }
        *doors = fresh;
        Ok(())
    }

    /// Polls the bots that want it, starting and stopping as bots come and go, until `shutdown`. One task per bot.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut pollers: HashMap<String, Running> = HashMap::new();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.sync().await {
                tracing::warn!(%error, "the list of bots cannot be read; the last one counts");
            }
            self.arrange(&mut pollers, &shutdown).await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(self.config.resync) => {}
            }
        }
        for (_, running) in pollers.drain() {
            running.end().await;
        }
    }

    /// Ends pollers of bots that are gone or changed, and starts those that are missing.
    async fn arrange(&self, pollers: &mut HashMap<String, Running>, shutdown: &CancellationToken) {
        let wanted = self.doors();
        let is_wanted =
            |running: &Running| wanted.iter().any(|door| Arc::ptr_eq(door, &running.door));
        let outdated: Vec<String> = pollers
            .iter()
            .filter(|(_, running)| !is_wanted(running))
            .map(|(name, _)| name.clone())
            .collect();
        for name in outdated {
            if let Some(running) = pollers.remove(&name) {
                running.end().await;
            }
        }
        for door in wanted {
            let Ok(secrets) = &door.row.secrets else {
                continue;
            };
            if door.row.delivery != Delivery::Polling || pollers.contains_key(&door.row.name) {
                continue;
            }
            let stop = shutdown.child_token();
            let poller = Poller {
                api: self.api.clone(),
                sink: self.sink.clone(),
                clock: self.clock.clone(),
                token: secrets.token.clone(),
                door: door.clone(),
                hold: self.config.poll_hold,
                conflict_pause: self.config.conflict_pause,
            };
            let task = tokio::spawn(poller.run(stop.clone()));
            let name = door.row.name.clone();
            pollers.insert(name, Running { door, stop, task });
        }
    }

    fn doors(&self) -> Vec<Arc<Door>> {
        let doors = self.doors.read().unwrap_or_else(PoisonError::into_inner);
        doors.values().cloned().collect()
    }

    fn door(&self, name: &str) -> Option<Arc<Door>> {
        let doors = self.doors.read().unwrap_or_else(PoisonError::into_inner);
        doors.get(name).cloned()
    }

    /// Where Telegram is to send the updates of a bot.
    fn webhook_url(&self, name: &str) -> String {
        let base = self.config.public_url.trim_end_matches('/');
        format!("{base}/v1/telegram/webhook/{name}")
    }

    /// The row of a new bot, with the id its token tells or Telegram does.
    async fn row(&self, bot: NewBot) -> Result<BotRow, BotError> {
        let NewBot {
            name,
            token,
            secret,
            chats,
            delivery,
            register,
        } = bot;
        check::name(&name)?;
        check::token(&token)?;
        secret.as_ref().map_or(Ok(()), check::secret)?;
        let is_called = delivery == Delivery::Webhook;
        if is_called && register && self.config.public_url.is_empty() {
            return Err(check::no_public_url());
        }
        let webhook = match (is_called, secret) {
            (false, _) => None,
            (true, Some(secret)) => Some(secret),
            (true, None) if register => Some(Secret::new(hex::encode(rand::random::<[u8; 32]>()))),
            (true, None) => return Err(check::no_secret()),
        };
        let id = match check::id_of(&token) {
            Some(id) => id,
            None if register || !is_called => self.api.me(&token).await.map_err(telegram)?,
            None => return Err(check::no_id()),
        };
        Ok(BotRow {
            name,
            id,
            secrets: Ok(BotSecrets { token, webhook }),
            delivery,
            registered: register,
            chats,
            created_at: self.clock.now(),
        })
    }

    /// Tells Telegram where updates go.
    async fn register(&self, row: &BotRow) -> Result<(), CallError> {
        match &row.secrets {
            Ok(BotSecrets {
                token,
                webhook: Some(secret),
            }) => {
                let url = self.webhook_url(&row.name);
                self.api.set_webhook(token, &url, secret).await
            }
            Ok(BotSecrets {
                token,
                webhook: None,
            }) => self.api.delete_webhook(token).await,
            Err(reason) => Err(CallError::Configuration(reason.clone())),
        }
    }

    async fn sync_now(&self) -> Result<(), BotError> {
        self.sync().await?;
        self.changed.notify_one();
        Ok(())
    }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(bot = self.door.row.name, %error, "a poller panicked");
        }
    }
}

/// The chats, and those they went on as: a list must not go silent because a group became a supergroup.
fn with_successors(chats: &[ChatId], links: &HashMap<ChatId, ChatId>) -> Vec<ChatId> {
    let mut all = chats.to_vec();
    for chat in chats {
        if let Some(next) = links.get(chat).filter(|next| !all.contains(next)) {
            all.push(*next);
        }
    }
    all
}

fn telegram(error: CallError) -> BotError {
    BotError::Telegram {
        reason: error.to_string(),
        is_retryable: error.is_retryable(),
    }
}

#[async_trait]
impl Bots for BotDesk {
    fn admit(&self, bot: &str, secret: &[u8]) -> Admission {
        let door = self.door(bot);
        if let Some(Err(reason)) = door.as_ref().map(|d| &d.row.secrets) {
            return Admission::Unknown {
                reason: reason.clone(),
            };
        }
        // Hashes are compared, so that neither the length nor the content of the secret tells by the time it takes.
        let wanted = door.as_ref().and_then(|d| d.secret_hash);
        let given: [u8; 32] = Sha256::digest(secret).into();
        let is_right = bool::from(given.ct_eq(&wanted.unwrap_or(self.nobody)));
        match door {
            Some(door) if is_right => Admission::Admitted(door.source.clone()),
            _ => Admission::Refused,
        }
    }

    async fn look_again(&self) -> bool {
        self.look().await
    }

    async fn take(&self, bot: &BotSource, payload: Bytes) -> Result<Taken, TakeError> {
        self.sink.take(bot, vec![payload], None).await
    }

    async fn add(&self, bot: NewBot) -> Result<BotInfo, BotError> {
        let register = bot.register;
        let row = self.row(bot).await?;
        self.catalog.add_bot(&row).await.map_err(|e| match e {
            catalog::Error::Conflict { .. } => BotError::Exists(format!(
                "there is a bot `{}` already, or one with this token; remove it first",
                row.name
            )),
            e => e.into(),
        })?;
        // The webhook is open before Telegram calls; polling begins once Telegram keeps the updates for us.
        if row.delivery == Delivery::Webhook {
            self.sync_now().await?;
        }
        if register && let Err(error) = self.register(&row).await {
            self.catalog.remove_bot(&row.name).await?;
            self.sync_now().await?;
            return Err(telegram(error));
        }
        self.sync_now().await?;
        let door = self.door(&row.name);
        Ok(door.map_or_else(
            || Door::new(row, Vec::new(), self.clock.now()).info(),
            |door| door.info(),
        ))
    }

    async fn list(&self) -> Result<Vec<BotInfo>, BotError> {
        self.sync().await?;
        Ok(self.doors().iter().map(|door| door.info()).collect())
    }

    async fn report(&self, name: &str) -> Result<Option<BotReport>, BotError> {
        self.sync().await?;
        let Some(door) = self.door(name) else {
            return Ok(None);
        };
        let asked = match &door.row.secrets {
            Ok(secrets) => self.api.webhook_info(&secrets.token).await,
            Err(reason) => Err(CallError::Configuration(reason.clone())),
        };
        let (webhook, error) = match asked {
            Ok(info) => (Some(info), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let url = (!self.config.public_url.is_empty()).then(|| self.webhook_url(name));
        let bot = door.info();
        Ok(Some(BotReport {
            advice: advice::of(&bot, webhook.as_ref(), url.as_deref()),
            bot,
            webhook,
            error,
        }))
    }

    async fn remove(&self, name: &str) -> Result<bool, BotError> {
        let rows = self.catalog.bots().await?;
        let row = rows.into_iter().find(|row| row.name == name);
        let was_there = self.catalog.remove_bot(name).await?;
        self.sync_now().await?;
        if let Some(row) = row.filter(|r| r.registered && r.delivery == Delivery::Webhook)
            && let Ok(secrets) = &row.secrets
            && let Err(error) = self.api.delete_webhook(&secrets.token).await
        {
            tracing::warn!(bot = name, %error, "the webhook of a removed bot stays at Telegram, and is refused here");
        }
        Ok(was_there)
    }
}

/// How a bot stands before anything is known of it.
fn first_state(row: &BotRow) -> BotState {
    match (&row.secrets, row.delivery) {
        (Err(_), _) => BotState::Locked,
        (Ok(_), Delivery::Webhook) => BotState::Listening,
        (Ok(_), Delivery::Polling) => BotState::Starting,
    }
}
