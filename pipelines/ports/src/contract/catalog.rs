//! What every [`Catalog`] keeps to.

mod audit;
mod labels;
mod letters;
mod reactions;
mod stream_tickets;
mod windows;

use std::{collections::BTreeMap, future::Future, path::PathBuf};

use telesift_schemas::{ChatId, Offset, PartitionId, Timestamp, Topic, TopicPartition};

use crate::{
    catalog::{Catalog, Error, KeyRow, Scope},
    contract::Must,
    imports::{ImportProgress, ImportRequest, ImportState, ImportStatus},
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
};

/// Runs the whole suite; `fresh` gives an empty catalog each time.
///
/// # Panics
/// When the catalog breaks the contract.
pub async fn run<C, F, Fut>(fresh: F)
where
    C: Catalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    answers_a_ping(&fresh().await).await;
    stage_states_are_stored_and_listed_by_key(&fresh().await).await;
    a_stale_owner_cannot_move_a_stage(&fresh().await).await;
    imports_are_listed_newest_first(&fresh().await).await;
    an_import_keeps_request_progress_and_error(&fresh().await).await;
    unfinished_imports_are_listed_oldest_first(&fresh().await).await;
    keys_are_found_by_the_hash_of_their_secret(&fresh().await).await;
    keys_are_listed_newest_first(&fresh().await).await;
    a_key_is_revoked_once(&fresh().await).await;
    the_last_use_of_a_key_is_noted(&fresh().await).await;
    super::story_catalog::run(&fresh().await).await;
    super::knowledge::run(&fresh).await;
    super::leases::run(&fresh).await;
    audit::run(&fresh().await).await;
    stream_tickets::run(&fresh().await).await;
    letters::run(&fresh().await).await;
    labels::run(&fresh).await;
    reactions::run(&fresh).await;
    windows::run(&fresh).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).expect("a time in range")
}

async fn answers_a_ping(catalog: &impl Catalog) {
    catalog.ping().await.expect("a fresh catalog answers");
}

fn stage(name: &str, partition: u32) -> StageKey {
    StageKey {
        stage: name.to_owned(),
        input: TopicPartition::new(Topic::MESSAGES, PartitionId(partition)),
    }
}

fn state(next: u64) -> StageState {
    StageState {
        next: Offset(next),
        counters: Counters {
            received: next,
            emitted: next / 2,
            skipped: BTreeMap::from([("duplicate".to_owned(), next - next / 2)]),
            dead_lettered: 0,
            retried_ok: 1,
        },
        last_retry: (next > 5).then(|| format!("index:messages:0:{next}#2")),
    }
}

async fn stage_states_are_stored_and_listed_by_key(catalog: &impl Catalog) {
    assert_eq!(catalog.stage_state(&stage("index", 0)).await.must(), None);
    for (key, next) in [
        (stage("index", 1), 7),
        (stage("alert", 3), 5),
        (stage("index", 0), 9),
    ] {
        catalog
            .put_stage_state(&key, None, &state(next), &Fence::open())
            .await
            .must();
    }
    assert_eq!(
        catalog.stage_state(&stage("index", 0)).await.must(),
        Some(state(9))
    );
    assert_eq!(
        catalog.stage_states().await.must(),
        [
            (stage("alert", 3), state(5)),
            (stage("index", 0), state(9)),
            (stage("index", 1), state(7)),
        ]
    );
    for _ in 0..2 {
        catalog.remove_stage_states("index").await.must();
    }
    let left = catalog.stage_states().await.must();
    assert_eq!(left, [(stage("alert", 3), state(5))]);
}

async fn a_stale_owner_cannot_move_a_stage(catalog: &impl Catalog) {
    let key = stage("index", 0);
    let open = Fence::open();
    let put = catalog.put_stage_state(&key, None, &state(10), &open).await;
    put.must();
    catalog
        .put_stage_state(&key, Some(Offset(10)), &state(20), &open)
        .await
        .must();
    for stale in [None, Some(Offset(10)), Some(Offset(21))] {
        let refused = catalog
            .put_stage_state(&key, stale, &state(30), &open)
            .await;
        assert!(
            matches!(refused, Err(Error::Conflict { .. })),
            "{stale:?}: {refused:?}"
        );
    }
    assert_eq!(catalog.stage_state(&key).await.must(), Some(state(20)));
    // A position may be set back (a replay of a store), by the one who knows it.
    catalog
        .put_stage_state(&key, Some(Offset(20)), &state(0), &open)
        .await
        .must();
    assert_eq!(catalog.stage_state(&key).await.must(), Some(state(0)));
}

fn request(name: &str) -> ImportRequest {
    ImportRequest {
        name: name.to_owned(),
        chats: vec![ChatId(-1_001_234_567_890), ChatId(42)],
        tz: "Europe/Kyiv".to_owned(),
        file: PathBuf::from("spool/result.json"),
    }
}

async fn create(catalog: &impl Catalog, id: &str, second: i64) {
    catalog
        .create_import(id, &request(id), 1_000, at(second))
        .await
        .must();
}

