//! Updates of bots in, raw records out: validated, appended and counted in one transaction, and nothing else.

mod head;
mod plan;
mod tally;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog, UpdateSink,
    bots::{BotSource, TakeError, Taken},
    record_log::{self, Transaction},
};
use tokio::sync::OnceCell;

use super::STAGE;
use crate::telemetry;
use plan::{Plan, plan};
use tally::Tally;

/// Appends updates to `telegram-raw`.
///
/// The bytes are kept as they came. An update is refused if its bot sent it before, or if the message version it holds is
/// there already; it is dropped if its chat is not among the bot's. Both are counted, in the ledger too: its counters
/// commit with the appends, or after them on a log without transactions.
pub struct UpdateIngest {
    process: Option<String>,
    log: Arc<dyn RecordLog>,
    clock: Arc<dyn Clock>,
    n_partitions: OnceCell<u32>,
    tallies: Mutex<HashMap<i64, Arc<Tally>>>,
}

impl UpdateIngest {
    /// A door into `log`.
    pub fn new(log: Arc<dyn RecordLog>, clock: Arc<dyn Clock>) -> Self {
        UpdateIngest {
            process: None,
            log,
            clock,
            n_partitions: OnceCell::new(),
            tallies: Mutex::default(),
        }
    }

    /// Counts in rows of its own, named after this process: others take updates of the same bots.
    pub fn counting_as(mut self, process: Option<String>) -> Self {
        self.process = process;
        self
    }

    async fn n_partitions(&self) -> record_log::Result<u32> {
        let count = || super::n_partitions(&*self.log);
        self.n_partitions.get_or_try_init(count).await.copied()
    }

    /// The counters of a bot, read from the log when they are first needed.
    async fn tally(&self, bot: &BotSource) -> record_log::Result<Arc<Tally>> {
        let process = self.process.as_deref();
        let known = self.tallies().get(&bot.id).cloned();
        if let Some(tally) = known.filter(|t| t.is_of(bot, process)) {
            return Ok(tally);
        }
        let loaded = Arc::new(Tally::load(&*self.log, bot, process).await?);
        let mut tallies = self.tallies();
        // Somebody may have been faster; there must be one count of a bot.
        match tallies.get(&bot.id).filter(|t| t.is_of(bot, process)) {
            Some(first) => Ok(first.clone()),
            None => {
                tallies.insert(bot.id, loaded.clone());
                Ok(loaded)
            }
        }
    }

    fn tallies(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<Tally>>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl UpdateSink for UpdateIngest {
    async fn take(
        &self,
        bot: &BotSource,
        updates: Vec<Bytes>,
        position: Option<i64>,
    ) -> Result<Taken, TakeError> {
        let n_partitions = self.n_partitions().await?;
        let received = self.clock.now().as_second();
        let mut whole = Plan::default();
        for update in &updates {
            plan(&mut whole, bot, update, received, n_partitions)?;
        }
        let tally = self.tally(bot).await?;
        let (counted, fates) = (tally.clone(), whole.fates.clone());
        let key = position_key(bot.id);
        let is_atomic = self.log.is_transactional();
        let transaction = Transaction {
            finish: Box::new(move |outcomes| {
                // What may or may not be stored afterwards is counted once it is known what was appended.
                let mut writes = Vec::from_iter(is_atomic.then(|| counted.add(&fates, outcomes)));
                if let Some(next) = position {
                    writes.push((key, Some(next.to_string().into())));
                }
                writes
            }),
            ..Transaction::appends(whole.appends)
        };
        match self.log.commit(transaction).await {
            Ok(outcomes) => {
                if !is_atomic {
                    tally.add(&whole.fates, &outcomes);
                    tally.store(&*self.log).await?;
                }
                let taken = tally::taken(&whole.fates, &outcomes);
                telemetry::updates(&bot.name, &taken);
                Ok(taken)
            }
            Err(error) => {
                if is_atomic {
                    // What was counted may not have been stored: the log knows.
                    tally.reload(&*self.log).await;
                }
                Err(error.into())
            }
        }
    }

    async fn position(&self, bot_id: i64) -> record_log::Result<Option<i64>> {
        let stored = self.log.state(&position_key(bot_id)).await?;
        Ok(stored.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok()))
    }
}

/// Where the log keeps the next update to ask for.
fn position_key(bot_id: i64) -> String {
    format!("bot/{bot_id}/next")
}
