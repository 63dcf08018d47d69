//! The stories of messages, in one table: a row per message.

mod queries;

use async_trait::async_trait;
use telesift_ports::{
    catalog::{Error, Result},
    story_catalog::{MemberPosition, StoryCatalog, StoryMember, StorySummary},
};
use telesift_schemas::{ChatId, Generation, MessageKey, StoryAssigned, StoryLink};

use crate::{
    SqlCatalog,
    records::{timestamp, unsigned},
    row::{Arg, Row},
};

#[async_trait]
impl StoryCatalog for SqlCatalog {
    async fn add_story_members(&self, of: Generation, members: &[StoryAssigned]) -> Result<()> {
        for chunk in members.chunks(queries::ROWS_PER_INSERT) {
            let Some(last) = chunk.last() else { continue };
            // The statement has a fixed number of rows; a repeated one changes nothing.
            let filling = std::iter::repeat(last);
            let args = chunk
                .iter()
                .chain(filling)
                .take(queries::ROWS_PER_INSERT)
                .flat_map(|member| row(of, member))
                .collect();
            self.database
                .write(&queries::INSERT_MEMBERS, args, String::new)
                .await?;
        }
        Ok(())
    }

    async fn remove_stories(&self, of: Generation) -> Result<()> {
        // Some at a time: each statement is to end within the time of a call.
        while self
            .database
            .write(queries::REMOVE_SOME, vec![number(of)], String::new)
            .await?
            > 0
        {}
        Ok(())
    }

    async fn stories_of(
        &self,
        of: Generation,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, StorySummary)>> {
        if messages.is_empty() || chats.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let asked = messages.iter().flat_map(|key| [key.chat.0, key.message_id]);
        let [keys, _] = list(asked);
        let mut args = vec![keys, count(messages.len())];
        args.extend(allowed(chats));
        args.push(number(of));
        let rows = self.database.read(queries::STORIES_OF, args).await?;
        rows.iter().map(summary).collect()
    }

    async fn story_members(
        &self,
        of: Generation,
        story: &str,
        chats: Option<&[ChatId]>,
        after: Option<&MemberPosition>,
        limit: usize,
    ) -> Result<Vec<StoryMember>> {
        if chats.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let mut args = vec![story.into()];
        args.extend(allowed(chats));
        args.extend([
            after.map(|a| a.event_time).into(),
            Arg::Int(after.map(|a| a.message.chat.0)),
            Arg::Int(after.map(|a| a.message.message_id)),
            count(limit),
            number(of),
        ]);
        let rows = self.database.read(queries::STORY_MEMBERS, args).await?;
        rows.iter().map(member).collect()
    }
}

/// The values of one row of [`queries::INSERT_MEMBERS`].
fn row(of: Generation, member: &StoryAssigned) -> [Arg; queries::COLUMNS] {
    let thousandths = (member.similarity.clamp(0.0, 1.0) * 1_000.0).round() as i64;
    [
        number(of),
        member.message.chat.0.into(),
        member.message.message_id.into(),
        member.story.as_str().into(),
        member.event_time.into(),
        member.how.as_str().into(),
        thousandths.into(),
    ]
}

/// Columns: `chat_id, message_id, story, first_chat_id, first_message_id, size`.
fn summary(row: &Row) -> Result<(MessageKey, StorySummary)> {
    let summary = StorySummary {
        id: row.get(2)?,
        first: key(row, 3)?,
        size: unsigned(row, 5)?,
    };
    Ok((key(row, 0)?, summary))
}

/// Columns: `chat_id, message_id, event_time, how, similarity`.
fn member(row: &Row) -> Result<StoryMember> {
    let how: String = row.get(3)?;
    Ok(StoryMember {
        message: key(row, 0)?,
        event_time: timestamp(row.get(2)?)?,
        how: StoryLink::from_name(&how)
            .ok_or_else(|| Error::Damaged(format!("`{how}` links no message to a story")))?,
        similarity: row.get::<i64>(4)? as f64 / 1_000.0,
    })
}

/// A key in the columns at `index` and after.
fn key(row: &Row, index: usize) -> Result<MessageKey> {
    Ok(MessageKey {
        chat: ChatId(row.get(index)?),
        message_id: row.get(index + 1)?,
    })
}

/// The arguments that narrow to `chats`: `NULL` and 0 for all of them.
fn allowed(chats: Option<&[ChatId]>) -> [Arg; 2] {
    match chats {
        None => [Arg::Text(None), count(0)],
        Some(chats) => list(chats.iter().map(|chat| chat.0)),
    }
}

/// Any number of integers as one text of fixed-width fields, which both databases can cut, and their number.
fn list(numbers: impl Iterator<Item = i64>) -> [Arg; 2] {
    let mut text = String::new();
    let mut n = 0;
    for number in numbers {
        text.push_str(&format!("{number:>width$}", width = queries::FIELD));
        n += 1;
    }
    [text.into(), count(n)]
}

fn number(of: Generation) -> Arg {
    i64::from(of.0).into()
}

fn count(n: usize) -> Arg {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}
