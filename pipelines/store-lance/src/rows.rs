//! Rows back into messages and numbers.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Float32Type, Int64Type, UInt64Type},
};
use futures::{Stream, TryStreamExt};
use lancedb::{
    Table,
    query::{ExecutableQuery, QueryBase, Select},
};
use std::collections::HashMap;
use telesift_schemas::{ChatId, Message, MessageKey, Timestamp};

use crate::{
    error::{Attempt, Fault},
    filter::Predicate,
    labels::{Mark, class_named},
    schema::columns as col,
};

/// Lance's name for the id of a row within one snapshot.
pub(crate) const ROW_ID: &str = "_rowid";

/// How many bodies to take at once: bounds the memory for JSON beside the messages made of it.
const TAKE: usize = 2_048;

/// The columns of one batch, by name and type.
pub(crate) struct Rows<'a>(pub(crate) &'a RecordBatch);

impl Rows<'_> {
    fn column(&self, name: &str) -> Attempt<&dyn Array> {
        let column = self.0.column_by_name(name);
        column
            .map(|c| c.as_ref())
            .ok_or_else(|| Fault::Damaged(format!("column `{name}` is missing")))
    }

    /// A column of 64-bit integers without nulls.
    pub(crate) fn integers(&self, name: &str) -> Attempt<&[i64]> {
        let column = self.column(name)?.as_primitive_opt::<Int64Type>();
        column
            .map(|c| &c.values()[..])
            .ok_or_else(|| wrong_type(name))
    }

    /// Row ids.
    pub(crate) fn row_ids(&self) -> Attempt<&[u64]> {
        let column = self.column(ROW_ID)?.as_primitive_opt::<UInt64Type>();
        column
            .map(|c| &c.values()[..])
            .ok_or_else(|| wrong_type(ROW_ID))
    }

    /// A column of floats without nulls.
    pub(crate) fn floats(&self, name: &str) -> Attempt<&[f32]> {
        let column = self.column(name)?.as_primitive_opt::<Float32Type>();
        column
            .map(|c| &c.values()[..])
            .ok_or_else(|| wrong_type(name))
    }

    /// A column of truth values.
    pub(crate) fn truths(&self, name: &str) -> Attempt<Vec<bool>> {
        let column = self.column(name)?.as_boolean_opt();
        let column = column.ok_or_else(|| wrong_type(name))?;
        Ok(column.iter().map(|b| b == Some(true)).collect())
    }

    /// A column of texts without nulls.
    pub(crate) fn texts(&self, name: &str) -> Attempt<impl Iterator<Item = &str>> {
        let column = self.column(name)?.as_string_opt::<i32>();
        let column = column.ok_or_else(|| wrong_type(name))?;
        Ok(column.iter().map(|t| t.unwrap_or("")))
    }

    /// The vectors of rows of `messages`.
    fn vectors(&self) -> Attempt<Vec<Option<Vec<f32>>>> {
        let lists = self.column(col::VECTOR)?.as_fixed_size_list_opt();
        let lists = lists.ok_or_else(|| wrong_type(col::VECTOR))?;
        let vectors = lists.iter().map(|list| {
            let list = list?;
            let floats = list.as_primitive_opt::<Float32Type>()?;
            Some(floats.values().to_vec())
        });
        Ok(vectors.collect())
    }

    /// What rows of `messages` say of labels.
    pub(crate) fn marks(&self) -> Attempt<Vec<Option<Mark>>> {
        let classes = self.column(col::LABEL)?.as_string_opt::<i32>();
        let classes = classes.ok_or_else(|| wrong_type(col::LABEL))?;
        let spam = self.column(col::LABEL_SPAM)?.as_boolean_opt();
        let spam = spam.ok_or_else(|| wrong_type(col::LABEL_SPAM))?;
        let decided = self.column(col::LABEL_DECIDED)?;
        let decided = decided.as_primitive_opt::<Int64Type>();
        let decided = decided.ok_or_else(|| wrong_type(col::LABEL_DECIDED))?;
        let marks = classes.iter().zip(spam).zip(decided);
        Ok(marks
            .map(|((class, spam), decided)| {
                Some(Mark {
                    class: class.and_then(class_named),
                    spam,
                    decided: decided?,
                })
            })
            .collect())
    }

    /// The keys of rows of `messages`.
    pub(crate) fn keys(&self) -> Attempt<impl Iterator<Item = MessageKey>> {
        let chats = self.integers(col::CHAT_ID)?.iter();
        let ids = self.integers(col::MESSAGE_ID)?.iter();
        Ok(chats.zip(ids).map(|(chat, message_id)| MessageKey {
            chat: ChatId(*chat),
            message_id: *message_id,
        }))
    }
}

