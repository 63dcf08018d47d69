//! The columns of the two tables, and messages turned into rows.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, FixedSizeListBuilder, Float32Builder, Float64Array, Int32Array,
        Int64Array, RecordBatch, StringArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use telesift_ports::{
    embedder::EmbeddingModel,
    message_store::{IndexedMessage, searched_text},
};
use telesift_schemas::{Message, MessageKey};

use crate::{
    error::{Attempt, Fault},
    labels::{Mark, mark_columns, seen},
};

/// Column names. The order of a row's facts is that of [`messages`].
pub(crate) mod columns {
    pub(crate) const KEY: &str = "key";
    pub(crate) const CHAT_ID: &str = "chat_id";
    pub(crate) const MESSAGE_ID: &str = "message_id";
    pub(crate) const EDIT: &str = "edit";
    pub(crate) const ORIGIN_TOPIC: &str = "origin_topic";
    pub(crate) const ORIGIN_PARTITION: &str = "origin_partition";
    pub(crate) const ORIGIN_OFFSET: &str = "origin_offset";
    pub(crate) const EVENT_TIME: &str = "event_time_us";
    pub(crate) const AUTHOR_ID: &str = "author_id";
    pub(crate) const CLASS: &str = "class";
    pub(crate) const SCORE: &str = "score";
    pub(crate) const LANG: &str = "lang";
    pub(crate) const KIND: &str = "kind";
    pub(crate) const FLAGS: &str = "flags";
    pub(crate) const BODY: &str = "body";
    pub(crate) const TERMS: &str = "terms";
    pub(crate) const HAS_VECTOR: &str = "has_vector";
    pub(crate) const VECTOR: &str = "vector";
    /// What analysts say of the version, and which decision said it last. Null: nothing.
    pub(crate) const LABEL: &str = "label";
    pub(crate) const LABEL_SPAM: &str = "label_spam";
    pub(crate) const LABEL_DECIDED: &str = "label_decided";
    /// Of `message_versions` only: key, edit and origin offset.
    pub(crate) const VERSION_ID: &str = "id";
}
use columns as col;

/// Where a table names the model of its vectors.
pub(crate) const MODEL_KEY: &str = "telesift.model";
/// Where a table names the layout of its columns.
pub(crate) const LAYOUT_KEY: &str = "telesift.layout";
/// The layout this version writes and reads.
pub(crate) const LAYOUT: &str = "1";

/// The schema of `messages`: the facts filters need, the record as JSON (`body`), its index terms joined by spaces
/// (`terms`), the vector, if there is a model, and the label. Times are whole microseconds since 1970. `class` and `flags`
/// are what filters go by: the label's where there is one, else the screen's, which stays in `body`.
pub(crate) fn messages(model: Option<&EmbeddingModel>) -> SchemaRef {
    let flag = Arc::new(Field::new("item", DataType::Utf8, true));
    let mut fields = vec![
        Field::new(col::KEY, DataType::Utf8, false),
        Field::new(col::CHAT_ID, DataType::Int64, false),
        Field::new(col::MESSAGE_ID, DataType::Int64, false),
        Field::new(col::EDIT, DataType::Int64, false),
        Field::new(col::ORIGIN_TOPIC, DataType::Utf8, false),
        Field::new(col::ORIGIN_PARTITION, DataType::Int32, false),
        Field::new(col::ORIGIN_OFFSET, DataType::Int64, false),
        Field::new(col::EVENT_TIME, DataType::Int64, false),
        Field::new(col::AUTHOR_ID, DataType::Int64, true),
        Field::new(col::CLASS, DataType::Utf8, false),
        Field::new(col::SCORE, DataType::Float64, false),
        Field::new(col::LANG, DataType::Utf8, false),
        Field::new(col::KIND, DataType::Utf8, false),
        Field::new(col::FLAGS, DataType::List(flag), false),
        Field::new(col::BODY, DataType::Utf8, false),
        Field::new(col::TERMS, DataType::Utf8, false),
        Field::new(col::HAS_VECTOR, DataType::Boolean, false),
    ];
    let mut metadata = HashMap::from([(LAYOUT_KEY.to_owned(), LAYOUT.to_owned())]);
    if let Some(model) = model {
        let float = Arc::new(Field::new("item", DataType::Float32, true));
        let vector = DataType::FixedSizeList(float, dimensions(model));
        fields.push(Field::new(col::VECTOR, vector, true));
        metadata.insert(MODEL_KEY.to_owned(), model_name(model));
    }
    fields.extend(labels());
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The columns of labels: the last ones, because tables made before there were labels get them added.
pub(crate) fn labels() -> Vec<Field> {
    vec![
        Field::new(col::LABEL, DataType::Utf8, true),
        Field::new(col::LABEL_SPAM, DataType::Boolean, true),
        Field::new(col::LABEL_DECIDED, DataType::Int64, true),
    ]
}

/// The schema of `message_versions`.
pub(crate) fn versions() -> SchemaRef {
    let fields = vec![
        Field::new(col::VERSION_ID, DataType::Utf8, false),
        Field::new(col::KEY, DataType::Utf8, false),
        Field::new(col::EDIT, DataType::Int64, false),
        Field::new(col::ORIGIN_OFFSET, DataType::Int64, false),
        Field::new(col::BODY, DataType::Utf8, false),
    ];
    let metadata = HashMap::from([(LAYOUT_KEY.to_owned(), LAYOUT.to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// How a table names a model.
pub(crate) fn model_name(model: &EmbeddingModel) -> String {
    model.name()
}

fn dimensions(model: &EmbeddingModel) -> i32 {
    i32::try_from(model.dimensions).unwrap_or(i32::MAX)
}

/// An offset as a column holds it.
pub(crate) fn offset_column(message: &Message) -> i64 {
    let offset = message.origin.as_ref().map_or(0, |o| o.offset.0);
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// A version superseded: one row of `message_versions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) key: MessageKey,
    pub(crate) edit: i64,
    pub(crate) origin_offset: i64,
    pub(crate) body: String,
}

impl VersionRow {
    pub(crate) fn of(message: &Message) -> Attempt<Self> {
        Ok(VersionRow {
            key: message.id,
            edit: message.version().0,
            origin_offset: offset_column(message),
            body: body(message)?,
        })
    }

    /// The same for the same version, so that writing it twice can be told.
    pub(crate) fn id(&self) -> String {
        format!("{}#{}#{}", self.key, self.edit, self.origin_offset)
    }
}

/// The record as it stands in the table.
fn body(message: &Message) -> Attempt<String> {
    serde_json::to_string(message).map_err(|_| Fault::Refused("no JSON".to_owned()))
}

/// Rows of `message_versions`.
pub(crate) fn version_rows(rows: &[VersionRow]) -> Attempt<RecordBatch> {
    let text = |f: fn(&VersionRow) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(f)))
    };
    let number = |f: fn(&VersionRow) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(f)))
    };
    let columns: Vec<ArrayRef> = vec![
        text(VersionRow::id),
        text(|r| r.key.to_string()),
        number(|r| r.edit),
        number(|r| r.origin_offset),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.body))),
    ];
    RecordBatch::try_new(versions(), columns).map_err(refused)
}

