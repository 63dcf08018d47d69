//! How much is read to answer.

use telesift_ports::contract::message_store::fixtures::{
    direction, key, keys, message, model, text_request, turned,
};

use super::*;
use crate::LanceStoreConfig;

/// Messages in the store.
const MANY: i64 = 1_500;
/// The one with the phrase, far from where the query's vector points.
const WANTED: i64 = 700;

async fn store() -> (LanceStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().to_str().unwrap();
    let config = LanceStoreConfig::new(uri, Some(model()));
    let store = LanceStore::open(config).await.unwrap();
    let batch = (1..=MANY).map(|id| match id {
        WANTED => turned(message(1, id, "here is the rollback plan of today"), 0.9),
        // Both words in one of them, but not in a row.
        1..=20 => turned(message(1, id, "plan first, rollback last"), 0.1),
        _ => turned(message(1, id, "the harvest came in"), 0.2),
    });
    telesift_ports::MessageStore::apply(&store, batch.collect())
        .await
        .unwrap();
    (store, folder)
}

async fn n_read(store: &LanceStore, request: &SearchRequest) -> usize {
    let snapshot = store.snapshot().await.unwrap();
    let predicate = Predicate::from(&request.filter);
    let legs = legs(&snapshot, request, &predicate).await;
    legs.map_err(Error::from).unwrap().seen.n_read
}

#[tokio::test]
async fn a_phrase_is_looked_for_only_where_its_words_stand() {
    let (store, _folder) = store().await;
    for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
        let request = SearchRequest {
            vector: Some(direction(0.0)),
            mode,
            ..text_request("\"rollback plan\"", 10)
        };
        let hits = store.find(&request).await.unwrap();
        assert_eq!(keys(&hits), [key(1, WANTED)], "{mode:?}");
        let is_by_vector = mode != SearchMode::Text;
        assert_eq!(hits[0].vector_score.is_some(), is_by_vector);
        assert_eq!(n_read(&store, &request).await, 21, "{mode:?}");
    }
}
