//! Reactions and links between chats in maps.

use async_trait::async_trait;
use telesift_schemas::{ChatId, MessageKey};

use super::MemoryCatalog;
use crate::catalog::{ChatLinks, ReactionCatalog, ReactionRow, Result};

#[async_trait]
impl ReactionCatalog for MemoryCatalog {
    async fn put_reactions(&self, rows: &[ReactionRow]) -> Result<()> {
        let mut tables = self.tables();
        for row in rows {
            let place = (row.message, row.of);
            let held = tables.reactions.get(&place);
            if held.is_none_or(|held| held.rank() <= row.rank()) {
                tables.reactions.insert(place, row.clone());
            }
        }
        Ok(())
    }

    async fn reactions_of(&self, messages: &[MessageKey]) -> Result<Vec<ReactionRow>> {
        let wanted: std::collections::BTreeSet<_> = messages.iter().collect();
        let tables = self.tables();
        let rows = tables.reactions.values();
        Ok(rows
            .filter(|r| wanted.contains(&r.message))
            .cloned()
            .collect())
    }

    async fn has_reactions(&self) -> Result<bool> {
        Ok(!self.tables().reactions.is_empty())
    }
}

#[async_trait]
impl ChatLinks for MemoryCatalog {
    async fn link_chats(&self, from: ChatId, to: ChatId) -> Result<()> {
        self.tables().chat_links.insert(from, to);
        Ok(())
    }

    async fn chat_links(&self) -> Result<Vec<(ChatId, ChatId)>> {
        let tables = self.tables();
        Ok(tables.chat_links.iter().map(|(f, t)| (*f, *t)).collect())
    }
}
