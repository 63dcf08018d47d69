//! Lists of what is known, as far as a reader may see it.

use std::collections::BTreeSet;

use telesift_ports::{
    catalog::Result,
    knowledge::{AtomFilter, AtomPosition, StoredAtom, SubjectPosition, SubjectSummary},
};
use telesift_schemas::{ChatId, MessageKey, SubjectRef};

use super::{atoms::stored, queries};
use crate::{
    SqlCatalog,
    records::{timestamp, unsigned},
    row::{Arg, Row},
    stories::{allowed, count, key, list},
};

/// Rows read at once while a filter is applied, at most.
const PAGE: usize = 500;

impl SqlCatalog {
    pub(super) async fn list_atoms(
        &self,
        filter: &AtomFilter,
        after: Option<&AtomPosition>,
        limit: usize,
    ) -> Result<Vec<StoredAtom>> {
        let (mut found, mut after) = (Vec::new(), after.cloned());
        let mut page = limit.clamp(50, PAGE);
        while found.len() < limit {
            let args = page_args(filter, after.as_ref(), page);
            let rows = self.database.read(queries::ATOMS, args).await?;
            for row in &rows {
                let stored = stored(row)?;
                after = Some(AtomPosition::from(&stored));
                if filter.matches(&stored) && found.len() < limit {
                    found.push(stored);
                }
            }
            if rows.len() < page {
                break;
            }
            // Where few pass, more are looked through at once.
            page = (page * 2).min(PAGE);
        }
        Ok(found)
    }

    pub(super) async fn list_subjects(
        &self,
        chats: Option<&[ChatId]>,
        after: Option<&SubjectPosition>,
        limit: usize,
    ) -> Result<Vec<SubjectSummary>> {
        if chats.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let mut args: Vec<Arg> = allowed(chats).into();
        args.extend([
            after.map(|a| a.sort.as_str()).into(),
            after.map(|a| a.id.as_str()).into(),
            count(limit),
        ]);
        let rows = self
            .database
            .read(queries::SUBJECTS_WITH_ATOMS, args)
            .await?;
        let summary = |row: &Row| {
            Ok(SubjectSummary {
                id: row.get(0)?,
                name: row.get(1)?,
                n_atoms: unsigned(row, 2)?,
                last_at: timestamp(row.get(3)?)?,
            })
        };
        rows.iter().map(summary).collect()
    }

    pub(super) async fn subjects_of_messages(
        &self,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, SubjectRef)>> {
        if messages.is_empty() || chats.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let asked = messages.iter().flat_map(|key| [key.chat.0, key.message_id]);
        let [keys, _] = list(asked);
        let mut args = vec![keys, count(messages.len())];
        args.extend(allowed(chats));
        let rows = self.database.read(queries::SUBJECTS_OF, args).await?;
        let pair = |row: &Row| {
            let subject = SubjectRef {
                id: row.get(2)?,
                name: row.get(3)?,
            };
            Ok((key(row, 0)?, subject))
        };
        rows.iter().map(pair).collect()
    }

    pub(super) async fn list_messages_on(
        &self,
        subjects: &[String],
        chats: Option<&[ChatId]>,
        limit: usize,
    ) -> Result<Vec<MessageKey>> {
        if chats.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let mut found: Vec<(i64, MessageKey)> = Vec::new();
        for subject in subjects {
            let mut args: Vec<Arg> = allowed(chats).into();
            args.extend([subject.as_str().into(), count(limit)]);
            for row in &self.database.read(queries::MESSAGES_ON, args).await? {
                found.push((row.get(2)?, key(row, 0)?));
            }
        }
        found.sort_by_key(|(at, message)| (std::cmp::Reverse(*at), *message));
        let mut seen = BTreeSet::new();
        let distinct = found.into_iter().filter(|(_, m)| seen.insert(*m));
        Ok(distinct.map(|(_, m)| m).take(limit).collect())
    }
}

fn page_args(filter: &AtomFilter, after: Option<&AtomPosition>, page: usize) -> Vec<Arg> {
    vec![
        after.map(|a| a.first_at).into(),
        after.map(|a| a.id.as_str()).into(),
        only(&filter.kinds).map(|k| k.as_str()).into(),
        only(&filter.statuses).map(|s| s.as_str()).into(),
        only(&filter.subjects).map(String::as_str).into(),
        Arg::Int(only(&filter.chats).map(|c| c.0)),
        count(page),
        i64::from(filter.statuses.is_empty()).into(),
    ]
}

/// The element of a list of one.
fn only<T>(list: &[T]) -> Option<&T> {
    match list {
        [one] => Some(one),
        _ => None,
    }
}
