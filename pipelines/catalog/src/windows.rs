//! The rows of windows, in two tables: a row per message, and the sums of each chat and minute.

mod queries;

use async_trait::async_trait;
use telesift_ports::{
    catalog::{Error, Result},
    windows::{SumsFilter, SumsRow, ToldFilter, ToldPosition, WindowCatalog, WindowCommit},
};
use telesift_schemas::{ChatId, Class, Generation, MessageKey, Timestamp};
use telesift_windows::{MinuteChange, Said, Sums, Told};

use crate::{
    SqlCatalog,
    bundle::{CHUNKS, push},
    leases, move_stage,
    records::{timestamp, to_int, unsigned},
    row::{Arg, Row},
    stories::{allowed, count, list},
};

/// Chats of one look-up: each is cut out of one text, which SQLite counts through from its beginning.
const LOOK_UP: usize = 128;
/// The class of a deleted message.
const GONE: i64 = -1;
/// As many minutes as there will ever be, in one sum.
const ALL_MINUTES: i64 = 1 << 40;

#[async_trait]
impl WindowCatalog for SqlCatalog {
    async fn told(&self, of: Generation, messages: &[MessageKey]) -> Result<Vec<Told>> {
        let (mut found, mut rest) = (Vec::new(), messages);
        for (size, sql) in CHUNKS.into_iter().zip(&*queries::MESSAGES_OF) {
            while rest.len() >= size {
                let (chunk, after) = rest.split_at(size);
                let keys = chunk.iter().flat_map(|key| [key.chat.0, key.message_id]);
                let args = keys.chain([i64::from(of.0)]).map(Arg::from).collect();
                for row in &self.database.read(sql, args).await? {
                    found.push(told(row)?);
                }
                rest = after;
            }
        }
        Ok(found)
    }

    async fn newest_told(&self, of: Generation, chats: &[ChatId]) -> Result<Vec<MessageKey>> {
        let mut found = Vec::new();
        for chunk in chats.chunks(LOOK_UP) {
            let [asked, n] = list(chunk.iter().map(|chat| chat.0));
            let args = vec![asked, n, i64::from(of.0).into()];
            for row in &self.database.read(queries::NEWEST_OF, args).await? {
                found.push(MessageKey {
                    chat: ChatId(row.get(0)?),
                    message_id: row.get(1)?,
                });
            }
        }
        Ok(found)
    }

    async fn put_windows(&self, commit: WindowCommit<'_>) -> Result<()> {
        // First, so that nothing is written for one who is not where he thinks.
        let moved = move_stage(commit.key, commit.expected, commit.state, commit.fence)?;
        let mut statements = vec![moved];
        push(
            &mut statements,
            commit.told,
            &queries::PUT_MESSAGES,
            |told| message_args(commit.generation, told),
        )?;
        push(
            &mut statements,
            commit.minutes,
            &queries::ADD_MINUTES,
            |m| Ok(minute_args(commit.generation, m)),
        )?;
        match self.database.change(statements).await? {
            None => Ok(()),
            Some(_) => Err(leases::refusal(self, commit.fence, commit.key.state_key()).await),
        }
    }

    async fn told_between(
        &self,
        of: Generation,
        filter: &ToldFilter,
        after: Option<&ToldPosition>,
        limit: usize,
    ) -> Result<Vec<Told>> {
        if filter.chats.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut args = Vec::from(allowed(filter.chats.as_deref()));
        let least = if filter.without_noise {
            Class::WeakSignal
        } else {
            Class::Noise
        };
        // What comes after a place is not sent before it: the index begins there.
        let since = filter.since.max(after.map(|a| a.event_time));
        let us = |at: Option<Timestamp>, or: i64| at.map_or(or, Timestamp::as_microsecond);
        args.extend([
            us(since, i64::MIN).into(),
            us(filter.until, i64::MAX).into(),
            (least as i64).into(),
        ]);
        args.extend([
            after.map(|a| a.event_time).into(),
            Arg::Int(after.map(|a| a.message.chat.0)),
            Arg::Int(after.map(|a| a.message.message_id)),
            count(limit),
            i64::from(of.0).into(),
        ]);
        let rows = self.database.read(queries::MESSAGES_BETWEEN, args).await?;
        rows.iter().map(told).collect()
    }

