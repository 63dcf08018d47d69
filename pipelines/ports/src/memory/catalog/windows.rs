//! The rows of windows in maps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_schemas::{ChatId, Class, Generation, MessageKey};
use telesift_windows::{MinuteChange, Sums, Told, changes};

use super::MemoryCatalog;
use crate::{
    catalog::{Error, Result},
    windows::{SumsFilter, SumsRow, ToldFilter, ToldPosition, WindowCatalog, WindowCommit},
};

#[derive(Default)]
pub(super) struct WindowTables(BTreeMap<Generation, Rows>);

/// The rows of one generation.
#[derive(Default)]
struct Rows {
    told: BTreeMap<MessageKey, Told>,
    /// By minute and chat.
    minutes: BTreeMap<(i64, ChatId), Sums>,
}

impl MemoryCatalog {
    /// Takes in a message as the stage of a generation does, without its position: for whoever has messages but no log.
    pub fn tell(&self, of: Generation, message: Told) {
        let mut tables = self.tables();
        let rows = tables.windows.0.entry(of).or_default();
        let known = rows.told.get(&message.key).cloned();
        let known = known.into_iter().map(|told| (told.key, told)).collect();
        let changed = changes(known, vec![message]);
        rows.store(&changed.told, &changed.minutes);
    }
}

impl WindowTables {
    fn of(&self, generation: Generation) -> &Rows {
        static NONE: Rows = Rows {
            told: BTreeMap::new(),
            minutes: BTreeMap::new(),
        };
        self.0.get(&generation).unwrap_or(&NONE)
    }
}

impl Rows {
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
    async fn told(&self, of: Generation, messages: &[MessageKey]) -> Result<Vec<Told>> {
        let tables = self.tables();
        let wanted: std::collections::BTreeSet<_> = messages.iter().collect();
        let found = wanted
            .into_iter()
            .filter_map(|key| tables.windows.of(of).told.get(key));
        Ok(found.cloned().collect())
    }

    async fn newest_told(&self, of: Generation, chats: &[ChatId]) -> Result<Vec<MessageKey>> {
        let tables = self.tables();
        let told = &tables.windows.of(of).told;
        let newest = |chat: &ChatId| {
            let all = |message_id| MessageKey {
                chat: *chat,
                message_id,
            };
            let of_chat = told.range(all(i64::MIN)..=all(i64::MAX));
            of_chat.map(|(key, _)| *key).next_back()
        };
        Ok(chats.iter().filter_map(newest).collect())
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
            let rows = tables.windows.0.entry(commit.generation).or_default();
            rows.store(commit.told, commit.minutes);
            Ok(())
        };
        self.commits.play(write).await
    }

    async fn told_between(
        &self,
        of: Generation,
        filter: &ToldFilter,
        after: Option<&ToldPosition>,
        limit: usize,
    ) -> Result<Vec<Told>> {
        let tables = self.tables();
        let shown = tables.windows.of(of).told.values().filter(|told| {
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

    async fn minute_sums(&self, of: Generation, filter: &SumsFilter) -> Result<Vec<SumsRow>> {
        let tables = self.tables();
        let mut rows: BTreeMap<(Option<ChatId>, i64), SumsRow> = BTreeMap::new();
        for ((minute, chat), sums) in &tables.windows.of(of).minutes {
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

    async fn remove_windows(&self, of: Generation) -> Result<()> {
        self.tables().windows.0.remove(&of);
        Ok(())
    }
}

fn is_among(chats: Option<&[ChatId]>, chat: ChatId) -> bool {
    chats.is_none_or(|chats| chats.contains(&chat))
}
