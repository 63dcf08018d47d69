//! The rows of windows in maps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_schemas::{ChatId, Class, MessageKey};
use telesift_windows::{MinuteChange, Sums, Told, changes};

use super::MemoryCatalog;
use crate::{
    catalog::{Error, Result},
    windows::{SumsFilter, SumsRow, ToldFilter, ToldPosition, WindowCatalog, WindowCommit},
};

#[derive(Default)]
pub(super) struct WindowTables {
    told: BTreeMap<MessageKey, Told>,
    /// By minute and chat.
    minutes: BTreeMap<(i64, ChatId), Sums>,
}

impl MemoryCatalog {
    /// Takes in a message as the stage does, without its position: for whoever has messages but no log.
    pub fn tell(&self, message: Told) {
        let mut tables = self.tables();
        let known = tables.windows.told.get(&message.key).cloned();
        let known = known.into_iter().map(|told| (told.key, told)).collect();
        let changed = changes(known, vec![message]);
        tables.windows.store(&changed.told, &changed.minutes);
    }
}

impl WindowTables {
    fn store(&mut self, told: &[Told], minutes: &[MinuteChange]) {
        for told in told {
            self.told.insert(told.key, told.clone());
        }
        for changed in minutes {
            let place = (changed.minute, changed.chat);
            *self.minutes.entry(place).or_default() += &changed.change;
        }
    }
}

#[async_trait]
impl WindowCatalog for MemoryCatalog {
    async fn told(&self, messages: &[MessageKey]) -> Result<Vec<Told>> {
        let tables = self.tables();
        let wanted: std::collections::BTreeSet<_> = messages.iter().collect();
        let found = wanted
            .into_iter()
            .filter_map(|key| tables.windows.told.get(key));
        Ok(found.cloned().collect())
    }

    async fn put_windows(&self, commit: WindowCommit<'_>) -> Result<()> {
        let write = || {
            let mut tables = self.tables();
            self.leases.check(commit.fence)?;
            if tables.stages.get(commit.key).map(|s| s.next) != commit.expected {
                return Err(Error::Conflict {
                    what: commit.key.state_key(),
                });
            }
            tables
                .stages
                .insert(commit.key.clone(), commit.state.clone());
            tables.windows.store(commit.told, commit.minutes);
            Ok(())
        };
        self.commits.play(write).await
    }

    async fn told_between(
        &self,
        filter: &ToldFilter,
        after: Option<&ToldPosition>,
        limit: usize,
    ) -> Result<Vec<Told>> {
        let tables = self.tables();
        let shown = tables.windows.told.values().filter(|told| {
            let counts = told
                .said
                .as_ref()
                .is_some_and(|said| !(filter.without_noise && said.class == Class::Noise));
            counts
                && filter.since.is_none_or(|since| told.event_time >= since)
                && filter.until.is_none_or(|until| told.event_time < until)
                && is_among(filter.chats.as_deref(), told.key.chat)
                && after.is_none_or(|after| ToldPosition::from(*told) > *after)
        });
        let mut shown: Vec<Told> = shown.cloned().collect();
        shown.sort_by_key(|told| ToldPosition::from(told));
        shown.truncate(limit);
        Ok(shown)
    }

    async fn minute_sums(&self, filter: &SumsFilter) -> Result<Vec<SumsRow>> {
        let tables = self.tables();
        let mut rows: BTreeMap<(Option<ChatId>, i64), SumsRow> = BTreeMap::new();
        for ((minute, chat), sums) in &tables.windows.minutes {
            let is_within = filter.from.is_none_or(|from| *minute >= from)
                && filter.to.is_none_or(|to| *minute < to)
                && is_among(filter.chats.as_deref(), *chat);
            if !is_within || sums.messages() == 0 {
                continue;
            }
            let chat = filter.per_chat.then_some(*chat);
            let number = filter.width.map_or(0, |width| minute.div_euclid(width));
            let row = rows.entry((chat, number)).or_insert(SumsRow {
                chat,
                number,
                sums: Sums::default(),
                last_minute: *minute,
            });
            row.sums += sums;
            row.last_minute = row.last_minute.max(*minute);
        }
        Ok(rows.into_values().collect())
    }
}

fn is_among(chats: Option<&[ChatId]>, chat: ChatId) -> bool {
    chats.is_none_or(|chats| chats.contains(&chat))
}
