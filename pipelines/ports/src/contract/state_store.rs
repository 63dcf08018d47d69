//! What every [`StateStore`] promises, one check per behaviour.
//!
//! An implementation runs them all with [`state_store_contract!`](crate::state_store_contract), each against a fresh one.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::{
    StateStore,
    record_log::StateWrite,
    state_store::{Error, Result},
};

/// Runs every check, each as a test of its own: `state_store_contract!(make)`, where `make` is an
/// `async fn() -> (Arc<dyn StateStore>, G)` and `G` lives as long as the store.
#[macro_export]
macro_rules! state_store_contract {
    ($make:path) => {
        $crate::state_store_contract!(@each $make:
            what_is_written_is_read_back,
            none_removes_a_key,
            keys_are_listed_by_prefix_in_order_of_their_bytes,
            guards_hold_all_together_or_nothing_is_written,
            a_guard_without_a_write_is_checked_and_changes_nothing,
            the_last_write_of_a_key_counts,
            of_concurrent_owners_one_wins,
            counting_under_contention_loses_nothing,
        );
    };
    (@each $make:path: $($check:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let (store, _guard) = $make().await;
                $crate::contract::state_store::$check(store).await;
            }
        )*
    };
}

/// A check of the contract.
pub type Check = fn(Arc<dyn StateStore>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every check, for implementations whose tests share something dear, such as a server.
pub const ALL: [Check; 8] = [
    |s| Box::pin(what_is_written_is_read_back(s)),
    |s| Box::pin(none_removes_a_key(s)),
    |s| Box::pin(keys_are_listed_by_prefix_in_order_of_their_bytes(s)),
    |s| Box::pin(guards_hold_all_together_or_nothing_is_written(s)),
    |s| Box::pin(a_guard_without_a_write_is_checked_and_changes_nothing(s)),
    |s| Box::pin(the_last_write_of_a_key_counts(s)),
    |s| Box::pin(of_concurrent_owners_one_wins(s)),
    |s| Box::pin(counting_under_contention_loses_nothing(s)),
];

fn some(value: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(value.as_bytes()))
}

fn pair(key: &str, value: Option<Bytes>) -> StateWrite {
    (key.to_owned(), value)
}

#[track_caller]
fn ok<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("expected success, got: {e}"),
    }
}

#[track_caller]
fn refused(result: Result<()>, key: &str) {
    match result {
        Err(Error::GuardFailed { key: named }) if named == key => {}
        other => panic!("expected a failed guard of `{key}`, got: {other:?}"),
    }
}

/// Any bytes, the empty ones too.
pub async fn what_is_written_is_read_back(store: Arc<dyn StateStore>) {
    assert_eq!(ok(store.get("a").await), None);
    let odd: Bytes = (0..=255u8).collect();
    let writes = [pair("a", Some(odd.clone())), pair("b", some(""))];
    ok(store.compare_and_set(&[], &writes).await);
    assert_eq!(ok(store.get("a").await), Some(odd));
    assert_eq!(ok(store.get("b").await), some(""));
    ok(store.compare_and_set(&[], &[pair("a", some("2"))]).await);
    assert_eq!(ok(store.get("a").await), some("2"));
}

/// Removing what is not there is fine.
pub async fn none_removes_a_key(store: Arc<dyn StateStore>) {
    ok(store.compare_and_set(&[], &[pair("a", some("1"))]).await);
    let writes = [pair("a", None), pair("never", None)];
    ok(store.compare_and_set(&[], &writes).await);
    assert_eq!(ok(store.get("a").await), None);
    assert!(ok(store.list("").await).is_empty());
}

/// A prefix is no pattern, and no language sorts here.
pub async fn keys_are_listed_by_prefix_in_order_of_their_bytes(store: Arc<dyn StateStore>) {
    let keys = [
        "stage/b",
        "stage/a",
        "stage/B",
        "stage",
        "stagf/x",
        "stage/a/0",
        "stage/é",
        "stage%",
        "stage_a",
        "other",
    ];
    for key in keys {
        ok(store.compare_and_set(&[], &[pair(key, some(key))]).await);
    }
    let found = ok(store.list("stage/").await);
    let listed: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        listed,
        ["stage/B", "stage/a", "stage/a/0", "stage/b", "stage/é"]
    );
    assert!(found.iter().all(|(key, value)| key.as_bytes() == value));
    assert_eq!(ok(store.list("").await).len(), keys.len());
    assert_eq!(ok(store.list("stage_").await).len(), 1);
}

