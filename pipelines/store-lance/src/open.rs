//! Opening: the connection with its memory limits, the tables, and whose vectors they hold.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use arrow::datatypes::{Field, Schema, SchemaRef};
use lance::dataset::ReadParams;
use lance_table::io::commit::{CommitHandler, commit_handler_from_url};
use lancedb::{
    Connection, ObjectStoreRegistry, Session, Table,
    index::{
        Index,
        scalar::{BTreeIndexBuilder, BitmapIndexBuilder, FtsIndexBuilder, LabelListIndexBuilder},
    },
    table::NewColumnTransform,
};
use telesift_ports::message_store::{Error, Result};

use crate::{
    config::LanceStoreConfig,
    error::{Attempt, Fault},
    probe,
    schema::{self, columns as col},
    store::LanceStore,
    telemetry,
    term::{CurrentTerm, TermedCommits},
    write::Writer,
};

impl LanceStore {
    /// Opens the store, making its tables where they are missing.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`] if the tables hold vectors of another model, or were made without one while the
    /// configuration names one; [`Error::Damaged`] if another version of telesift laid them out; [`Error::Unsuitable`] if
    /// an object store ignores conditional writes; [`Error::Unavailable`] if the storage cannot be reached.
    pub async fn open(config: LanceStoreConfig) -> Result<Self> {
        telemetry::describe();
        if local_folder(&config.uri).is_none() {
            probe::check_conditional_put(&config).await?;
        }
        let connection = connect(&config).await?;
        let term = Arc::<CurrentTerm>::default();
        let tables = open_tables(&connection, &config, &term);
        let (messages, versions) = tables.await?;
        Ok(LanceStore {
            folder: local_folder(&config.uri),
            config,
            messages,
            versions,
            term,
            writer: tokio::sync::Mutex::new(Writer::default()),
            maintenance: tokio::sync::Mutex::default(),
            n_rows_seen: AtomicUsize::new(0),
            chats: std::sync::Mutex::default(),
            span: std::sync::Mutex::default(),
        })
    }
}

/// The tables of a store in its generation: current versions, and what they replaced.
fn table_names(config: &LanceStoreConfig) -> [String; 2] {
    let table = config.table;
    let one = table.strip_suffix('s').unwrap_or(table);
    [table.to_owned(), format!("{one}_versions")].map(|name| config.generation.name(&name))
}

