//! The ledger of the door: what became of a bot's updates, stored in the transaction that decided it.

use std::sync::{Mutex, PoisonError};

use telesift_ports::{
    RecordLog,
    bots::{BotSource, Taken},
    ledger::{StageKey, StageState},
    record_log::{self, Outcome, StateWrite},
};
use telesift_schemas::{PartitionId, Topic, TopicPartition};

use super::{STAGE, plan::Fate};

/// Why an update is skipped.
const DUPLICATE: &str = "duplicate";
const CHAT_NOT_ALLOWED: &str = "chat_not_allowed";

/// The counters of one bot. Transactions add to them inside the log, one after the other.
pub(super) struct Tally {
    key: String,
    state: Mutex<StageState>,
}

/// Updates come from outside the log, so the input is named after the bot.
fn key(bot: &BotSource) -> String {
    StageKey {
        stage: STAGE.into(),
        input: TopicPartition::new(Topic::new(format!("bot:{}", bot.name)), PartitionId(0)),
    }
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
    pub(super) async fn load(log: &dyn RecordLog, bot: &BotSource) -> record_log::Result<Self> {
        let key = key(bot);
        let state = Mutex::new(stored(log, &key).await?);
        Ok(Tally { key, state })
    }

    /// Takes back what was counted and not stored, after the log failed.
    pub(super) async fn reload(&self, log: &dyn RecordLog) {
        match stored(log, &self.key).await {
            Ok(state) => *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state,
            Err(error) => tracing::warn!(key = self.key, %error, "counters may run ahead"),
        }
    }

    /// Whether it counts under the name the bot has now.
    pub(super) fn is_of(&self, bot: &BotSource) -> bool {
        self.key == key(bot)
    }

    /// Adds what became of some updates; the state to store with it.
    pub(super) fn add(&self, fates: &[Fate], outcomes: &[Outcome]) -> StateWrite {
        let taken = taken(fates, outcomes);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        let value = serde_json::to_vec(&*state).expect("counters are numbers and strings");
        (self.key.clone(), Some(value.into()))
    }
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
