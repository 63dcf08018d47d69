//! The catalog in Postgres, against a server the tests start themselves.

use std::time::Duration;

use telesift_catalog::{CatalogConfig, KeySource, SecretKey, SqlCatalog};
use telesift_ports::{Catalog, catalog::Error, contract};
use telesift_schemas::Offset;

use crate::{
    common::{self, stage, state},
    server::Server,
};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_of_a_catalog() {
    let Some(server) = Server::start() else {
        return;
    };
    let n_opened = std::cell::Cell::new(0);
    contract::catalog::run(async || {
        n_opened.set(n_opened.get() + 1);
        server.open(&format!("contract-{}", n_opened.get())).await
    })
    .await;
    contract::replays::run(async || {
        n_opened.set(n_opened.get() + 1);
        server.open(&format!("contract-{}", n_opened.get())).await
    })
    .await;
    contract::rules_catalog::run(async || {
        n_opened.set(n_opened.get() + 1);
        server.open(&format!("contract-{}", n_opened.get())).await
    })
    .await;

    let key = SecretKey::from_hex(&"ab".repeat(32)).unwrap();
    contract::bots::run(async || {
        n_opened.set(n_opened.get() + 1);
        let mut config = server.config(&format!("contract-{}", n_opened.get())).await;
        config.secret_key = KeySource::Given(key.clone());
        SqlCatalog::open(config).await.unwrap()
    })
    .await;

    let catalog = server.open("more").await;
    common::refuses_what_is_there_already(&catalog).await;
    common::stores_what_people_type(&catalog).await;
    common::notes_the_last_use_to_the_minute(&catalog).await;

    let (one, other) = (server.open("race").await, server.open("race").await);
    common::one_of_many_owners_wins(one, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recovers_when_the_server_is_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut config = server.config("restart").await;
    config.call_timeout = Duration::from_secs(2);
    let catalog = SqlCatalog::open(config.clone()).await.unwrap();
    catalog
        .put_stage_state(&stage(0), None, &state(1))
        .await
        .unwrap();

    server.stop();
    let refused = catalog.ping().await.unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    let refused = catalog
        .put_stage_state(&stage(0), Some(Offset(1)), &state(2))
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    let refused = SqlCatalog::open(config.clone()).await.err().unwrap();
    assert!(refused.is_retryable(), "{refused:?}");

    server.start_again();
    catalog
        .put_stage_state(&stage(0), Some(Offset(1)), &state(3))
        .await
        .unwrap();
    assert_eq!(
        catalog.stage_state(&stage(0)).await.unwrap(),
        Some(state(3))
    );
    let reopened = SqlCatalog::open(config).await.unwrap();
    assert_eq!(
        reopened.stage_state(&stage(0)).await.unwrap(),
        Some(state(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_held_elsewhere_ends_at_the_timeout() {
    use sqlx::{Connection as _, Executor as _};
    let Some(server) = Server::start() else {
        return;
    };
    let mut config = server.config("locked").await;
    config.call_timeout = Duration::from_millis(300);
    let catalog = SqlCatalog::open(config).await.unwrap();
    let mut other = sqlx::PgConnection::connect(&server.url("locked"))
        .await
        .unwrap();
    other
        .execute("BEGIN; LOCK TABLE stage_states IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();

    let refused = catalog
        .put_stage_state(&stage(0), None, &state(1))
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    catalog.ping().await.unwrap();

    other.execute("ROLLBACK").await.unwrap();
    catalog
        .put_stage_state(&stage(0), None, &state(1))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_to_the_server_is_told_so() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut config = server.config("there").await;
    config.location = server.url("not-there").parse().unwrap();
    let refused = SqlCatalog::open(config).await.err().unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert!(refused.to_string().contains("not-there"), "{refused}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let location = format!("postgres://telesift@{address}/catalog")
        .parse()
        .unwrap();
    let mut config = CatalogConfig::new(location);
    config.open_timeout = Duration::from_millis(200);
    let refused = SqlCatalog::open(config).await.err().unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert!(
        refused.to_string().contains("no answer within 200ms"),
        "{refused}"
    );
    assert!(
        refused.to_string().contains(&address.to_string()),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_sort_by_their_bytes_whatever_the_locale() {
    use sqlx::Connection as _;
    let Some(server) = Server::start() else {
        return;
    };
    server.open("sorted").await;
    let mut connection = sqlx::PgConnection::connect(&server.url("sorted"))
        .await
        .unwrap();
    let sorted: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT table_name || '.' || column_name, collation_name::text FROM information_schema.columns
         WHERE column_name IN ('id', 'stage', 'topic') AND table_schema = 'public'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(sorted.len() >= 5, "{sorted:?}");
    for (column, collation) in sorted {
        assert_eq!(collation.as_deref(), Some("C"), "{column}");
    }
}
