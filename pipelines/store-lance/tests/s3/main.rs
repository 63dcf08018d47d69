//! The message store on S3-compatible storage, against a server the tests start themselves.

mod deaf;
mod server;

use telesift_ports::{
    contract::message_store::fixtures::{edited, find, key, message, model, plain, store_all},
    leases::{Leases, Term},
    memory::MemoryCatalog,
    message_store::{Error, MessageStore},
};
use telesift_store_lance::{LanceStore, LanceStoreConfig, S3Config};

use deaf::DeafProxy;
use server::Server;

fn config(endpoint: &str, path: &str) -> LanceStoreConfig {
    let mut config = LanceStoreConfig::new(format!("s3://telesift/{path}"), Some(model()));
    config.max_unindexed_rows = 0;
    config.storage_options = S3Config {
        endpoint: Some(endpoint.to_owned()),
        region: Some("us-east-1".to_owned()),
        access_key_id: Some("test".to_owned()),
        secret_access_key: Some("secret-of-the-test".to_owned()),
    }
    .into();
    config
}

async fn open(config: LanceStoreConfig) -> LanceStore {
    LanceStore::open(config).await.expect("the store opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_finds_and_maintains_on_an_object_store() {
    let Some(server) = Server::start().await else {
        return;
    };
    let first = message(1, 1, "the lighthouse keeper");
    {
        let store = open(config(&server.endpoint(), "a/b")).await;
        store_all(&store, &[first.clone(), message(1, 2, "a fisherman")]).await;
        store_all(&store, &[edited(&first, 5, 9, "the lighthouse is dark")]).await;
        store.maintain().await.expect("maintenance succeeds");
    }
    let store = open(config(&server.endpoint(), "a/b")).await;
    assert_eq!(find(&store, "dark lighthouse").await, [key(1, 1)]);
    assert_eq!(find(&store, "keeper").await, []);
    assert_eq!(store.history(&key(1, 1)).await.expect("an answer"), [first]);
    let elsewhere = open(config(&server.endpoint(), "other")).await;
    assert_eq!(elsewhere.stats().await.expect("an answer").n_messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writer_by_lease_many_readers() {
    let Some(server) = Server::start().await else {
        return;
    };
    let leases = std::sync::Arc::new(MemoryCatalog::new());
    let hour = std::time::Duration::from_secs(3_600);
    let mut owners = Vec::new();
    for name in ["a", "b"] {
        let lease = leases.acquire("store", name, hour).await;
        let lease = lease.expect("an answer").expect("it is free");
        let store = open(config(&server.endpoint(), "shared")).await;
        let term = Term::new(lease.fence(), leases.clone());
        store.begin_term(term).await.expect("the term begins");
        let batch = vec![plain(message(1, 1, "one")), plain(message(1, 2, name))];
        store.apply(batch).await.expect("stored");
        leases.release(&lease).await.expect("given back");
        owners.push(store);
    }
    let late = owners[0].apply(vec![plain(message(1, 3, "late"))]).await;
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "{late:?}");
    let reader = open(config(&server.endpoint(), "shared")).await;
    assert_eq!(reader.stats().await.expect("an answer").n_messages, 2);
    assert_eq!(find(&reader, "late").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once_lose_nothing_and_the_next_owner_tidies_up() {
    let Some(server) = Server::start().await else {
        return;
    };
    let one = open(config(&server.endpoint(), "race")).await;
    let other = open(config(&server.endpoint(), "race")).await;
    let write = async |store: &LanceStore, from: i64| {
        for round in 0..3 {
            let batch = (0..5).map(|i| plain(message(1, from + round * 5 + i, "rain")));
            let batch: Vec<_> = batch.collect();
            // A lost race says so and may be tried again.
            while let Err(error) = store.apply(batch.clone()).await {
                assert!(error.is_retryable(), "{error}");
            }
        }
    };
    // Half of what they write is the same.
    tokio::join!(write(&one, 1), write(&other, 8));
    let leases = std::sync::Arc::new(MemoryCatalog::new());
    let hour = std::time::Duration::from_secs(3_600);
    let lease = leases.acquire("store", "c", hour).await;
    let lease = lease.expect("an answer").expect("it is free");
    let next = open(config(&server.endpoint(), "race")).await;
    let term = Term::new(lease.fence(), leases.clone());
    next.begin_term(term).await.expect("the term begins");
    assert_eq!(next.stats().await.expect("an answer").n_messages, 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_conditional_writes_is_refused() {
    let Some(server) = Server::start().await else {
        return;
    };
    let deaf = DeafProxy::start(server.port()).await;
    let refused = LanceStore::open(config(&deaf.endpoint(), "deaf")).await;
    let refused = refused.expect_err("it must be refused");
    assert!(matches!(refused, Error::Unsuitable(_)), "{refused:?}");
    assert!(!refused.is_retryable());
    let said = refused.to_string();
    assert!(
        said.contains("If-None-Match") && said.contains("s3://telesift/deaf"),
        "{said}"
    );
    assert!(!said.contains("secret-of-the-test"), "{said}");
    // Nothing was stored there.
    let store = open(config(&server.endpoint(), "deaf")).await;
    assert_eq!(store.stats().await.expect("an answer").n_messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_worth_another_try() {
    let nobody = server::free_port();
    let mut config = config(&format!("http://127.0.0.1:{nobody}"), "gone");
    config.storage_options = S3Config {
        endpoint: Some(format!("http://127.0.0.1:{nobody}")),
        region: Some("us-east-1".to_owned()),
        access_key_id: Some("test".to_owned()),
        secret_access_key: Some("secret-of-the-test".to_owned()),
    }
    .into();
    let refused = LanceStore::open(config).await.expect_err("nobody is there");
    assert!(refused.is_retryable(), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("s3://telesift/gone"), "{said}");
    assert!(!said.contains("secret-of-the-test"), "{said}");
}
