//! What everybody who keeps [`Leases`] keeps to, and what a catalog refuses a stale owner.

use std::{collections::BTreeSet, future::Future, time::Duration};

use bytes::Bytes;
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};

use crate::{
    StateStore,
    catalog::{Catalog, Error, Result},
    contract::Must as _,
    leases::{Fence, Lease, Leases},
    ledger::{StageKey, StageState},
    state_store,
};

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(1);

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
    one_owner_at_a_time(&fresh().await).await;
    tokens_only_grow(&fresh().await).await;
    a_lost_lease_stays_lost(&fresh().await).await;
    of_many_who_ask_one_gets_it(&fresh().await).await;
    held_leases_are_listed(&fresh().await).await;
    a_stale_owner_commits_no_position(&fresh().await).await;
    workers_are_listed_while_they_live(&fresh().await).await;
}

/// The same of the state of a log that a catalog keeps.
///
/// # Panics
/// When a stale owner changes it.
pub async fn a_stale_owner_changes_no_state(catalog: &(impl Catalog + StateStore)) {
    let old = taken(catalog, "screen/0", "a", LONG).await.fence();
    let write = |value: &'static str| [("stage/screen".to_owned(), Some(Bytes::from(value)))];
    let change = async |value, fence: &Fence| {
        catalog
            .compare_and_set_under(&[], &write(value), fence)
            .await
    };
    change("a", &old).await.expect("it holds the lease");
    let held = catalog.acquire("screen/0", "a", LONG).await.must();
    catalog.release(&held.expect("still")).await.must();
    let new = taken(catalog, "screen/0", "b", LONG).await.fence();
    for refused in [
        change("late", &old).await,
        catalog.compare_and_set_under(&[], &[], &old).await,
    ] {
        let name = match &refused {
            Err(state_store::Error::LeaseLost { name }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name, "screen/0");
    }
    let stored = catalog.get("stage/screen").await.expect("an answer");
    assert_eq!(stored, Some(Bytes::from("a")));
    change("b", &new).await.expect("it holds the lease");
    let wrong = [("stage/screen".to_owned(), None)];
    let wrong = catalog
        .compare_and_set_under(&wrong, &write("c"), &new)
        .await;
    assert!(
        matches!(wrong, Err(state_store::Error::GuardFailed { .. })),
        "{wrong:?}"
    );
}

/// Asks until the lease is free: the short leases of this suite end by the keeper's own clock.
async fn taken(leases: &impl Leases, name: &str, owner: &str, ttl: Duration) -> Lease {
    loop {
        if let Some(lease) = leases.acquire(name, owner, ttl).await.must() {
            return lease;
        }
        tokio::task::yield_now().await;
    }
}

/// Asks until the lease is gone.
async fn expired(leases: &impl Leases, lease: &Lease) {
    while leases.check(&lease.fence()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

fn is_lost<T: std::fmt::Debug>(outcome: Result<T>, lease: &str) {
    assert!(
        matches!(&outcome, Err(Error::LeaseLost { name }) if name == lease),
        "{outcome:?}"
    );
}

async fn one_owner_at_a_time(leases: &impl Leases) {
    let lease = leases.acquire("index", "a", LONG).await.must();
    let lease = lease.expect("it is free");
    assert_eq!((lease.name.as_str(), lease.owner.as_str()), ("index", "a"));
    assert_eq!(leases.acquire("index", "b", LONG).await.must(), None);
    let again = leases.acquire("index", "a", LONG).await.must();
    assert_eq!(again.as_ref(), Some(&lease), "an answer may have been lost");
    let other = leases.acquire("stories", "b", LONG).await.must();
    assert!(other.is_some(), "another name is another lease");
    leases.renew(&lease, LONG).await.must();
    leases.check(&lease.fence()).await.must();
    leases.check(&Fence::open()).await.must();
    leases.release(&lease).await.must();
    is_lost(leases.check(&lease.fence()).await, "index");
    assert!(
        leases.acquire("index", "b", LONG).await.must().is_some(),
        "given back, it is free at once"
    );
}

async fn tokens_only_grow(leases: &impl Leases) {
    let mut last = 0;
    for owner in ["a", "b", "a", "a"] {
        let lease = leases.acquire("index", owner, LONG).await.must();
        let lease = lease.expect("it was given back");
        assert!(lease.token > last, "{} after {last}", lease.token);
        last = lease.token;
        leases.release(&lease).await.must();
    }
    let short = taken(leases, "index", "b", SHORT).await;
    let next = taken(leases, "index", "c", LONG).await;
    assert!(next.token > short.token && short.token > last);
}

async fn a_lost_lease_stays_lost(leases: &impl Leases) {
    let old = taken(leases, "index", "a", SHORT).await;
    expired(leases, &old).await;
    // Nobody took it, yet somebody may at any moment.
    is_lost(leases.renew(&old, LONG).await, "index");
    is_lost(leases.check(&old.fence()).await, "index");
    let new = taken(leases, "index", "b", LONG).await;
    is_lost(leases.renew(&old, LONG).await, "index");
    leases.release(&old).await.must();
    leases.check(&new.fence()).await.must();
    assert_eq!(leases.acquire("index", "a", LONG).await.must(), None);
}

async fn of_many_who_ask_one_gets_it(leases: &impl Leases) {
    let owners: Vec<String> = (0..8).map(|n| format!("w{n}")).collect();
    let asked = owners
        .iter()
        .map(|owner| leases.acquire("index", owner, LONG));
    let mut n_given = 0;
    for given in futures_of(asked).await {
        n_given += usize::from(given.must().is_some());
    }
    assert_eq!(n_given, 1);
}

/// Runs futures side by side on one task.
async fn futures_of<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, outcome) in &mut futures {
            if outcome.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *outcome = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        match is_done {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}

async fn held_leases_are_listed(leases: &impl Leases) {
    let b = taken(leases, "screen/1", "b", LONG).await;
    let a = taken(leases, "screen/0", "a", LONG).await;
    let given_back = taken(leases, "index", "a", LONG).await;
    leases.release(&given_back).await.must();
    let short = taken(leases, "stories", "a", SHORT).await;
    expired(leases, &short).await;
    assert_eq!(leases.held_leases().await.must(), [a, b]);
}

fn stage() -> StageKey {
    StageKey {
        stage: "index".to_owned(),
        input: TopicPartition::new(Topic::MESSAGES, PartitionId(0)),
    }
}

fn at(next: u64) -> StageState {
    StageState {
        next: Offset(next),
        ..StageState::default()
    }
}

async fn a_stale_owner_commits_no_position(catalog: &impl Catalog) {
    let key = stage();
    let old = taken(catalog, "index", "a", LONG).await;
    let fence = old.fence();
    let put = catalog.put_stage_state(&key, None, &at(5), &fence).await;
    put.must();
    catalog.release(&old).await.must();
    let new = taken(catalog, "index", "b", LONG).await;
    // It knows the right position, and must not move it all the same.
    for expected in [Some(Offset(5)), None] {
        let put = catalog
            .put_stage_state(&key, expected, &at(9), &fence)
            .await;
        is_lost(put, "index");
    }
    let mut other = stage();
    other.input.partition = PartitionId(1);
    let late = catalog.put_stage_state(&other, None, &at(9), &fence).await;
    is_lost(late, "index");
    assert_eq!(catalog.stage_state(&other).await.must(), None);
    assert_eq!(catalog.stage_state(&key).await.must(), Some(at(5)));
    let fence = new.fence();
    let put = async |next| {
        catalog
            .put_stage_state(&key, Some(Offset(5)), &at(next), &fence)
            .await
    };
    put(7).await.must();
    let wrong = put(8).await;
    assert!(matches!(wrong, Err(Error::Conflict { .. })), "{wrong:?}");
}

async fn workers_are_listed_while_they_live(leases: &impl Leases) {
    let roles = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let report = async |id: &str, names: &[&str], ttl| {
        leases.report_worker(id, &roles(names), ttl).await.must();
    };
    report("b", &["screen"], LONG).await;
    let first = leases.live_workers().await.must();
    report("a", &["api", "index"], LONG).await;
    report("b", &["screen", "stories"], LONG).await;
    let live = leases.live_workers().await.must();
    assert_eq!(
        live[0].since, first[0].since,
        "known since its first report"
    );
    let ids: BTreeSet<&str> = live.iter().map(|w| w.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["a", "b"]));
    let b = live.iter().find(|w| w.id == "b").expect("just seen");
    assert_eq!(b.roles, roles(&["screen", "stories"]));
    report("c", &["index"], SHORT).await;
    while leases.live_workers().await.must().len() > 2 {
        tokio::task::yield_now().await;
    }
    leases.retire_worker("b").await.must();
    leases.retire_worker("nobody").await.must();
    let live = leases.live_workers().await.must();
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].id.as_str(), live[0].roles.len()), ("a", 2));
}
