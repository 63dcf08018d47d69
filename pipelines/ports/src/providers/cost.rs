//! What calls cost: a row for each, and budgets that hold before a call is made.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, ExtractorRef, Timestamp, Usage};

use crate::catalog::Result;

const DAY_S: i64 = 86_400;

/// The day `at` lies in, counted from 1970, in UTC. Budgets are per day.
pub fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_S)
}

/// When the day after `at` begins.
pub fn next_day(at: Timestamp) -> Timestamp {
    // Out of range only for a time at the end of all times.
    Timestamp::from_second((day_of(at) + 1) * DAY_S).unwrap_or(Timestamp::MAX)
}

/// The ledger of calls and the budgets beside it.
#[async_trait]
pub trait CostLedger: Send + Sync + 'static {
    /// Sets aside `reservation.most`, all or nothing, if that keeps within `limits`. A first call of a day is let through
    /// even if it alone may cost more than a budget, else such a unit would wait for ever: a budget is thus exceeded by one
    /// call at most.
    ///
    /// `Some` names the budget that is used up; nothing is set aside then.
    async fn reserve(
        &self,
        reservation: &Reservation,
        limits: &Limits,
    ) -> Result<Option<BudgetRefusal>>;

    /// Writes down a call, and puts what it cost in the place of what was reserved for it. What a crash leaves reserved
    /// counts as spent on that day.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Conflict`] if the call was written down before.
    async fn settle(&self, call: &CallRow, reservation: Option<&Reservation>) -> Result<()>;

    /// Gives back what was set aside for a call that was not made.
    async fn give_back(&self, reservation: &Reservation) -> Result<()>;

    /// What counts as spent on a day, reservations included: in all, or by a chat.
    async fn spent(&self, day: i64, chat: Option<ChatId>) -> Result<Spent>;

    /// Calls summed up, by the key's text. At most 1,000 rows, those that cost most.
    async fn costs(&self, filter: &CostFilter, by: CostBy) -> Result<Vec<CostRow>>;

    /// Forgets the calls made before `before`, and what was spent on the days before its day; returns how many calls.
    async fn forget_calls(&self, before: Timestamp) -> Result<u64>;
}

/// A budget's two sides; `None` = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Tokens sent and received.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micro_usd: Option<u64>,
}

/// What may be spent on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// In all.
    pub daily: Budget,
    /// By each chat.
    pub chat_daily: Budget,
}

/// What a call may cost, set aside before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The day it counts for, as [`day_of`].
    pub day: i64,
    /// The chat it counts for.
    pub chat: ChatId,
    /// What it may cost.
    pub most: Usage,
}

/// Which budget does not allow a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetRefusal {
    /// Whose.
    pub scope: BudgetScope,
}

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetScope {
    /// Everybody's.
    Daily,
    /// The chat's.
    Chat,
}

impl BudgetScope {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "the budget of the day",
            Self::Chat => "the chat's budget of the day",
        }
    }
}

/// What counts as spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Tokens sent and received.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

/// A call, or an answer that came from the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    /// Its id (UUID v7).
    pub id: String,
    /// When it was over.
    pub at: Timestamp,
    /// The chat.
    pub chat: ChatId,
    /// The unit.
    pub unit: String,
    /// Provider, prompt version and model.
    pub by: ExtractorRef,
    /// Hash of what was asked.
    pub input: String,
    /// How it went.
    pub outcome: CallOutcome,
    /// What it cost.
    pub usage: Usage,
    /// Whether `usage` is an estimate.
    pub is_estimated: bool,
    /// How long it took.
    pub latency_ms: u64,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// It was answered.
    Ok,
    /// Nobody was asked: the answer was there.
    Cached,
    /// Nobody could be reached, or failed.
    Unavailable,
    /// The answer cannot be read.
    Unusable,
    /// The unit was refused.
    Refused,
}

impl CallOutcome {
    /// The name in JSON and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cached => "cached",
            Self::Unavailable => "unavailable",
            Self::Unusable => "unusable",
            Self::Refused => "refused",
        }
    }
}

/// Which calls count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostFilter {
    /// Over at this time or later.
    pub since: Option<Timestamp>,
    /// Over before this time.
    pub until: Option<Timestamp>,
}

/// By what calls are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostBy {
    /// All in one row, under the empty key.
    Total,
    /// The day, as `2026-01-05`.
    Day,
    /// The chat's id.
    Chat,
    /// The provider.
    Provider,
    /// The model.
    Model,
    /// How it went.
    Outcome,
}

impl CostBy {
    /// All of them.
    pub const ALL: [CostBy; 6] = [
        Self::Total,
        Self::Day,
        Self::Chat,
        Self::Provider,
        Self::Model,
        Self::Outcome,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Day => "day",
            Self::Chat => "chat",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Outcome => "outcome",
        }
    }
}

/// Calls summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CostRow {
    /// What they have in common.
    pub key: String,
    /// How many, those answered from the cache too.
    pub calls: u64,
    /// How many were answered from the cache.
    pub cached: u64,
    /// How many had no usable answer.
    pub failed: u64,
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
    /// Milliseconds they took, all together.
    pub latency_ms: u64,
}
