//! What both databases are asked beyond the contract suite.

use std::{path::PathBuf, sync::Arc};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use telesift_catalog::{CatalogConfig, KeySource, SecretKey, SqlCatalog};
use telesift_ports::{
    BotCatalog as _, Catalog,
    catalog::{Error, KeyRow, Scope},
    contract,
    imports::{ImportRequest, ImportState},
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
};
use telesift_schemas::{Offset, PartitionId, Timestamp, Topic, TopicPartition};
use tokio::{sync::Barrier, task::JoinSet};

use crate::server::Server;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).unwrap()
}

pub(crate) fn stage(partition: u32) -> StageKey {
    StageKey {
        stage: "index".to_owned(),
        input: TopicPartition::new(Topic::MESSAGES, PartitionId(partition)),
    }
}

pub(crate) fn state(next: u64) -> StageState {
    let counters = Counters {
        received: next,
        emitted: next,
        ..Counters::default()
    };
    StageState {
        next: Offset(next),
        counters,
        last_retry: None,
    }
}

pub(crate) fn request() -> ImportRequest {
    ImportRequest {
        name: "result.json".to_owned(),
        chats: Vec::new(),
        tz: "UTC".to_owned(),
        file: PathBuf::from("spool/result.json"),
    }
}

pub(crate) fn key(id: &str) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        name: "console".to_owned(),
        scopes: vec![Scope::Admin],
        chats: None,
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

/// Sixteen owners who all know the same position commit at once, round after round: one succeeds each time.
pub(crate) async fn one_of_many_owners_wins(one: SqlCatalog, other: SqlCatalog) {
    const OWNERS: u64 = 16;
    let catalogs = [Arc::new(one), Arc::new(other)];
    let mut expected = None;
    for round in 0..5 {
        let barrier = Arc::new(Barrier::new(OWNERS as usize));
        let mut owners = JoinSet::new();
        for owner in 0..OWNERS {
            let (catalog, barrier) = (catalogs[owner as usize % 2].clone(), barrier.clone());
            let next = 1 + round * OWNERS + owner;
            owners.spawn(async move {
                barrier.wait().await;
                (
                    next,
                    catalog
                        .put_stage_state(&stage(0), expected, &state(next), &Fence::open())
                        .await,
                )
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) = owners
            .join_all()
            .await
            .into_iter()
            .partition(|(_, outcome)| outcome.is_ok());
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        for (_, outcome) in lost {
            assert!(
                matches!(outcome, Err(Error::Conflict { .. })),
                "{outcome:?}"
            );
        }
        let stored = catalogs[0].stage_state(&stage(0)).await.unwrap();
        assert_eq!(stored, Some(state(won[0].0)));
        expected = stored.map(|s| s.next);
    }
}

pub(crate) async fn refuses_what_is_there_already(catalog: &SqlCatalog) {
    catalog.create_key(&key("a"), &[1; 32]).await.unwrap();
    for (id, hash) in [("a", [2; 32]), ("b", [1; 32])] {
        let refused = catalog.create_key(&key(id), &hash).await.unwrap_err();
        let expected = format!("key/{id}");
        assert!(
            matches!(&refused, Error::Conflict { what } if *what == expected),
            "{refused:?}"
        );
    }
    catalog
        .create_import("a", &request(), 1, at(0))
        .await
        .unwrap();
    let refused = catalog
        .create_import("a", &request(), 1, at(0))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Conflict { what } if what == "import/a"),
        "{refused:?}"
    );
}

pub(crate) async fn stores_what_people_type(catalog: &SqlCatalog) {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = ImportRequest {
        name: "Олена's «експорт»; DROP TABLE imports; -- \0 \u{1f4a5}".to_owned(),
        file: PathBuf::from(std::ffi::OsString::from_vec(
            b"spool/\xff\xfe.json".to_vec(),
        )),
        ..request()
    };
    catalog
        .create_import("odd", &odd, i64::MAX as u64, Timestamp::MIN)
        .await
        .unwrap();
    let row = catalog.import("odd").await.unwrap().unwrap();
    assert_eq!(row.request.name, odd.name.replace('\0', "\u{fffd}"));
    assert_eq!(
        (row.request.file, row.status.bytes_total),
        (odd.file, i64::MAX as u64)
    );
    assert_eq!(row.status.state, ImportState::Queued);
    // Ids come from URLs.
    assert!(catalog.import("od\0d").await.unwrap().is_none());
    assert_eq!(
        catalog
            .imports(Some("p\0"), usize::MAX)
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(!catalog.revoke_key("' OR 1=1 --", at(0)).await.unwrap());
}

pub(crate) async fn notes_the_last_use_to_the_minute(catalog: &SqlCatalog) {
    catalog.create_key(&key("used"), &[9; 32]).await.unwrap();
    for (second, noted) in [(61, 60), (119, 60), (60, 60), (121, 120), (59, 120)] {
        catalog.touch_key("used", at(second)).await.unwrap();
        let row = catalog.key_by_hash(&[9; 32]).await.unwrap().unwrap();
        assert_eq!(row.last_used_at, Some(at(noted)), "used at {second}");
    }
}

impl Server {
    /// A configuration for the database `name`, made if it is not there.
    pub(crate) async fn config(&self, name: &str) -> CatalogConfig {
        let admin: sqlx::postgres::PgConnectOptions = self.url("postgres").parse().unwrap();
        let mut admin = admin.connect().await.unwrap();
        let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut admin)
            .await
            .unwrap();
        if there.is_none() {
            let create = format!("CREATE DATABASE \"{name}\"");
            admin.execute(AssertSqlSafe(create)).await.unwrap();
        }
        admin.close().await.unwrap();
        CatalogConfig::new(self.url(name).parse().unwrap())
    }

    pub(crate) async fn open(&self, name: &str) -> SqlCatalog {
        SqlCatalog::open(self.config(name).await).await.unwrap()
    }
}

/// `open` opens one catalog by a key.
pub(crate) async fn the_first_key_is_that_of_all(open: impl AsyncFn(KeySource) -> SqlCatalog) {
    let key = |digits: &str| KeySource::Given(SecretKey::from_hex(&digits.repeat(32)).unwrap());
    open(key("ab")).await.check_secret_key().await.unwrap();
    open(key("ab")).await.check_secret_key().await.unwrap();
    let other = open(key("cd")).await;
    let refused = other.check_secret_key().await.unwrap_err();
    assert!(matches!(refused, Error::SecretKey(_)), "{refused}");
    let new = contract::bots::bot("new", 1);
    assert!(other.add_bot(&new).await.is_err(), "it seals nothing here");
    let missing = open(KeySource::File("/nowhere/secret.key".into())).await;
    let refused = missing.check_secret_key().await.unwrap_err();
    assert!(refused.to_string().contains("is missing"), "{refused}");

    // A key that is lost: what it sealed goes first.
    let old = contract::bots::bot("old", 2);
    open(key("ab")).await.add_bot(&old).await.unwrap();
    other.forget_secret_key().await.unwrap();
    assert!(other.check_secret_key().await.is_err(), "a bot is left");
    assert!(other.remove_bot("old").await.unwrap());
    other.check_secret_key().await.unwrap();
    other.add_bot(&new).await.unwrap();
    assert!(open(key("ab")).await.check_secret_key().await.is_err());
}
