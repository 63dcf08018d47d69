//! Opening: the connection with its memory limits, the tables, and whose vectors they hold.

use std::{path::PathBuf, sync::Arc};

use arrow::datatypes::SchemaRef;
use lancedb::{
    Connection, ObjectStoreRegistry, Session, Table,
    index::{
        Index,
        scalar::{BTreeIndexBuilder, BitmapIndexBuilder, FtsIndexBuilder, LabelListIndexBuilder},
    },
};
use telesift_ports::message_store::{Error, Result};
use telesift_schemas::Generation;

use crate::{
    config::LanceStoreConfig,
    error::{Attempt, Fault},
    schema::{self, columns as col},
    store::LanceStore,
    write::Writer,
};

impl LanceStore {
    /// Opens the store, making its tables where they are missing.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`] if the tables hold vectors of another model, or were made without one while the
    /// configuration names one; [`Error::Damaged`] if another version of telesift laid them out; [`Error::Unavailable`] if
    /// the storage cannot be reached.
    pub async fn open(config: LanceStoreConfig) -> Result<Self> {
        let connection = connect(&config).await?;
        let suffix = match config.generation {
            Generation::FIRST => String::new(),
            Generation(n) => format!("-g{n}"),
        };
        let schema = schema::messages(config.model.as_ref());
        let messages = open_table(&connection, &format!("messages{suffix}"), schema).await?;
        let found = messages.schema().await.map_err(Fault::from)?;
        check_identity(&config, &found)?;
        make_indexes(&messages, message_indexes()).await?;

        let name = format!("message_versions{suffix}");
        let versions = open_table(&connection, &name, schema::versions()).await?;
        make_indexes(&versions, version_indexes()).await?;
        Ok(LanceStore {
            folder: local_folder(&config.uri),
            config,
            messages,
            versions,
            writer: tokio::sync::Mutex::new(Writer::default()),
            maintenance: tokio::sync::Mutex::default(),
            chats: std::sync::Mutex::default(),
            span: std::sync::Mutex::default(),
        })
    }
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
        .storage_options(config.storage_options.clone())
        .execute();
    Ok(connection.await?)
}

async fn open_table(connection: &Connection, name: &str, schema: SchemaRef) -> Attempt<Table> {
    match connection.open_table(name).execute().await {
        Ok(table) => Ok(table),
        Err(lancedb::Error::TableNotFound { .. }) => {
            let made = connection.create_empty_table(name, schema).execute().await;
            match made {
                // Another process was faster.
                Err(lancedb::Error::TableAlreadyExists { .. }) => {
                    Ok(connection.open_table(name).execute().await?)
                }
                made => Ok(made?),
            }
        }
        Err(other) => Err(other.into()),
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
            configured: name(configured.as_ref()),
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
