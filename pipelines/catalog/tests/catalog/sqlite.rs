//! The catalog in an SQLite file: the contract, what survives a restart, and what a broken file says.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use telesift_catalog::{CatalogConfig, KeySource, Location, SqlCatalog};
use telesift_ports::{
    BotCatalog, Catalog, ProviderCatalog, StateStore, catalog::Error, contract, leases::Fence,
};
use telesift_schemas::Offset;

use crate::common::{self, at, key, request, stage, state};

fn config(file: &Path) -> CatalogConfig {
    CatalogConfig::new(Location::File(file.to_owned()))
}

async fn open(file: &Path) -> SqlCatalog {
    SqlCatalog::open(config(file)).await.unwrap()
}

#[tokio::test]
async fn keeps_the_contract_of_a_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let n_opened = std::cell::Cell::new(0);
    contract::catalog::run(async || {
        n_opened.set(n_opened.get() + 1);
        open(&dir.path().join(format!("{}.db", n_opened.get()))).await
    })
    .await;
    contract::rules_catalog::run(async || {
        n_opened.set(n_opened.get() + 1);
        open(&dir.path().join(format!("{}.db", n_opened.get()))).await
    })
    .await;
}

/// A catalog whose secrets are sealed with a key in the file's folder.
async fn open_with_key(file: &Path) -> SqlCatalog {
    let mut config = config(file);
    config.secret_key = KeySource::File(file.with_file_name("secret.key"));
    SqlCatalog::open(config).await.unwrap()
}

#[tokio::test]
async fn keeps_the_contract_of_bots() {
    let dir = tempfile::tempdir().unwrap();
    let n_opened = std::cell::Cell::new(0);
    contract::bots::run(async || {
        n_opened.set(n_opened.get() + 1);
        open_with_key(&dir.path().join(format!("{}.db", n_opened.get()))).await
    })
    .await;
}

#[tokio::test]
async fn keeps_the_contract_of_providers() {
    let dir = tempfile::tempdir().unwrap();
    let n_opened = std::cell::Cell::new(0);
    contract::providers::run(async || {
        n_opened.set(n_opened.get() + 1);
        open_with_key(&dir.path().join(format!("{}.db", n_opened.get()))).await
    })
    .await;
}

#[tokio::test]
async fn keys_of_providers_lie_sealed_and_are_bound_to_the_key_of_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let (file, key) = (dir.path().join("catalog.db"), dir.path().join("secret.key"));
    let catalog = open_with_key(&file).await;
    let one = contract::providers::provider("one");
    catalog.add_provider(&one).await.unwrap();
    catalog.close().await;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(10).any(|w| w == b"key-of-one"));
    }
    fs::write(&key, [7; 32]).unwrap();
    let other = open_with_key(&file).await;
    let rows = other.providers().await.unwrap();
    let reason = rows[0].key.as_ref().unwrap_err();
    assert!(reason.contains("holds another"), "{reason}");
    // Bots and providers are sealed with one key.
    let refused = other.add_bot(&contract::bots::bot("ops", 1)).await;
    assert!(matches!(&refused, Err(Error::SecretKey(_))), "{refused:?}");
}

#[tokio::test]
async fn secrets_lie_sealed_in_the_file_and_another_key_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (file, key) = (dir.path().join("catalog.db"), dir.path().join("secret.key"));
    let ops = contract::bots::bot("ops", 1);
    let catalog = open_with_key(&file).await;
    assert!(!key.exists(), "no key is made before it is needed");
    catalog.add_bot(&ops).await.unwrap();
    catalog.close().await;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for secret in [&b"token-of-ops"[..], b"secret_ops"] {
            assert!(!bytes.windows(secret.len()).any(|w| w == secret));
        }
    }

    let reopened = open_with_key(&file).await;
    assert_eq!(reopened.bots().await.unwrap(), std::slice::from_ref(&ops));
    reopened.close().await;

    fs::write(&key, [7; 32]).unwrap();
    let other = open_with_key(&file).await;
    let rows = other.bots().await.unwrap();
    let reason = rows[0].secrets.as_ref().unwrap_err();
    assert!(reason.contains("holds another"), "{reason}");
    let refused = other.add_bot(&contract::bots::bot("new", 2)).await;
    assert!(matches!(&refused, Err(Error::SecretKey(_))), "{refused:?}");
    // Once nothing is sealed with the lost key any more, the new one is as good.
    assert!(other.remove_bot("ops").await.unwrap());
    other.add_bot(&ops).await.unwrap();
    assert_eq!(other.bots().await.unwrap(), [ops]);
}

