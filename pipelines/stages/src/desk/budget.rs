//! What calls may cost, set aside before they are made: within the budgets, and not for longer than they take.

use std::sync::{Mutex, PoisonError};

use telesift_ports::{
    Provider,
    extractor::{ExtractError, Unit},
    providers::{BudgetScope, Reservation, day_of, next_day},
};
use telesift_schemas::Usage;

use super::{ASKED_ELSEWHERE, ExtractDesk, later, stored};
use crate::telemetry;

/// What is set aside for calls that are not over.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<Vec<Reservation>>);

/// What is set aside for one of them, until it is over.
pub(super) struct SetAside<'a> {
    reservation: Reservation,
    all: &'a UnderWay,
}

impl UnderWay {
    fn begin(&self, reservation: Reservation) -> SetAside<'_> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(reservation);
        SetAside {
            reservation,
            all: self,
        }
    }

    /// What is set aside of the budget that `wanted` would count for: tokens and money.
    fn sum(&self, wanted: &Reservation, scope: BudgetScope) -> (u64, u64) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = all.iter().filter(|r| {
            let is_of_scope = scope == BudgetScope::Daily || r.chat == wanted.chat;
            r.day == wanted.day && is_of_scope
        });
        same.fold((0, 0), |(tokens, money), r| {
            (tokens + tokens_of(r.most), money + r.most.micro_usd)
        })
    }
}

impl SetAside<'_> {
    pub(super) fn reservation(&self) -> &Reservation {
        &self.reservation
    }
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = all.iter().position(|r| *r == self.reservation) {
            all.swap_remove(i);
        }
    }
}

impl ExtractDesk {
    /// Sets aside what a call may cost. `None`: it costs nobody anything.
    pub(super) async fn reserve(
        &self,
        provider: &dyn Provider,
        unit: &Unit,
        most: Usage,
    ) -> Result<Option<SetAside<'_>>, ExtractError> {
        if provider.is_local() {
            return Ok(None);
        }
        let now = self.parts.clock.now();
        let reservation = Reservation {
            day: day_of(now),
            chat: unit.chat.id,
            most,
        };
        let reserved = self.parts.ledger.reserve(&reservation, &self.parts.limits);
        let Some(refused) = stored(reserved.await)? else {
            return Ok(Some(self.under_way.begin(reservation)));
        };
        telemetry::held("budget");
        let budget = refused.scope.as_str();
        Err(match self.may_fit(&reservation, refused.scope).await? {
            true => ExtractError::Held {
                until: later(now, ASKED_ELSEWHERE),
                reason: format!("{budget} is set aside for calls under way"),
            },
            false => ExtractError::Held {
                until: next_day(now),
                reason: format!("{budget} is used up"),
            },
        })
    }

    /// Whether there is room for `wanted` once the calls under way are over: they may cost less than was set aside for them.
    async fn may_fit(
        &self,
        wanted: &Reservation,
        scope: BudgetScope,
    ) -> Result<bool, ExtractError> {
        let (chat, limit) = match scope {
            BudgetScope::Daily => (None, self.parts.limits.daily),
            BudgetScope::Chat => (Some(wanted.chat), self.parts.limits.chat_daily),
        };
        // First: what ends in between is spent, and no longer set aside.
        let (tokens, money) = self.under_way.sum(wanted, scope);
        let spent = stored(self.parts.ledger.spent(wanted.day, chat).await)?;
        let fits = |limit: Option<u64>, spent: u64, aside: u64, most: u64| {
            limit.is_none_or(|limit| spent.saturating_sub(aside) + most <= limit)
        };
        Ok(
            fits(limit.tokens, spent.tokens, tokens, tokens_of(wanted.most))
                && fits(
                    limit.micro_usd,
                    spent.micro_usd,
                    money,
                    wanted.most.micro_usd,
                ),
        )
    }
}

fn tokens_of(usage: Usage) -> u64 {
    usage.tokens_in + usage.tokens_out
}
