//! One bot in this process: who may call for it, and how it stands.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use telesift_ports::bots::{BotInfo, BotRow, BotSource, BotState};
use telesift_schemas::{ChatId, Timestamp};

use super::first_state;
use crate::telemetry;

/// A bot as stored, ready to be asked for.
pub(super) struct Door {
    pub(super) row: BotRow,
    pub(super) source: Arc<BotSource>,
    /// Of the webhook's secret; none for bots that are polled.
    pub(super) secret_hash: Option<[u8; 32]>,
    standing: Mutex<Standing>,
}

#[derive(Clone, Debug)]
struct Standing {
    state: BotState,
    detail: Option<String>,
    waiting_until: Option<Timestamp>,
    since: Timestamp,
}

impl Door {
    pub(super) fn new(row: BotRow, chats: Vec<ChatId>, now: Timestamp) -> Self {
        let secrets = row.secrets.as_ref().ok();
        let secret = secrets.and_then(|s| s.webhook.as_ref());
        let door = Door {
            source: Arc::new(BotSource {
                name: row.name.clone(),
                id: row.id,
                delivery: row.delivery,
                chats,
            }),
            secret_hash: secret.map(|s| Sha256::digest(s.expose()).into()),
            standing: Mutex::new(Standing {
                state: first_state(&row),
                detail: row.secrets.as_ref().err().cloned(),
                waiting_until: None,
                since: now,
            }),
            row,
        };
        door.show(first_state(&door.row), true);
        door
    }

    /// Whether it is that bot, unchanged.
    pub(super) fn is_of(&self, row: &BotRow, chats: &[ChatId]) -> bool {
        self.row == *row && self.source.chats == chats
    }

    /// Notes how it stands.
    pub(super) fn stand(
        &self,
        state: BotState,
        detail: Option<String>,
        waiting_until: Option<Timestamp>,
        now: Timestamp,
    ) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.state != state {
            self.show(standing.state, false);
            self.show(state, true);
            standing.since = now;
        }
        standing.state = state;
        standing.detail = detail;
        standing.waiting_until = waiting_until;
    }

    /// Takes its metrics away.
    pub(super) fn close(&self) {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        self.show(standing.state, false);
    }

    fn show(&self, state: BotState, holds: bool) {
        metrics::gauge!(telemetry::STATE, "bot" => self.row.name.clone(), "state" => state.as_str())
            .set(if holds { 1.0 } else { 0.0 });
    }

    pub(super) fn info(&self) -> BotInfo {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        BotInfo {
            name: self.row.name.clone(),
            id: self.row.id.to_string(),
            delivery: self.row.delivery,
            registered: self.row.registered,
            chats: self.row.chats.clone(),
            created_at: self.row.created_at,
            state: standing.state,
            detail: standing.detail.clone(),
            waiting_until: standing.waiting_until,
            since: standing.since,
        }
    }
}