/// Rows of `messages`. All messages must have passed [`IndexedMessage::validate`]; `labels` are those of them that have
/// one.
pub(crate) fn message_rows(
    model: Option<&EmbeddingModel>,
    messages: &[IndexedMessage],
    labels: &HashMap<MessageKey, Mark>,
) -> Attempt<RecordBatch> {
    let all = || messages.iter().map(|i| &i.message);
    let marks: Vec<Option<Mark>> = all().map(|m| labels.get(&m.id).copied()).collect();
    let seen = seen(all(), &marks);
    let bodies: Vec<String> = all().map(body).collect::<Attempt<_>>()?;
    let number = |f: fn(&Message) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(all().map(f)))
    };
    let text = |f: fn(&Message) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(all().map(f)))
    };
    let partition = |m: &Message| m.origin.as_ref().map_or(0, |o| o.partition.0.cast_signed());
    let score = |m: &Message| m.screen.as_ref().map_or(0.0, |s| s.score);
    let has_vector: Vec<bool> = messages.iter().map(|i| direction(i).is_some()).collect();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            all().map(|m| m.id.to_string()),
        )),
        number(|m| m.chat.id.0),
        number(|m| m.message_id),
        // Tombstones come after every edit.
        number(|m| m.version().0),
        text(|m| m.origin.as_ref().map_or("", |o| o.topic.as_str())),
        Arc::new(Int32Array::from_iter_values(all().map(partition))),
        number(offset_column),
        number(|m| m.event_time.as_microsecond()),
        Arc::new(Int64Array::from_iter(
            all().map(|m| m.author.as_ref().map(|a| a.id.0)),
        )),
        seen.classes,
        Arc::new(Float64Array::from_iter_values(all().map(score))),
        text(|m| &m.lang),
        text(|m| m.kind.as_str()),
        seen.flags,
        Arc::new(StringArray::from_iter_values(bodies)),
        Arc::new(StringArray::from_iter_values(all().map(terms))),
        Arc::new(BooleanArray::from(has_vector)),
    ];
    if let Some(model) = model {
        columns.push(vectors(model, messages));
    }
    columns.extend(mark_columns(&marks));
    RecordBatch::try_new(self::messages(model), columns).map_err(refused)
}

/// What the text index sees: our own analysis, so that query and index cannot drift apart.
fn terms(message: &Message) -> String {
    telesift_text::terms(&searched_text(message)).join(" ")
}

/// The vector, where it points anywhere: a text without a word has a vector of zeros, which no cosine is defined for.
pub(crate) fn direction(indexed: &IndexedMessage) -> Option<&[f32]> {
    let vector = indexed.vector.as_deref()?;
    vector.iter().any(|x| *x != 0.0).then_some(vector)
}

fn vectors(model: &EmbeddingModel, messages: &[IndexedMessage]) -> ArrayRef {
    let floats = Float32Builder::with_capacity(messages.len() * model.dimensions);
    let mut lists = FixedSizeListBuilder::new(floats, dimensions(model));
    for indexed in messages {
        match direction(indexed) {
            Some(vector) => lists.values().append_slice(vector),
            None => lists.values().append_nulls(model.dimensions),
        }
        lists.append(direction(indexed).is_some());
    }
    Arc::new(lists.finish())
}

pub(crate) fn refused(_: arrow::error::ArrowError) -> Fault {
    Fault::Refused("the rows do not fit the columns".to_owned())
}
