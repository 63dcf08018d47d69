//! Bots in a map, with their secrets as they are: they are gone with the process.

use async_trait::async_trait;

use super::MemoryCatalog;
use crate::{
    bots::{BotCatalog, BotRow},
    catalog::{Error, Result},
};

#[async_trait]
impl BotCatalog for MemoryCatalog {
    async fn add_bot(&self, bot: &BotRow) -> Result<()> {
        let mut tables = self.tables();
        let is_taken = tables.bots.values().any(|b| b.id == bot.id);
        if is_taken || tables.bots.contains_key(&bot.name) {
            return Err(Error::Conflict {
                what: format!("bot/{}", bot.name),
            });
        }
        tables.bots.insert(bot.name.clone(), bot.clone());
        Ok(())
    }

    async fn bots(&self) -> Result<Vec<BotRow>> {
        Ok(self.tables().bots.values().cloned().collect())
    }

    async fn remove_bot(&self, name: &str) -> Result<bool> {
        Ok(self.tables().bots.remove(name).is_some())
    }
}