fn status(id: &str, state: ImportState) -> ImportStatus {
    ImportStatus {
        id: id.to_owned(),
        name: id.to_owned(),
        state,
        created_at: at(0),
        progress: ImportProgress {
            messages_read: 12,
            messages_new: 8,
            messages_duplicate: 3,
            skipped: BTreeMap::from([("chat_not_selected".to_owned(), 1)]),
            bytes_read: 900,
        },
        bytes_total: 1_000,
        error: Some("диск повний".to_owned()),
    }
}

async fn imports_are_listed_newest_first(catalog: &impl Catalog) {
    for (second, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        create(catalog, id, second as i64).await;
    }
    let ids = async |after, limit| {
        let rows = catalog.imports(after, limit).await.must();
        rows.into_iter().map(|r| r.status.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, ["d", "c"]);
    assert_eq!(ids(Some("c"), 10).await, ["b", "a"]);
    assert!(ids(Some("a"), 10).await.is_empty());
    assert!(ids(None, 0).await.is_empty());
}

async fn an_import_keeps_request_progress_and_error(catalog: &impl Catalog) {
    assert!(catalog.import("a").await.must().is_none());
    create(catalog, "a", 0).await;
    let row = catalog.import("a").await.must().expect("just created");
    assert_eq!(row.status.state, ImportState::Queued);
    assert_eq!(row.status.progress, ImportProgress::default());
    assert_eq!(
        (row.status.bytes_total, row.status.created_at),
        (1_000, at(0))
    );
    assert_eq!(row.request.chats, request("a").chats);
    assert_eq!(
        (row.request.tz, row.request.file),
        (request("a").tz, request("a").file)
    );

    let failed = status("a", ImportState::Failed);
    catalog.update_import(&failed).await.must();
    let row = catalog.import("a").await.must().expect("still there");
    assert_eq!(row.status, failed);
    assert!(row.is_finished());
}

async fn unfinished_imports_are_listed_oldest_first(catalog: &impl Catalog) {
    for (second, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        create(catalog, id, second as i64).await;
    }
    for (id, state) in [
        ("a", ImportState::Done),
        ("b", ImportState::Running),
        ("d", ImportState::Failed),
    ] {
        catalog.update_import(&status(id, state)).await.must();
    }
    let rows = catalog.unfinished_imports().await.must();
    let ids: Vec<_> = rows.into_iter().map(|r| r.status.id).collect();
    assert_eq!(ids, ["b", "c"]);
}

fn key(id: &str) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        name: "Олена".to_owned(),
        scopes: vec![Scope::Read, Scope::Ingest],
        chats: Some(vec![ChatId(-1_001_234_567_890)]),
        created_at: at(0),
        expires_at: Some(at(3_600)),
        revoked_at: None,
        last_used_at: None,
    }
}

async fn keys_are_found_by_the_hash_of_their_secret(catalog: &impl Catalog) {
    let everywhere = KeyRow {
        chats: None,
        expires_at: None,
        ..key("b")
    };
    catalog.create_key(&key("a"), &[1; 32]).await.must();
    catalog.create_key(&everywhere, &[2; 32]).await.must();
    assert_eq!(catalog.key_by_hash(&[1; 32]).await.must(), Some(key("a")));
    assert_eq!(catalog.key_by_hash(&[2; 32]).await.must(), Some(everywhere));
    assert_eq!(catalog.key_by_hash(&[3; 32]).await.must(), None);
    // No chat at all is not every chat.
    let nowhere = KeyRow {
        chats: Some(Vec::new()),
        ..key("c")
    };
    catalog.create_key(&nowhere, &[4; 32]).await.must();
    assert_eq!(catalog.key_by_hash(&[4; 32]).await.must(), Some(nowhere));
}

async fn keys_are_listed_newest_first(catalog: &impl Catalog) {
    for (i, id) in ["a", "b", "c"].into_iter().enumerate() {
        catalog.create_key(&key(id), &[i as u8; 32]).await.must();
    }
    let ids = async |after, limit| {
        let rows = catalog.keys(after, limit).await.must();
        rows.into_iter().map(|r| r.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, ["c", "b"]);
    assert_eq!(ids(Some("b"), 10).await, ["a"]);
}

async fn a_key_is_revoked_once(catalog: &impl Catalog) {
    catalog.create_key(&key("a"), &[1; 32]).await.must();
    assert!(!catalog.revoke_key("nobody", at(1)).await.must());
    assert!(catalog.revoke_key("a", at(1)).await.must());
    assert!(catalog.revoke_key("a", at(2)).await.must());
    let row = catalog.key_by_hash(&[1; 32]).await.must();
    assert_eq!(row.and_then(|k| k.revoked_at), Some(at(1)));
}

async fn the_last_use_of_a_key_is_noted(catalog: &impl Catalog) {
    catalog.create_key(&key("a"), &[1; 32]).await.must();
    catalog.touch_key("a", at(60)).await.must();
    catalog.touch_key("nobody", at(60)).await.must();
    let row = catalog.key_by_hash(&[1; 32]).await.must();
    assert_eq!(row.and_then(|k| k.last_used_at), Some(at(60)));
}