#[tokio::test]
async fn the_first_key_is_that_of_all_who_share_a_catalog() {
    let dir = tempfile::tempdir().unwrap();
    common::the_first_key_is_that_of_all(async |secret_key| {
        let config = CatalogConfig {
            secret_key,
            ..config(&dir.path().join("catalog.db"))
        };
        SqlCatalog::open(config).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_sealed_secret_moved_to_another_bot_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let catalog = open_with_key(&file).await;
    for (name, id) in [("a", 1), ("b", 2)] {
        let bot = contract::bots::bot(name, id);
        catalog.add_bot(&bot).await.unwrap();
    }
    catalog.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("UPDATE bots SET token = (SELECT token FROM bots WHERE name = 'a')")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let rows = open_with_key(&file).await.bots().await.unwrap();
    assert!(rows[0].secrets.is_ok());
    let reason = rows[1].secrets.as_ref().unwrap_err();
    assert!(reason.contains("changed or moved"), "{reason}");
}

#[tokio::test]
async fn keeps_the_contract_of_a_catalog_of_replays() {
    let dir = tempfile::tempdir().unwrap();
    let n_opened = std::cell::Cell::new(0);
    contract::replays::run(async || {
        n_opened.set(n_opened.get() + 1);
        open(&dir.path().join(format!("{}.db", n_opened.get()))).await
    })
    .await;
}

async fn fresh_state() -> (Arc<dyn StateStore>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir.path().join("catalog.db")).await;
    (Arc::new(catalog), dir)
}

mod state_contract {
    telesift_ports::state_store_contract!(super::fresh_state);
}

#[tokio::test]
async fn a_stale_owner_changes_no_state_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir.path().join("catalog.db")).await;
    contract::leases::a_stale_owner_changes_no_state(&catalog).await;
}

#[tokio::test]
async fn keeps_what_every_sql_catalog_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    common::refuses_what_is_there_already(&open(&file).await).await;
    common::stores_what_people_type(&open(&file).await).await;
    common::notes_the_last_use_to_the_minute(&open(&file).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_owners_moves_a_stage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let (one, other) = (open(&file).await, open(&file).await);
    common::one_of_many_owners_wins(one, other).await;
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    for restart in 0..3_u64 {
        let catalog = open(&file).await;
        let expected = restart.checked_sub(1).map(Offset);
        let stored = catalog.stage_state(&stage(0)).await.unwrap();
        assert_eq!(stored.map(|s| s.next), expected);
        assert_eq!(
            catalog.imports(None, 10).await.unwrap().len() as u64,
            restart
        );
        assert_eq!(catalog.keys(None, 10).await.unwrap().len() as u64, restart);

        catalog
            .put_stage_state(&stage(0), expected, &state(restart), &Fence::open())
            .await
            .unwrap();
        let id = restart.to_string();
        catalog
            .create_import(&id, &request(), 9, at(0))
            .await
            .unwrap();
        catalog
            .create_key(&key(&id), &[restart as u8; 32])
            .await
            .unwrap();
        if restart == 1 {
            catalog.close().await;
        } // else it is dropped, as by a crash
    }
}

#[tokio::test]
async fn only_its_owner_may_read_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir.path().join("catalog.db")).await;
    catalog.create_key(&key("a"), &[1; 32]).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["catalog.db", "catalog.db-shm", "catalog.db-wal"]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    fs::write(
        &file,
        "Dear diary, this is not a database at all. ".repeat(300),
    )
    .unwrap();
    let before = fs::read(&file).unwrap();
    let refused = SqlCatalog::open(config(&file)).await.err().unwrap();
    assert!(matches!(refused, Error::Damaged(_)), "{refused:?}");
    assert!(!refused.is_retryable());
    assert!(refused.to_string().contains("catalog.db"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before, "it is left as it was");
}

#[tokio::test]
async fn an_overwritten_page_is_named_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let catalog = open(&file).await;
    for i in 0..200 {
        catalog
            .create_import(&format!("{i:04}"), &request(), 9, at(i))
            .await
            .unwrap();
    }
    catalog.close().await;
    let mut bytes = fs::read(&file).unwrap();
    let start = 4096;
    bytes[start..].fill(0x5a);
    fs::write(&file, bytes).unwrap();
    let outcome = match SqlCatalog::open(config(&file)).await {
        Ok(catalog) => catalog.imports(None, 500).await.err(),
        Err(e) => Some(e),
    };
    assert!(matches!(outcome, Some(Error::Damaged(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    open(&file).await.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let refused = SqlCatalog::open(config(&file)).await.err().unwrap();
    assert!(matches!(refused, Error::Damaged(_)), "{refused:?}");
    assert!(refused.to_string().contains("newer"), "{refused}");
}

#[tokio::test]
async fn a_lock_held_elsewhere_is_worth_another_try() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let mut config = config(&file);
    config.call_timeout = Duration::from_millis(200);
    let catalog = SqlCatalog::open(config).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();

    let refused = catalog
        .put_stage_state(&stage(0), None, &state(1), &Fence::open())
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    assert_eq!(
        catalog.stage_state(&stage(0)).await.unwrap(),
        None,
        "reading goes on"
    );

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    catalog
        .put_stage_state(&stage(0), None, &state(1), &Fence::open())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = SqlCatalog::open(config(&dir.path().join("absent/catalog.db")))
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert!(
        refused.to_string().contains("absent/catalog.db"),
        "{refused}"
    );
}