fn wrong_type(name: &str) -> Fault {
    Fault::Damaged(format!("column `{name}` has another type"))
}

/// A body back into the record.
pub(crate) fn message(body: &str) -> Attempt<Message> {
    serde_json::from_str(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Fault::Damaged(format!("a record cannot be read at {line}:{column}"))
    })
}

/// Microseconds as a column holds them.
pub(crate) fn time(micros: i64) -> Timestamp {
    let limit = |t: Timestamp| t.as_microsecond();
    let micros = micros.clamp(limit(Timestamp::MIN), limit(Timestamp::MAX));
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Goes through `columns` (and row ids) of the rows that pass.
pub(crate) async fn scan(
    snapshot: &Table,
    predicate: &Predicate,
    columns: &[&str],
) -> Attempt<impl Stream<Item = Result<RecordBatch, Fault>> + use<>> {
    let mut query = snapshot
        .query()
        .select(Select::columns(columns))
        .with_row_id();
    if let Some(sql) = predicate.sql() {
        query = query.only_if(sql);
    }
    let stream = query.execute().await?;
    Ok(stream.map_err(Fault::from))
}

/// The messages of some rows of a snapshot, in the order asked for.
pub(crate) async fn take_messages(snapshot: &Table, row_ids: &[u64]) -> Attempt<Vec<Message>> {
    let mut taken = Vec::with_capacity(row_ids.len());
    for part in row_ids.chunks(TAKE) {
        let bodies = take_bodies(snapshot, part).await?;
        for row_id in part {
            let body = bodies.get(row_id);
            let body = body.ok_or_else(|| Fault::Damaged("a row is missing".to_owned()))?;
            taken.push(message(body)?);
        }
    }
    Ok(taken)
}

/// The vectors of some rows of a snapshot; those without one are left out.
pub(crate) async fn take_vectors(
    snapshot: &Table,
    row_ids: &[u64],
) -> Attempt<HashMap<u64, Vec<f32>>> {
    let mut taken = HashMap::with_capacity(row_ids.len());
    for part in row_ids.chunks(TAKE) {
        let query = snapshot
            .take_row_ids(part.to_vec())
            .select(Select::columns(&[col::VECTOR]))
            .with_row_id();
        let mut stream = query.execute().await?;
        while let Some(batch) = stream.try_next().await? {
            let rows = Rows(&batch);
            taken.extend(
                rows.row_ids()?
                    .iter()
                    .copied()
                    .zip(rows.vectors()?)
                    .filter_map(|(row, vector)| Some((row, vector?))),
            );
        }
    }
    Ok(taken)
}

/// The bodies of some rows of a snapshot.
pub(crate) async fn take_bodies(
    snapshot: &Table,
    row_ids: &[u64],
) -> Attempt<HashMap<u64, String>> {
    let mut bodies = HashMap::with_capacity(row_ids.len());
    if row_ids.is_empty() {
        return Ok(bodies);
    }
    let query = snapshot
        .take_row_ids(row_ids.to_vec())
        .select(Select::columns(&[col::BODY]))
        .with_row_id();
    let mut stream = query.execute().await?;
    while let Some(batch) = stream.try_next().await? {
        let rows = Rows(&batch);
        let ids = rows.row_ids()?.iter().copied();
        bodies.extend(ids.zip(rows.texts(col::BODY)?.map(str::to_owned)));
    }
    Ok(bodies)
}
