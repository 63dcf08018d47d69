//! What only a store on disk can do: be opened again, belong to a model, be compacted, be written and read at once.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use telesift_ports::{
    contract::message_store::fixtures::{
        Dice, direction, edited, find, key, keys, message, model, plain, store_all, text_request,
        turned,
    },
    embedder::EmbeddingModel,
    message_store::{Error, MessageFilter, MessageStore, SearchMode, SearchRequest},
};
use telesift_schemas::Generation;
use telesift_store_lance::{LanceStore, LanceStoreConfig};

fn config(folder: &Path) -> LanceStoreConfig {
    LanceStoreConfig::new(folder.to_str().expect("a path"), Some(model()))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn open(config: LanceStoreConfig) -> LanceStore {
    LanceStore::open(config).await.expect("the store opens")
}

fn n_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let entries = entries.map(|e| e.expect("an entry").path());
    entries
        .map(|p| if p.is_dir() { n_files(&p) } else { 1 })
        .sum()
}

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    let folder = folder();
    let first = message(1, 1, "the lighthouse keeper");
    {
        let store = open(config(folder.path())).await;
        store_all(&store, &[first.clone(), message(1, 2, "a fisherman")]).await;
        store.maintain().await.expect("maintenance succeeds");
        store_all(&store, &[edited(&first, 5, 9, "the lighthouse is dark")]).await;
    }
    let store = open(config(folder.path())).await;
    assert_eq!(find(&store, "dark lighthouse").await, [key(1, 1)]);
    assert_eq!(find(&store, "keeper").await, []);
    assert_eq!(store.history(&key(1, 1)).await.expect("an answer"), [first]);
    let applied = store.apply(vec![plain(message(1, 2, "a fisherman"))]).await;
    assert_eq!(applied.expect("stored").n_known, 1);
}

#[tokio::test]
async fn vectors_of_different_models_never_share_a_table() {
    let folder = folder();
    drop(open(config(folder.path())).await);
    let refused = async |model: Option<EmbeddingModel>| {
        let mut config = config(folder.path());
        config.model = model;
        LanceStore::open(config).await.expect_err("another model")
    };
    let longer = EmbeddingModel {
        dimensions: 16,
        ..model()
    };
    let other = EmbeddingModel {
        id: "other@1".to_owned(),
        ..model()
    };
    for wrong in [Some(longer), Some(other), None] {
        let error = refused(wrong).await;
        assert!(matches!(error, Error::ModelMismatch { .. }), "{error:?}");
        assert!(!error.is_retryable());
    }
    // A new generation beside it may have another model.
    let mut next = config(folder.path());
    next.generation = Generation(2);
    next.model = None;
    let next = open(next).await;
    store_all(&next, &[message(1, 1, "text")]).await;
    let first = open(config(folder.path())).await;
    assert_eq!(first.stats().await.expect("an answer").n_messages, 0);
}

