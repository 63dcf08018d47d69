//! Providers, settings of chats, calls, budgets and answers in maps, keys as they are: they are gone with the process.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use telesift_schemas::{ChatId, Timestamp, Usage};

use super::MemoryCatalog;
use crate::{
    catalog::{Error, Result},
    providers::{
        AnswerCache, Budget, BudgetRefusal, BudgetScope, CachedAnswer, CallOutcome, CallRow,
        ChatSetting, ChatSettings, CostBy, CostFilter, CostLedger, CostRow, Limits,
        ProviderCatalog, ProviderRow, Reservation, Spent, day_of,
    },
};

/// Rows of one list of costs.
const MOST_COSTS: usize = 1_000;

#[derive(Default)]
pub(super) struct ProviderTables {
    providers: BTreeMap<String, ProviderRow>,
    settings: BTreeMap<ChatId, ChatSetting>,
    calls: BTreeMap<String, CallRow>,
    /// By day and chat; without a chat: all.
    spent: BTreeMap<(i64, Option<ChatId>), Spent>,
    answers: BTreeMap<String, CachedAnswer>,
    /// Who asks about an input, and until when at most.
    asking: BTreeMap<String, (String, Instant)>,
}

impl ProviderTables {
    /// Puts what was used in the place of what was set aside.
    fn correct(&mut self, reservation: &Reservation, used: Usage) {
        for chat in [None, Some(reservation.chat)] {
            let so_far = self.spent.entry((reservation.day, chat)).or_default();
            let most = reservation.most;
            so_far.tokens = (so_far.tokens + tokens(used)).saturating_sub(tokens(most));
            so_far.micro_usd = (so_far.micro_usd + used.micro_usd).saturating_sub(most.micro_usd);
        }
    }
}

#[async_trait]
impl ProviderCatalog for MemoryCatalog {
    async fn add_provider(&self, provider: &ProviderRow) -> Result<()> {
        let mut tables = self.tables();
        let providers = &mut tables.models.providers;
        if providers.contains_key(&provider.name) {
            return Err(Error::Conflict {
                what: format!("provider/{}", provider.name),
            });
        }
        providers.insert(provider.name.clone(), provider.clone());
        Ok(())
    }

    async fn providers(&self) -> Result<Vec<ProviderRow>> {
        Ok(self.tables().models.providers.values().cloned().collect())
    }

    async fn remove_provider(&self, name: &str) -> Result<bool> {
        Ok(self.tables().models.providers.remove(name).is_some())
    }
}

#[async_trait]
impl ChatSettings for MemoryCatalog {
    async fn chat_setting(&self, chat: ChatId) -> Result<Option<ChatSetting>> {
        Ok(self.tables().models.settings.get(&chat).cloned())
    }

    async fn chat_settings(&self) -> Result<Vec<ChatSetting>> {
        Ok(self.tables().models.settings.values().cloned().collect())
    }

