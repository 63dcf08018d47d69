//! Reactions and links between chats in their tables.

use std::sync::LazyLock;

use async_trait::async_trait;
use telesift_ports::catalog::{ChatLinks, ReactionCatalog, ReactionRow, Result};
use telesift_schemas::{ChatId, MessageKey, Offset, ReactionsOf};

use crate::{
    SqlCatalog,
    of_messages::of_messages,
    records::{json, timestamp, to_int, to_json, unsigned},
    row::Row,
};

/// The later row wins, whatever the order they are stored in.
const PUT_REACTIONS: &str = "
    INSERT INTO reactions (chat_id, message_id, actor, at, raw_offset, reactions)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (chat_id, message_id, actor) DO UPDATE SET
        at = excluded.at, raw_offset = excluded.raw_offset, reactions = excluded.reactions
    WHERE reactions.at < excluded.at OR (reactions.at = excluded.at AND reactions.raw_offset <= excluded.raw_offset)";

static REACTIONS_OF: LazyLock<String> = LazyLock::new(|| {
    of_messages("SELECT chat_id, message_id, actor, at, raw_offset, reactions FROM reactions")
});

const ANY_REACTION: &str = "SELECT chat_id FROM reactions LIMIT 1";

const LINK_CHATS: &str = "
    INSERT INTO chat_links (from_chat, to_chat) VALUES ($1, $2)
    ON CONFLICT (from_chat) DO UPDATE SET to_chat = excluded.to_chat";

const CHAT_LINKS: &str = "SELECT from_chat, to_chat FROM chat_links ORDER BY from_chat";

/// The actor of what everybody does together: no user or chat has this id.
const EVERYBODY: i64 = 0;

#[async_trait]
impl ReactionCatalog for SqlCatalog {
    async fn put_reactions(&self, rows: &[ReactionRow]) -> Result<()> {
        for row in rows {
            let actor = match row.of {
                ReactionsOf::Everybody => EVERYBODY,
                ReactionsOf::Actor(id) => id.0,
            };
            let args = vec![
                row.message.chat.0.into(),
                row.message.message_id.into(),
                actor.into(),
                row.at.into(),
                to_int(row.offset.0)?,
                to_json(&row.reactions)?,
            ];
            self.database
                .write(PUT_REACTIONS, args, String::new)
                .await?;
        }
        Ok(())
    }

    async fn reactions_of(&self, messages: &[MessageKey]) -> Result<Vec<ReactionRow>> {
        self.read_of_messages(&REACTIONS_OF, messages, reaction)
            .await
    }

    async fn has_reactions(&self) -> Result<bool> {
        let any = self.database.read(ANY_REACTION, Vec::new()).await?;
        Ok(!any.is_empty())
    }
}

#[async_trait]
impl ChatLinks for SqlCatalog {
    async fn link_chats(&self, from: ChatId, to: ChatId) -> Result<()> {
        let args = vec![from.0.into(), to.0.into()];
        self.database.write(LINK_CHATS, args, String::new).await?;
        Ok(())
    }

    async fn chat_links(&self) -> Result<Vec<(ChatId, ChatId)>> {
        let rows = self.database.read(CHAT_LINKS, Vec::new()).await?;
        let links = rows.iter();
        links
            .map(|row| Ok((ChatId(row.get(0)?), ChatId(row.get(1)?))))
            .collect()
    }
}

/// Columns: `chat_id, message_id, actor, at, raw_offset, reactions`.
fn reaction(row: &Row) -> Result<ReactionRow> {
    Ok(ReactionRow {
        message: MessageKey {
            chat: ChatId(row.get(0)?),
            message_id: row.get(1)?,
        },
        of: match row.get(2)? {
            EVERYBODY => ReactionsOf::Everybody,
            id => ReactionsOf::Actor(ChatId(id)),
        },
        at: timestamp(row.get(3)?)?,
        offset: Offset(unsigned(row, 4)?),
        reactions: json(&row.get::<String>(5)?)?,
    })
}
