//! Labels on rows: what analysts say goes into the columns filters go by; the record keeps what the screen found.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use futures::TryStreamExt;
use lancedb::{
    Table,
    query::{ExecutableQuery, QueryBase},
};
use telesift_ports::message_store::{Result, VersionLabel};
use telesift_schemas::{Class, Message, MessageKey, Offset};

use crate::{
    error::{Attempt, Fault},
    filter::texts,
    rows::{self, Rows},
    schema::{self, columns as col},
    store::LanceStore,
    write,
};

/// How many labels one commit takes: bounds the rows rewritten at once.
const AT_ONCE: usize = 500;

/// A label as a row holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) class: Option<Class>,
    pub(crate) spam: Option<bool>,
    /// The offset of the latest decision about the version.
    pub(crate) decided: i64,
}

impl Mark {
    fn of(label: &VersionLabel) -> Self {
        Mark {
            class: label.class,
            spam: label.spam,
            decided: i64::try_from(label.decided.0).unwrap_or(i64::MAX),
        }
    }

    /// As the port's type, which knows the rule.
    fn label(&self, message: &Message) -> VersionLabel {
        VersionLabel {
            key: message.id,
            edit: message.edit,
            class: self.class,
            spam: self.spam,
            decided: Offset(self.decided.unsigned_abs()),
        }
    }
}

impl LanceStore {
    pub(crate) async fn write_labels(&self, labels: &[VersionLabel]) -> Result<usize> {
        // Held from reading the rows to writing them: nobody brings an edit or another label in between.
        let _writer = self.writer.lock().await;
        let mut n_set = 0;
        for part in labels.chunks(AT_ONCE) {
            let done = self.write_part(part).await;
            n_set += done.map_err(|fault| self.term.sort(fault))?;
        }
        Ok(n_set)
    }

    async fn write_part(&self, labels: &[VersionLabel]) -> Attempt<usize> {
        let started = SystemTime::now();
        let wanted = latest(labels);
        let snapshot = self.messages.query_snapshot().await?;
        let mut n_set = 0;
        for batch in whole_rows(&snapshot, &wanted).await? {
            if let Some(rows) = relabelled(&batch, &wanted)? {
                n_set += rows.num_rows();
                write::merge(&self.messages, rows).await?;
            }
        }
        if n_set > 0 {
            self.sync(&self.messages, started).await?;
        }
        Ok(n_set)
    }
}

/// By version, the latest of each.
fn latest(labels: &[VersionLabel]) -> HashMap<(MessageKey, i64), Mark> {
    let mut latest: HashMap<(MessageKey, i64), Mark> = HashMap::new();
    for label in labels {
        let mark = Mark::of(label);
        let held = latest.entry((label.key, label.edit)).or_insert(mark);
        if held.decided <= mark.decided {
            *held = mark;
        }
    }
    latest
}

/// The rows of these messages with all their columns.
async fn whole_rows(
    snapshot: &Table,
    wanted: &HashMap<(MessageKey, i64), Mark>,
) -> Attempt<Vec<RecordBatch>> {
    let keys: HashSet<String> = wanted.keys().map(|(key, _)| key.to_string()).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let filter = texts(col::KEY, keys.iter().map(String::as_str));
    let stream = snapshot.query().only_if(filter).execute().await?;
    Ok(stream.try_collect().await?)
}

/// Those of the rows that are to hold another label, with it; `None` if there is none.
fn relabelled(
    batch: &RecordBatch,
    wanted: &HashMap<(MessageKey, i64), Mark>,
) -> Attempt<Option<RecordBatch>> {
    let rows = Rows(batch);
    let (edits, held) = (rows.integers(col::EDIT)?, rows.marks()?);
    let places = rows.keys()?.zip(edits).zip(held);
    let marks: Vec<Option<Mark>> = places
        .map(|((key, edit), held)| {
            let mark = *wanted.get(&(key, *edit))?;
            let is_news = held.is_none_or(|h| h != mark && h.decided <= mark.decided);
            is_news.then_some(mark)
        })
        .collect();
    let changed = BooleanArray::from_iter(marks.iter().map(|m| Some(m.is_some())));
    let batch = arrow::compute::filter_record_batch(batch, &changed).map_err(schema::refused)?;
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    let marks: Vec<Option<Mark>> = marks.into_iter().filter(Option::is_some).collect();
    let rows = Rows(&batch);
    let bodies = rows.texts(col::BODY)?.map(rows::message);
    let messages = bodies.collect::<Attempt<Vec<Message>>>()?;
    let seen = seen(messages.iter(), &marks);
    let [label, spam, decided] = mark_columns(&marks);
    let replaced = [
        (col::CLASS, seen.classes),
        (col::FLAGS, seen.flags),
        (col::LABEL, label),
        (col::LABEL_SPAM, spam),
        (col::LABEL_DECIDED, decided),
    ];
    with_columns(&batch, replaced).map(Some)
}

/// The rows with other values in some columns.
fn with_columns(
    batch: &RecordBatch,
    replaced: impl IntoIterator<Item = (&'static str, ArrayRef)>,
) -> Attempt<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    for (name, column) in replaced {
        let at = batch.schema().index_of(name);
        let at = at.map_err(|_| Fault::Damaged(format!("column `{name}` is missing")))?;
        columns[at] = column;
    }
    RecordBatch::try_new(batch.schema(), columns).map_err(schema::refused)
}

/// The columns filters go by.
pub(crate) struct Seen {
    pub(crate) classes: ArrayRef,
    pub(crate) flags: ArrayRef,
}

/// What filters see of messages with these labels.
pub(crate) fn seen<'a>(
    messages: impl Iterator<Item = &'a Message>,
    marks: &[Option<Mark>],
) -> Seen {
    let mut classes = StringBuilder::new();
    let mut flags = ListBuilder::new(StringBuilder::new());
    for (message, mark) in messages.zip(marks) {
        match (&message.screen, mark) {
            (Some(screen), Some(mark)) => {
                let (class, shown) = mark.label(message).in_place_of(screen);
                classes.append_value(class.as_str());
                flags.append_value(shown.iter().map(Some));
            }
            (Some(screen), None) => {
                classes.append_value(screen.class.as_str());
                flags.append_value(screen.flags.iter().map(Some));
            }
            (None, _) => {
                classes.append_value("");
                flags.append(true);
            }
        }
    }
    Seen {
        classes: Arc::new(classes.finish()),
        flags: Arc::new(flags.finish()),
    }
}

/// The columns of [`schema::labels`].
pub(crate) fn mark_columns(marks: &[Option<Mark>]) -> [ArrayRef; 3] {
    let class = |m: &Option<Mark>| m.and_then(|m| m.class).map(Class::as_str);
    [
        Arc::new(StringArray::from_iter(marks.iter().map(class))),
        Arc::new(BooleanArray::from_iter(
            marks.iter().map(|m| m.and_then(|m| m.spam)),
        )),
        Arc::new(Int64Array::from_iter(
            marks.iter().map(|m| m.map(|m| m.decided)),
        )),
    ]
}

/// The class of that name.
pub(crate) fn class_named(name: &str) -> Option<Class> {
    Class::ALL.into_iter().find(|c| c.as_str() == name)
}