    async fn put_chat_setting(&self, setting: &ChatSetting) -> Result<()> {
        let mut tables = self.tables();
        let settings = &mut tables.models.settings;
        let former = settings.get(&setting.chat).and_then(|s| s.decided);
        let is_late = former
            .zip(setting.decided)
            .is_some_and(|(former, this)| this < former);
        if !is_late {
            settings.insert(setting.chat, setting.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl AnswerCache for MemoryCatalog {
    async fn answer(&self, input: &str) -> Result<Option<CachedAnswer>> {
        Ok(self.tables().models.answers.get(input).cloned())
    }

    async fn keep_answer(&self, answer: &CachedAnswer) -> Result<()> {
        let mut tables = self.tables();
        let answers = &mut tables.models.answers;
        answers
            .entry(answer.input.clone())
            .or_insert_with(|| answer.clone());
        Ok(())
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64> {
        let mut tables = self.tables();
        let answers = &mut tables.models.answers;
        let n = answers.len();
        answers.retain(|_, answer| answer.at >= before);
        Ok((n - answers.len()) as u64)
    }

    async fn begin_asking(&self, input: &str, asker: &str, length: Duration) -> Result<bool> {
        let now = Instant::now();
        let mut tables = self.tables();
        let asking = &mut tables.models.asking;
        asking.retain(|_, (_, until)| *until > now);
        let (by, until) = asking
            .entry(input.to_owned())
            .or_insert_with(|| (asker.to_owned(), now));
        let is_ours = by == asker;
        if is_ours {
            *until = now + length;
        }
        Ok(is_ours)
    }

    async fn end_asking(&self, input: &str, asker: &str) -> Result<()> {
        let mut tables = self.tables();
        let asking = &mut tables.models.asking;
        if asking.get(input).is_some_and(|(by, _)| by == asker) {
            asking.remove(input);
        }
        Ok(())
    }
}

#[async_trait]
impl CostLedger for MemoryCatalog {
    async fn reserve(
        &self,
        reservation: &Reservation,
        limits: &Limits,
    ) -> Result<Option<BudgetRefusal>> {
        let mut tables = self.tables();
        let spent = &mut tables.models.spent;
        let scopes = [
            (None, limits.daily, BudgetScope::Daily),
            (Some(reservation.chat), limits.chat_daily, BudgetScope::Chat),
        ];
        for (chat, limit, scope) in scopes {
            let so_far = spent.get(&(reservation.day, chat)).copied();
            if !fits(so_far.unwrap_or_default(), reservation.most, limit) {
                return Ok(Some(BudgetRefusal { scope }));
            }
        }
        for (chat, ..) in scopes {
            let so_far = spent.entry((reservation.day, chat)).or_default();
            so_far.tokens += tokens(reservation.most);
            so_far.micro_usd += reservation.most.micro_usd;
        }
        Ok(None)
    }

    async fn settle(&self, call: &CallRow, reservation: Option<&Reservation>) -> Result<()> {
        let mut tables = self.tables();
        if tables.models.calls.contains_key(&call.id) {
            return Err(Error::Conflict {
                what: String::new(),
            });
        }
        tables.models.calls.insert(call.id.clone(), call.clone());
        if let Some(reservation) = reservation {
            tables.models.correct(reservation, call.usage);
        }
        Ok(())
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<()> {
        let mut tables = self.tables();
        tables.models.correct(reservation, Usage::default());
        Ok(())
    }

    async fn spent(&self, day: i64, chat: Option<ChatId>) -> Result<Spent> {
        let tables = self.tables();
        let spent = tables.models.spent.get(&(day, chat)).copied();
        Ok(spent.unwrap_or_default())
    }

    async fn costs(&self, filter: &CostFilter, by: CostBy) -> Result<Vec<CostRow>> {
        let tables = self.tables();
        let calls = tables.models.calls.values().filter(|call| {
            filter.since.is_none_or(|since| call.at >= since)
                && filter.until.is_none_or(|until| call.at < until)
        });
        let mut rows: BTreeMap<String, CostRow> = BTreeMap::new();
        for call in calls {
            let key = key(call, by);
            add(rows.entry(key.clone()).or_default(), call, key);
        }
        let mut rows: Vec<CostRow> = rows.into_values().collect();
        rows.sort_by_key(|r| std::cmp::Reverse((r.micro_usd, r.calls)));
        rows.truncate(MOST_COSTS);
        Ok(rows)
    }

    async fn forget_calls(&self, before: Timestamp) -> Result<u64> {
        let mut tables = self.tables();
        let n = tables.models.calls.len();
        tables.models.calls.retain(|_, call| call.at >= before);
        let first = day_of(before);
        tables.models.spent.retain(|(day, _), _| *day >= first);
        Ok((n - tables.models.calls.len()) as u64)
    }
}

fn fits(so_far: Spent, most: Usage, limit: Budget) -> bool {
    let tokens_fit = limit
        .tokens
        .is_none_or(|limit| so_far.tokens == 0 || so_far.tokens + tokens(most) <= limit);
    let money_fits = limit.micro_usd.is_none_or(|limit| {
        so_far.micro_usd == 0 || most.micro_usd == 0 || so_far.micro_usd + most.micro_usd <= limit
    });
    tokens_fit && money_fits
}

fn key(call: &CallRow, by: CostBy) -> String {
    match by {
        CostBy::Total => String::new(),
        CostBy::Day => {
            let start = day_of(call.at) * 86_400;
            let start = telesift_schemas::Timestamp::from_second(start).unwrap_or(call.at);
            start.to_string().chars().take(10).collect()
        }
        CostBy::Chat => call.chat.to_string(),
        CostBy::Provider => call.by.name.clone(),
        CostBy::Model => call.by.model.clone().unwrap_or_default(),
        CostBy::Outcome => call.outcome.as_str().to_owned(),
    }
}

fn add(row: &mut CostRow, call: &CallRow, key: String) {
    let is_cached = call.outcome == CallOutcome::Cached;
    let is_answered = is_cached || call.outcome == CallOutcome::Ok;
    row.key = key;
    row.calls += 1;
    row.cached += u64::from(is_cached);
    row.failed += u64::from(!is_answered);
    row.tokens_in += call.usage.tokens_in;
    row.tokens_out += call.usage.tokens_out;
    row.micro_usd += call.usage.micro_usd;
    row.latency_ms += call.latency_ms;
}

fn tokens(usage: Usage) -> u64 {
    usage.tokens_in + usage.tokens_out
}
