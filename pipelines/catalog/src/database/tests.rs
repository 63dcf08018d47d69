//! Both databases have the same schema; what a transaction that fails leaves behind.

use super::*;

#[test]
fn both_databases_have_the_same_migrations() {
    let numbers = |migrator: &Migrator| {
        let steps = migrator.iter().map(|m| (m.version, m.description.clone()));
        steps.collect::<Vec<_>>()
    };
    assert!(!numbers(&SQLITE_MIGRATIONS).is_empty());
    assert_eq!(numbers(&SQLITE_MIGRATIONS), numbers(&POSTGRES_MIGRATIONS));
}

#[tokio::test]
async fn a_transaction_that_found_no_room_costs_the_next_one_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = Location::File(dir.path().join("catalog.db"));
    let config = CatalogConfig::new(place);
    let database = Database::open(&config).await.unwrap();
    let write = async |sql| database.write(sql, Vec::new(), String::new).await.unwrap();
    write("CREATE TABLE heavy (body BLOB)").await;
    // No page beyond those there are, as on a full disk; for this connection only.
    write("PRAGMA max_page_count = 1").await;
    let insert = || {
        vec![Statement {
            sql: "INSERT INTO heavy VALUES (zeroblob(1000000))",
            args: Vec::new(),
            must_change: true,
        }]
    };

    let full = database.change(insert()).await.unwrap_err();
    assert!(full.is_retryable(), "{full:?}");
    assert_eq!(database.change(insert()).await.unwrap(), None);
    let rows = database.read("SELECT COUNT(*) FROM heavy", Vec::new());
    assert_eq!(rows.await.unwrap()[0].get::<i64>(0).unwrap(), 1);
}