    async fn minute_sums(&self, of: Generation, filter: &SumsFilter) -> Result<Vec<SumsRow>> {
        if filter.chats.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut args = Vec::from(allowed(filter.chats.as_deref()));
        let width = filter.width.unwrap_or(ALL_MINUTES).max(1);
        args.extend([
            filter.from.unwrap_or(i64::MIN).into(),
            filter.to.unwrap_or(i64::MAX).into(),
            width.into(),
            i64::from(of.0).into(),
        ]);
        let sql = match filter.per_chat {
            true => &queries::SUMS_PER_CHAT,
            false => &queries::SUMS_OF_ALL,
        };
        let rows = self.database.read(sql, args).await?;
        rows.iter().map(sums_row).collect()
    }

    async fn remove_windows(&self, of: Generation) -> Result<()> {
        for sql in queries::REMOVE {
            let args = vec![i64::from(of.0).into()];
            self.database.write(sql, args, String::new).await?;
        }
        Ok(())
    }
}

fn message_args(of: Generation, told: &Told) -> Result<[Arg; 12]> {
    let said = told.said.as_ref();
    Ok([
        i64::from(of.0).into(),
        told.key.chat.0.into(),
        told.key.message_id.into(),
        told.version.0.into(),
        to_int(told.version.1)?,
        told.event_time.into(),
        said.map_or(GONE, |s| s.class as i64).into(),
        said.map_or(0, |s| i64::from(s.score_millionths)).into(),
        said.map_or(0, |s| i64::from(s.flags)).into(),
        said.map_or("", |s| s.terms.as_str()).into(),
        said.map_or("", |s| s.links.as_str()).into(),
        said.map_or("", |s| s.words.as_str()).into(),
    ])
}

fn minute_args(of: Generation, changed: &MinuteChange) -> [Arg; 13] {
    let sums = &changed.change;
    let [noise, weak_signal, signal] = sums.classes;
    let [
        spam,
        service,
        edited,
        forwarded,
        auto_forward,
        time_uncertain,
    ] = sums.flags;
    [
        i64::from(of.0),
        changed.minute,
        changed.chat.0,
        noise,
        weak_signal,
        signal,
        sums.score_millionths,
        spam,
        service,
        edited,
        forwarded,
        auto_forward,
        time_uncertain,
    ]
    .map(Arg::from)
}

/// Columns as in `window_messages`.
fn told(row: &Row) -> Result<Told> {
    let class: i64 = row.get(5)?;
    let class = usize::try_from(class).ok().map(|i| {
        let unknown = || Error::Damaged(format!("{class} is no class"));
        Class::ALL.get(i).copied().ok_or_else(unknown)
    });
    let said = class.transpose()?.map(|class| -> Result<Said> {
        Ok(Said {
            class,
            score_millionths: u32::try_from(row.get::<i64>(6)?).unwrap_or(u32::MAX),
            flags: u8::try_from(row.get::<i64>(7)?).unwrap_or(u8::MAX),
            terms: row.get(8)?,
            links: row.get(9)?,
            words: row.get(10)?,
        })
    });
    Ok(Told {
        key: MessageKey {
            chat: ChatId(row.get(0)?),
            message_id: row.get(1)?,
        },
        version: (row.get(2)?, unsigned(row, 3)?),
        event_time: timestamp(row.get(4)?)?,
        said: said.transpose()?,
    })
}

/// Columns: `chat_id`, number, the sums as in `window_minutes`, the last minute.
fn sums_row(row: &Row) -> Result<SumsRow> {
    let mut sums = Sums {
        score_millionths: row.get(5)?,
        ..Sums::default()
    };
    for (i, n) in sums.classes.iter_mut().enumerate() {
        *n = row.get(2 + i)?;
    }
    for (i, n) in sums.flags.iter_mut().enumerate() {
        *n = row.get(6 + i)?;
    }
    Ok(SumsRow {
        chat: row.get::<Option<i64>>(0)?.map(ChatId),
        number: row.get(1)?,
        sums,
        last_minute: row.get(12)?,
    })
}