#[tokio::test]
async fn another_handle_sees_what_was_written_at_once() {
    let folder = folder();
    let writer = open(config(folder.path())).await;
    let reader = open(config(folder.path())).await;
    assert_eq!(find(&reader, "beacon").await, []);
    let written = Instant::now();
    store_all(&writer, &[message(1, 1, "a beacon")]).await;
    assert_eq!(find(&reader, "beacon").await, [key(1, 1)]);
    assert!(written.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn many_small_batches_do_not_become_many_files() {
    let folder = folder();
    let mut config = config(folder.path());
    config.keep_replaced = Duration::ZERO;
    config.max_unindexed_rows = 20;
    let store = open(config).await;
    let mut after_first_round = 0;
    for round in 0..4 {
        for i in 0..40 {
            let id = round * 40 + i + 1;
            store_all(&store, &[message(1, id, "one more small batch")]).await;
            if i % 10 == 9 {
                store.maintain().await.expect("maintenance succeeds");
            }
        }
        let n = n_files(folder.path());
        if round == 0 {
            after_first_round = n;
        }
        assert!(n < after_first_round + 150, "round {round}: {n} files");
    }
    let stats = store.stats().await.expect("an answer");
    assert_eq!(stats.n_messages, 160);
    assert!(stats.n_unindexed_text <= 20);
    let hits = store.search(&text_request("small", 500)).await;
    assert_eq!(hits.expect("an answer").len(), 160);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writing_reading_and_maintaining_do_not_disturb_each_other() {
    let folder = folder();
    let mut config = config(folder.path());
    config.max_unindexed_rows = 0;
    let store = Arc::new(open(config).await);
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..25_i64 {
                let mut batch: Vec<_> = (0..20)
                    .map(|i| plain(message(1, round * 20 + i + 1, "steady rain")))
                    .collect();
                // And edits of what the maintenance may be moving.
                let old = message(1, round * 10 + 1, "steady rain");
                batch.push(plain(edited(
                    &old,
                    round + 1,
                    10_000 + round as u64,
                    "steady snow",
                )));
                store.apply(batch).await.expect("stored");
            }
        })
    };
    let keeper = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                store.maintain().await.expect("maintenance succeeds");
            }
        })
    };
    let mut seen = 0;
    while !writer.is_finished() {
        let mut request = text_request("steady", 1_000);
        request.filter.include_noise = true;
        let found = store.search(&request).await.expect("an answer").len();
        assert!(found >= seen, "{found} after {seen}");
        seen = found;
        let listed = store.list(&MessageFilter::default(), None, 7).await;
        listed.expect("an answer");
    }
    writer.await.expect("the writer ends well");
    keeper.await.expect("maintenance ends well");
    store.maintain().await.expect("maintenance succeeds");
    assert_eq!(store.stats().await.expect("an answer").n_messages, 500);
    let hits = store.search(&text_request("snow", 100)).await;
    assert_eq!(hits.expect("an answer").len(), 25);
}

#[tokio::test]
async fn the_vector_index_finds_what_comparing_all_finds() {
    let folder = folder();
    let mut config = config(folder.path());
    config.min_vectors_for_index = 2_000;
    let store = open(config).await;
    let mut dice = Dice(5);
    let batch: Vec<_> = (1..=3_000)
        .map(|id| turned(message(1, id, "text"), dice.below(1_000_000) as f32 / 1e6))
        .collect();
    store.apply(batch).await.expect("stored");
    let request = SearchRequest {
        vector: Some(direction(0.37)),
        mode: SearchMode::Vector,
        ..text_request("", 20)
    };
    let exact = keys(&store.search(&request).await.expect("an answer"));
    let before = store.stats().await.expect("an answer");
    assert_eq!(before.n_unindexed_vector, 3_000, "too few for an index");
    store.maintain().await.expect("maintenance succeeds");
    let growing = store.stats().await.expect("an answer");
    assert_eq!(growing.n_unindexed_vector, 3_000, "it came a moment ago");
    store.maintain().await.expect("maintenance succeeds");
    let stats = store.stats().await.expect("an answer");
    assert_eq!(stats.n_unindexed_vector, 0);
    let indexed = keys(&store.search(&request).await.expect("an answer"));
    let n_same = indexed.iter().filter(|k| exact.contains(k)).count();
    assert!(n_same >= 18, "{n_same} of 20");
    // A row the index does not cover, and a filter that only few rows pass.
    let mut late = turned(message(1, 5_000, "text"), 0.37);
    late.message.lang = "ka".to_owned();
    store.apply(vec![late]).await.expect("stored");
    let found = keys(&store.search(&request).await.expect("an answer"));
    assert_eq!(found[0], key(1, 5_000));
    let mut few = request.clone();
    few.filter.since = Some(telesift_ports::contract::message_store::fixtures::time(
        2_900,
    ));
    let found = store.search(&few).await.expect("an answer");
    assert_eq!(found.len(), 20);
}