/// How often opening is tried again when another process, opening the same store, commits first.
const OPEN_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Opens both tables, making them, their columns and their indexes where they are missing. Several processes may do so
/// at once: each finds what another made.
async fn open_tables(
    connection: &Connection,
    config: &LanceStoreConfig,
    term: &Arc<CurrentTerm>,
) -> Result<(Table, Table)> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..OPEN_ATTEMPTS {
        match try_open_tables(connection, config, term).await {
            Err(error) if error.is_retryable() => tracing::debug!(%error, "opening is tried again"),
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    try_open_tables(connection, config, term).await
}

async fn try_open_tables(
    connection: &Connection,
    config: &LanceStoreConfig,
    term: &Arc<CurrentTerm>,
) -> Result<(Table, Table)> {
    let commits = termed_commits(config, term).await?;
    let schema = schema::messages(config.model.as_ref());
    let [current, replaced] = table_names(config);
    let messages = open_table(connection, &commits, &current, schema).await?;
    let found = messages.schema().await.map_err(Fault::from)?;
    check_identity(config, &found)?;
    add_label_columns(&messages, &found).await?;
    make_indexes(&messages, message_indexes()).await?;

    let versions = open_table(connection, &commits, &replaced, schema::versions()).await?;
    make_indexes(&versions, version_indexes()).await?;
    Ok((messages, versions))
}

/// The way commits take here, past the term.
async fn termed_commits(
    config: &LanceStoreConfig,
    term: &Arc<CurrentTerm>,
) -> Attempt<Arc<dyn CommitHandler>> {
    let inner = commit_handler_from_url(&config.uri, &None).await?;
    Ok(Arc::new(TermedCommits {
        inner,
        term: term.clone(),
    }))
}

/// Removes the tables of `config.generation`.
pub(crate) async fn remove(config: &LanceStoreConfig) -> Attempt<()> {
    let connection = connect(config).await?;
    for name in table_names(config) {
        match connection.drop_table(name, &[]).await {
            Ok(()) | Err(lancedb::Error::TableNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn connect(config: &LanceStoreConfig) -> Attempt<Connection> {
    let session = Session::new(
        config.index_cache_bytes,
        config.metadata_cache_bytes,
        Arc::new(ObjectStoreRegistry::default()),
    );
    let connection = lancedb::connect(&config.uri)
        .session(Arc::new(session))
        // Every read looks for a newer version first: one cheap listing, and no reader is ever behind a writer.
        .read_consistency_interval(std::time::Duration::ZERO)
        .storage_options(config.storage_options.0.clone())
        .execute();
    Ok(connection.await?)
}

async fn open_table(
    connection: &Connection,
    commits: &Arc<dyn CommitHandler>,
    name: &str,
    schema: SchemaRef,
) -> Attempt<Table> {
    let open = || {
        let params = ReadParams {
            commit_handler: Some(commits.clone()),
            ..ReadParams::default()
        };
        connection
            .open_table(name)
            .lance_read_params(params)
            .execute()
    };
    match open().await {
        Err(lancedb::Error::TableNotFound { .. }) => {}
        opened => return Ok(opened?),
    }
    match connection.create_empty_table(name, schema).execute().await {
        // Another process may have been faster. Opened anew either way: what was just made commits past no term.
        Ok(_) | Err(lancedb::Error::TableAlreadyExists { .. }) => Ok(open().await?),
        Err(other) => Err(other.into()),
    }
}

/// Tables made before there were labels have no columns for them.
async fn add_label_columns(messages: &Table, found: &SchemaRef) -> Attempt<()> {
    let missing = |found: &SchemaRef| -> Vec<Field> {
        let wanted = schema::labels().into_iter();
        wanted
            .filter(|f| found.field_with_name(f.name()).is_err())
            .collect()
    };
    let columns = missing(found);
    if columns.is_empty() {
        return Ok(());
    }
    let nulls = NewColumnTransform::AllNulls(Arc::new(Schema::new(columns)));
    match messages.add_columns().transform(nulls).execute().await {
        Ok(_) => Ok(()),
        // Another process may have been faster.
        Err(error) => match missing(&messages.schema().await?).is_empty() {
            true => Ok(()),
            false => Err(error.into()),
        },
    }
}

fn check_identity(config: &LanceStoreConfig, found: &SchemaRef) -> Result<()> {
    let layout = found.metadata().get(schema::LAYOUT_KEY);
    if layout.map(String::as_str) != Some(schema::LAYOUT) {
        let layout = layout.map_or("none", String::as_str);
        return Err(Error::Damaged(format!(
            "the table has layout {layout}, this version reads {}",
            schema::LAYOUT
        )));
    }
    let actual = found.metadata().get(schema::MODEL_KEY);
    let configured = config.model.as_ref().map(schema::model_name);
    if actual != configured.as_ref() {
        let name = |model: Option<&String>| model.map_or("no model", String::as_str).to_owned();
        return Err(Error::ModelMismatch {
            actual: name(actual),
            configured: format!("`{}`", name(configured.as_ref())),
        });
    }
    Ok(())
}

/// The text index: terms come analysed and joined by spaces, so Lance only splits and counts. No positions: phrases are
/// checked on the text, which costs less than half again as much index.
fn terms_index() -> Index {
    Index::FTS(
        FtsIndexBuilder::default()
            .base_tokenizer("whitespace".to_owned())
            .lower_case(false)
            .stem(false)
            .remove_stop_words(false)
            .ascii_folding(false)
            .max_token_length(None)
            .with_position(false),
    )
}

/// Made on the empty table, so that maintenance only ever has to extend them, and so that the analysis of `terms` is
/// settled before the first row. The vector index needs rows to learn from and comes later.
fn message_indexes() -> Vec<(&'static str, Index)> {
    let tree = || Index::BTree(BTreeIndexBuilder::default());
    let bitmap = || Index::Bitmap(BitmapIndexBuilder::default());
    vec![
        (col::TERMS, terms_index()),
        (col::KEY, tree()),
        (col::EVENT_TIME, tree()),
        (col::MESSAGE_ID, tree()),
        (col::AUTHOR_ID, tree()),
        (col::CHAT_ID, bitmap()),
        (col::CLASS, bitmap()),
        (col::KIND, bitmap()),
        (col::LANG, bitmap()),
        (
            col::FLAGS,
            Index::LabelList(LabelListIndexBuilder::default()),
        ),
    ]
}

fn version_indexes() -> Vec<(&'static str, Index)> {
    vec![
        (col::VERSION_ID, Index::BTree(BTreeIndexBuilder::default())),
        (col::KEY, Index::BTree(BTreeIndexBuilder::default())),
    ]
}

/// The name of a column's index.
pub(crate) fn index_name(column: &str) -> String {
    format!("{column}_idx")
}

async fn make_indexes(table: &Table, wanted: Vec<(&'static str, Index)>) -> Attempt<()> {
    let there = table.list_indices().await?;
    for (column, index) in wanted {
        let name = index_name(column);
        if there.iter().all(|i| i.name != name) {
            let made = table.create_index(&[column], index).name(name);
            made.execute().await?;
        }
    }
    Ok(())
}

/// The folder a local URI means; `None` for an object store.
fn local_folder(uri: &str) -> Option<PathBuf> {
    match uri.split_once("://") {
        None => Some(PathBuf::from(uri)),
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use telesift_ports::{
        contract::message_store::fixtures::{find, message, model, plain, screen, turned},
        message_store::{MessageStore, VersionLabel},
    };
    use telesift_schemas::{Class, Offset};

    use super::*;

    #[tokio::test]
    async fn a_table_made_before_there_were_labels_gets_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let uri = folder.path().to_str().expect("a path");
        let config = LanceStoreConfig::new(uri, Some(model()));
        let mut quiet = message(1, 1, "the ferry leaves");
        screen(&mut quiet).class = Class::Noise;
        {
            let connection = connect(&config).await.expect("it connects");
            let rows = [turned(quiet.clone(), 0.3), plain(message(1, 2, "ferry"))];
            let rows = schema::message_rows(Some(&model()), &rows, &HashMap::new());
            let rows = rows.expect("rows");
            let n_old = rows.num_columns() - schema::labels().len();
            let old: Vec<usize> = (0..n_old).collect();
            let rows = rows.project(&old).expect("the columns of before");
            let table = connection.create_empty_table("messages", rows.schema());
            let table = table.execute().await.expect("a table");
            table.add(rows).execute().await.expect("rows are stored");
            let indexes = make_indexes(&table, message_indexes()).await;
            indexes.expect("indexes are made");
        }
        for _ in 0..2 {
            let store = LanceStore::open(config.clone()).await.expect("it opens");
            let label = VersionLabel {
                key: quiet.id,
                edit: quiet.edit,
                class: Some(Class::Signal),
                spam: None,
                decided: Offset(3),
            };
            store.set_labels(&[label]).await.expect("labels are set");
            let found = find(&store, "ferry").await;
            assert_eq!(found.len(), 2, "{found:?}");
            let again = store.apply(vec![plain(quiet.clone())]).await;
            assert_eq!(again.expect("stored").n_known, 1);
            let more = vec![plain(message(1, 3, "a later row"))];
            store.apply(more).await.expect("rows are added");
            store.maintain().await.expect("maintenance succeeds");
        }
    }
}
