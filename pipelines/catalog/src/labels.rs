//! Labels in their table: one row per owner and message version, the latest decision in it.

use std::sync::LazyLock;

use async_trait::async_trait;
use telesift_ports::catalog::{LabelFilter, LabelRow, Labels, Result};
use telesift_schemas::{ChatId, Class, MessageKey, Offset};

use crate::{
    SqlCatalog,
    of_messages::of_messages,
    records::{damaged, timestamp, to_int, unsigned},
    row::{Arg, Row},
};

/// Later decisions win, whatever the order they are stored in.
const PUT_LABEL: &str = "
    INSERT INTO labels (chat_id, message_id, edit, owner, class, spam, decided_at, decided)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (chat_id, message_id, edit, owner) DO UPDATE SET
        class = excluded.class, spam = excluded.spam, decided_at = excluded.decided_at, decided = excluded.decided
    WHERE labels.decided <= excluded.decided";

static LABELS_OF: LazyLock<String> = LazyLock::new(|| {
    of_messages(
        "SELECT chat_id, message_id, edit, owner, class, spam, decided_at, decided FROM labels",
    )
});

/// Narrowed to one message, chat or owner where only one is asked for; the rest of a filter is applied to what comes.
const LABELS: &str = "
    SELECT chat_id, message_id, edit, owner, class, spam, decided_at, decided FROM labels
    WHERE ($1 IS NULL OR decided < $1) AND ($2 IS NULL OR chat_id = $2) AND ($3 IS NULL OR message_id = $3)
        AND ($4 IS NULL OR owner = $4) AND (class IS NOT NULL OR spam IS NOT NULL)
    ORDER BY decided DESC LIMIT $5";

/// Rows read at once while a filter is applied.
const PAGE: usize = 1_000;

const ANY_LABEL: &str = "SELECT chat_id FROM labels LIMIT 1";

#[async_trait]
impl Labels for SqlCatalog {
    async fn put_labels(&self, labels: &[LabelRow]) -> Result<()> {
        for label in labels {
            let args = vec![
                label.message.chat.0.into(),
                label.message.message_id.into(),
                label.edit.into(),
                label.owner.as_str().into(),
                label.class.map(Class::as_str).into(),
                Arg::Int(label.spam.map(i64::from)),
                label.at.into(),
                to_int(label.decided.0)?,
            ];
            self.database.write(PUT_LABEL, args, String::new).await?;
        }
        Ok(())
    }

    async fn labels_of(&self, messages: &[MessageKey]) -> Result<Vec<LabelRow>> {
        self.read_of_messages(&LABELS_OF, messages, label).await
    }

    async fn labels(
        &self,
        filter: &LabelFilter,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<LabelRow>> {
        let (mut found, mut before) = (Vec::new(), before);
        while found.len() < limit {
            let args = page_args(filter, before, PAGE)?;
            let rows = self.database.read(LABELS, args).await?;
            for row in &rows {
                let label = label(row)?;
                before = Some(label.decided);
                if filter.matches(&label) && found.len() < limit {
                    found.push(label);
                }
            }
            if rows.len() < PAGE {
                break;
            }
        }
        Ok(found)
    }

    async fn has_labels(&self) -> Result<bool> {
        Ok(!self.database.read(ANY_LABEL, Vec::new()).await?.is_empty())
    }
}

fn page_args(filter: &LabelFilter, before: Option<Offset>, limit: usize) -> Result<Vec<Arg>> {
    let message = only(&filter.messages);
    let chat = message.map(|m| m.chat).or(only(&filter.chats).copied());
    Ok(vec![
        before.map_or(Ok(Arg::Int(None)), |offset| to_int(offset.0))?,
        Arg::Int(chat.map(|chat| chat.0)),
        Arg::Int(message.map(|m| m.message_id)),
        only(&filter.owners).map(String::as_str).into(),
        to_int(limit as u64)?,
    ])
}

/// The element of a list of one.
fn only<T>(list: &[T]) -> Option<&T> {
    match list {
        [one] => Some(one),
        _ => None,
    }
}

/// Columns: `chat_id, message_id, edit, owner, class, spam, decided_at, decided`.
fn label(row: &Row) -> Result<LabelRow> {
    let class: Option<String> = row.get(4)?;
    Ok(LabelRow {
        message: MessageKey {
            chat: ChatId(row.get(0)?),
            message_id: row.get(1)?,
        },
        edit: row.get(2)?,
        owner: row.get(3)?,
        class: class.as_deref().map(class_named).transpose()?,
        spam: row.get::<Option<i64>>(5)?.map(|spam| spam != 0),
        at: timestamp(row.get(6)?)?,
        decided: Offset(unsigned(row, 7)?),
    })
}

fn class_named(name: &str) -> Result<Class> {
    let found = Class::ALL.into_iter().find(|c| c.as_str() == name);
    found.ok_or_else(|| damaged(format!("no class: `{name}`")))
}