/// Several keys at once.
pub async fn guards_hold_all_together_or_nothing_is_written(store: Arc<dyn StateStore>) {
    let begin = [pair("a", some("1")), pair("b", some("1"))];
    ok(store.compare_and_set(&[], &begin).await);
    let onward = [
        pair("a", some("2")),
        pair("b", some("2")),
        pair("c", some("2")),
    ];
    let stale = [pair("a", some("1")), pair("b", some("0"))];
    refused(store.compare_and_set(&stale, &onward).await, "b");
    let there = [pair("a", None)];
    refused(store.compare_and_set(&there, &onward).await, "a");
    let gone = [pair("a", some("1")), pair("c", some("1"))];
    refused(store.compare_and_set(&gone, &onward).await, "c");
    assert_eq!(ok(store.get("a").await), some("1"));
    assert_eq!(ok(store.get("c").await), None);
    let held = [pair("a", some("1")), pair("b", some("1")), pair("c", None)];
    ok(store.compare_and_set(&held, &onward).await);
    assert_eq!(ok(store.list("").await).len(), 3);
    assert_eq!(ok(store.get("b").await), some("2"));
}

/// An owner may show that it still owns, and write elsewhere.
pub async fn a_guard_without_a_write_is_checked_and_changes_nothing(store: Arc<dyn StateStore>) {
    ok(store
        .compare_and_set(&[], &[pair("lease", some("7"))])
        .await);
    let guards = [pair("lease", some("7")), pair("free", None)];
    ok(store
        .compare_and_set(&guards, &[pair("x", some("1"))])
        .await);
    assert_eq!(ok(store.get("lease").await), some("7"));
    assert_eq!(ok(store.get("free").await), None);
    let stale = [pair("lease", some("6"))];
    refused(
        store.compare_and_set(&stale, &[pair("x", some("2"))]).await,
        "lease",
    );
    assert_eq!(ok(store.get("x").await), some("1"));
}

/// As in a map.
pub async fn the_last_write_of_a_key_counts(store: Arc<dyn StateStore>) {
    let writes = [
        pair("a", some("1")),
        pair("a", some("2")),
        pair("b", some("1")),
        pair("b", None),
    ];
    ok(store.compare_and_set(&[], &writes).await);
    assert_eq!(ok(store.get("a").await), some("2"));
    assert_eq!(ok(store.get("b").await), None);
}

/// Absent or known: whoever comes second is told so.
pub async fn of_concurrent_owners_one_wins(store: Arc<dyn StateStore>) {
    for (round, expected) in [None, some("0")].into_iter().enumerate() {
        let mut owners = JoinSet::new();
        for _ in 0..16 {
            let (store, expected) = (store.clone(), expected.clone());
            owners.spawn(async move {
                let guards = [pair("owner", expected)];
                let writes = [pair("owner", some(&round.to_string()))];
                store.compare_and_set(&guards, &writes).await
            });
        }
        let outcomes = owners.join_all().await;
        // In the second round a winner leaves "1", so that no other can win.
        assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
        for outcome in outcomes.into_iter().filter(|o| o.is_err()) {
            refused(outcome, "owner");
        }
        assert_eq!(ok(store.get("owner").await), some(&round.to_string()));
    }
}

/// Read, add one, compare and set, again if somebody else was faster.
pub async fn counting_under_contention_loses_nothing(store: Arc<dyn StateStore>) {
    let mut counters = JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        counters.spawn(async move {
            for _ in 0..10 {
                loop {
                    let known = ok(store.get("n").await);
                    let n: u32 = known.as_ref().map_or(0, |v| {
                        std::str::from_utf8(v)
                            .expect("digits")
                            .parse()
                            .expect("digits")
                    });
                    let next = some(&(n + 1).to_string());
                    let guards = [pair("n", known)];
                    match store.compare_and_set(&guards, &[pair("n", next)]).await {
                        Ok(()) => break,
                        Err(Error::GuardFailed { .. }) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            }
        });
    }
    counters.join_all().await;
    assert_eq!(ok(store.get("n").await), some("40"));
}
