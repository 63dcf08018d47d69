//! The ledger of the door: what became of a bot's updates, stored in the transaction that decided it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use telesift_ports::{
    RecordLog,
    bots::{BotSource, Taken},
    ledger::{StageKey, StageState},
    record_log::{self, Outcome, StateWrite, Transaction},
};
use telesift_schemas::{PartitionId, Topic, TopicPartition};

use super::{STAGE, plan::Fate};

/// Why an update is skipped.
const DUPLICATE: &str = "duplicate";
const CHAT_NOT_ALLOWED: &str = "chat_not_allowed";

/// The counters of one bot. Transactions add to them inside the log, one after the other; where there are none, each process
/// has a row of its own, and stores it once the records are appended.
pub(super) struct Tally {
    key: String,
    state: Mutex<StageState>,
    /// As the log has it; held while it is stored, so that an older count never replaces a newer one.
    stored: tokio::sync::Mutex<StageState>,
}

/// Updates come from outside the log, so the input is named after the bot.
fn key(bot: &BotSource, process: Option<&str>) -> String {
    StageKey {
        stage: STAGE.into(),
        input: TopicPartition::new(Topic::new(format!("bot:{}", bot.name)), PartitionId(0)),
    }
    .counted_by(process)
    .state_key()
}

async fn stored(log: &dyn RecordLog, key: &str) -> record_log::Result<StageState> {
    let Some(bytes) = log.state(key).await? else {
        return Ok(StageState::default());
    };
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!(key, %error, "counters that cannot be read begin again");
        StageState::default()
    }))
}

impl Tally {
    pub(super) async fn load(
        log: &dyn RecordLog,
        bot: &BotSource,
        process: Option<&str>,
    ) -> record_log::Result<Self> {
        let key = key(bot, process);
        let state = stored(log, &key).await?;
        Ok(Tally {
            key,
            state: Mutex::new(state.clone()),
            stored: tokio::sync::Mutex::new(state),
        })
    }

    /// Takes back what was counted and not stored, after the log failed.
    pub(super) async fn reload(&self, log: &dyn RecordLog) {
        match stored(log, &self.key).await {
            Ok(state) => *self.state() = state,
            Err(error) => tracing::warn!(key = self.key, %error, "counters may run ahead"),
        }
    }

    /// Whether it counts under the name the bot has now.
    pub(super) fn is_of(&self, bot: &BotSource, process: Option<&str>) -> bool {
        self.key == key(bot, process)
    }

    /// Stores what was [added](Tally::add), by whomever: of many who come at once one does it for all.
    pub(super) async fn store(&self, log: &dyn RecordLog) -> record_log::Result<()> {
        let mut stored = self.stored.lock().await;
        let state = self.state().clone();
        if *stored == state {
            return Ok(());
        }
        let write = written(&self.key, &state);
        let counted = Transaction {
            finish: Box::new(move |_| vec![write]),
            ..Transaction::appends(Vec::new())
        };
        log.commit(counted).await?;
        *stored = state;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, StageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what became of some updates; the state to store with it.
    pub(super) fn add(&self, fates: &[Fate], outcomes: &[Outcome]) -> StateWrite {
        let taken = taken(fates, outcomes);
        let mut state = self.state();
        let counters = &mut state.counters;
        counters.received += fates.len() as u64;
        counters.emitted += taken.n_new;
        for (reason, n) in [
            (DUPLICATE, taken.n_duplicate),
            (CHAT_NOT_ALLOWED, taken.n_dropped),
        ] {
            if n > 0 {
                *counters.skipped.entry(reason.to_owned()).or_default() += n;
            }
        }
        state.next.0 += fates.len() as u64;
        written(&self.key, &state)
    }
}

fn written(key: &str, state: &StageState) -> StateWrite {
    let value = serde_json::to_vec(state).expect("counters are numbers and strings");
    (key.to_owned(), Some(value.into()))
}

/// What became of updates: one of several records is new if any of them is.
pub(super) fn taken(fates: &[Fate], outcomes: &[Outcome]) -> Taken {
    let mut taken = Taken::default();
    let mut rest = outcomes;
    for fate in fates {
        match fate {
            Fate::Dropped => taken.n_dropped += 1,
            Fate::Appended(n) => {
                let (own, others) = rest.split_at((*n).min(rest.len()));
                rest = others;
                match own.iter().any(|o| matches!(o, Outcome::Appended { .. })) {
                    true => taken.n_new += 1,
                    false => taken.n_duplicate += 1,
                }
            }
        }
    }
    taken
}
