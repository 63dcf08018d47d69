//! The catalog in Postgres, against a server the tests start themselves.

use std::{sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use telesift_catalog::{CatalogConfig, KeySource, SecretKey, SqlCatalog};
use telesift_ports::{Catalog, Leases, StateStore, catalog::Error, contract, leases::Fence};
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

    for (n, check) in contract::state_store::ALL.into_iter().enumerate() {
        let store = server.open(&format!("state-{n}")).await;
        check(Arc::new(store)).await;
    }
    let key = SecretKey::from_hex(&"ab".repeat(32)).unwrap();
    contract::bots::run(async || {
        n_opened.set(n_opened.get() + 1);
        let mut config = server.config(&format!("contract-{}", n_opened.get())).await;
        config.secret_key = KeySource::Given(key.clone());
        SqlCatalog::open(config).await.unwrap()
    })
    .await;

    contract::providers::run(async || {
        n_opened.set(n_opened.get() + 1);
        let mut config = server.config(&format!("contract-{}", n_opened.get())).await;
        config.secret_key = KeySource::Given(key.clone());
        SqlCatalog::open(config).await.unwrap()
    })
    .await;

    contract::leases::a_stale_owner_changes_no_state(&server.open("fenced").await).await;

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
        .put_stage_state(&stage(0), None, &state(1), &Fence::open())
        .await
        .unwrap();

    let lease = catalog
        .acquire("index", "a", Duration::from_secs(3_600))
        .await;
    let lease = lease.unwrap().unwrap();

    server.stop();
    let refused = catalog.ping().await.unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    // Whether it is held is not known: that is not the same as lost.
    let refused = catalog.check(&lease.fence()).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    let said = refused.to_string();
    assert!(said.starts_with("catalog unavailable: "), "{said}");
    let refused = catalog
        .put_stage_state(&stage(0), Some(Offset(1)), &state(2), &Fence::open())
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    let refused = SqlCatalog::open(config.clone()).await.err().unwrap();
    assert!(refused.is_retryable(), "{refused:?}");

    server.start_again();
    catalog
        .put_stage_state(&stage(0), Some(Offset(1)), &state(3), &lease.fence())
        .await
        .unwrap();
    catalog
        .renew(&lease, Duration::from_secs(60))
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
        .put_stage_state(&stage(0), None, &state(1), &Fence::open())
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    catalog.ping().await.unwrap();

    other.execute("ROLLBACK").await.unwrap();
    catalog
        .put_stage_state(&stage(0), None, &state(1), &Fence::open())
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

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_that_of_all_who_share_a_catalog() {
    let Some(server) = Server::start() else {
        return;
    };
    let config = server.config("sealed").await;
    common::the_first_key_is_that_of_all(async |secret_key| {
        let config = CatalogConfig {
            secret_key,
            ..config.clone()
        };
        SqlCatalog::open(config).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_start_at_once_bring_the_schema_up_to_date_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let config = server.config("fresh").await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let config = config.clone();
        let here = tokio::runtime::Handle::current();
        starts.spawn_blocking(move || here.block_on(SqlCatalog::open(config)));
    }
    let mut catalogs = Vec::new();
    while let Some(opened) = starts.join_next().await {
        catalogs.push(opened.unwrap().unwrap());
    }
    for catalog in &catalogs {
        catalog.ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_demands_encryption_gets_it() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let config = server.config("secure").await;
    if !server.demand_tls() {
        return;
    }
    let mut plain = config.clone();
    let url = server.url("secure");
    plain.location = format!("{url}?sslmode=disable").parse().unwrap();
    let refused = SqlCatalog::open(plain).await.err().unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");

    let mut encrypted = config.clone();
    encrypted.location = format!("{url}?sslmode=require").parse().unwrap();
    let catalog = SqlCatalog::open(encrypted).await.unwrap();
    catalog.ping().await.unwrap();

    // Nobody vouches for the certificate the test made.
    let mut verified = config;
    verified.location = format!("{url}?sslmode=verify-full").parse().unwrap();
    let refused = SqlCatalog::open(verified).await.err().unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
}

/// Whoever loses a lease is stopped wherever he stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_given_up_anywhere_leaves_no_transaction_behind() {
    const N_PLACES: usize = 40;
    let Some(server) = Server::start() else {
        return;
    };
    let mut config = server.config("given-up").await;
    config.max_connections = 1;
    let catalog = SqlCatalog::open(config.clone()).await.unwrap();
    let other = SqlCatalog::open(config).await.unwrap();
    let put = |key: &str| [(key.to_owned(), Some(Bytes::from_static(b"v")))];
    for n in 0..N_PLACES {
        let given_up = put("given-up");
        let mut change = Box::pin(catalog.compare_and_set(&[], &given_up));
        for _ in 0..n {
            let looked = std::future::poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx)));
            if looked.await.is_ready() {
                break;
            }
            // Long enough for an answer, sometimes.
            std::thread::sleep(Duration::from_micros(300 * (n as u64 % 5)));
        }
        drop(change);
        // A statement of its own, and so in force for everybody.
        let input = stage(n as u32);
        catalog
            .put_stage_state(&input, None, &state(1), &Fence::open())
            .await
            .unwrap();
        let seen = other.stage_state(&input).await.unwrap();
        assert!(seen.is_some(), "after {n} looks: it is there, and seen");
    }
}

/// A stage whose lease is not prolonged in time is stopped where it stands, and begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn leases_are_prolonged_while_all_else_waits() {
    use sqlx::{Connection as _, Executor as _};
    let Some(server) = Server::start() else {
        return;
    };
    let mut config = server.config("busy").await;
    config.call_timeout = Duration::from_secs(1);
    let n_callers = config.max_connections * 4;
    let catalog = Arc::new(SqlCatalog::open(config).await.unwrap());
    let patience = Duration::from_secs(60);
    let lease = catalog.acquire("index", "one", patience).await;
    let lease = lease.unwrap().unwrap();
    let mut other = sqlx::PgConnection::connect(&server.url("busy"))
        .await
        .unwrap();
    let lock = "BEGIN; LOCK TABLE stage_states IN ACCESS EXCLUSIVE MODE";
    other.execute(lock).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..n_callers {
        let catalog = catalog.clone();
        callers.spawn(async move {
            loop {
                catalog
                    .put_stage_state(&stage(n), None, &state(1), &Fence::open())
                    .await
                    .unwrap_err();
            }
        });
    }
    // Nobody else gets a connection.
    while catalog.ping().await.is_ok() {}

    catalog.renew(&lease, patience).await.unwrap();
    let other_lease = catalog.acquire("units", "one", patience).await.unwrap();
    assert!(other_lease.is_some());
    catalog.check(&lease.fence()).await.unwrap();
    callers.shutdown().await;
}
