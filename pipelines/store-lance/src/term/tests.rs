//! Writers that freeze at the worst moment, and what the next one finds.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_ports::{
    Leases,
    contract::message_store::fixtures::{edited, key, message, model, plain},
    leases::{Fence, Lease, Worker},
    memory::{ManualClock, MemoryCatalog},
    message_store::{Error, IndexedMessage, MessageStore, VersionLabel},
};
use telesift_schemas::{Class, Offset};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::LanceStoreConfig;

const TTL: Duration = Duration::from_secs(6);

/// A catalog whose answer to a check can be held back: whoever asked is frozen with it in his hands.
struct Freezer {
    catalog: Arc<MemoryCatalog>,
    is_cold: AtomicBool,
    frozen: Notify,
    thaw: Semaphore,
}

impl Freezer {
    fn new(catalog: Arc<MemoryCatalog>) -> Arc<Self> {
        Arc::new(Freezer {
            catalog,
            is_cold: AtomicBool::new(false),
            frozen: Notify::new(),
            thaw: Semaphore::new(0),
        })
    }

    fn freeze_the_next(&self) {
        self.is_cold.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Leases for Freezer {
    async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> catalog::Result<Option<Lease>> {
        self.catalog.acquire(name, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> catalog::Result<()> {
        self.catalog.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> catalog::Result<()> {
        self.catalog.release(lease).await
    }

    async fn check(&self, fence: &Fence) -> catalog::Result<()> {
        let answer = self.catalog.check(fence).await;
        if self.is_cold.swap(false, Ordering::SeqCst) {
            self.frozen.notify_one();
            let thawed = self.thaw.acquire().await;
            thawed.expect("never closed").forget();
        }
        answer
    }

    async fn held_leases(&self) -> catalog::Result<Vec<Lease>> {
        self.catalog.held_leases().await
    }

    async fn report_worker(
        &self,
        id: &str,
        roles: &[String],
        ttl: Duration,
    ) -> catalog::Result<()> {
        self.catalog.report_worker(id, roles, ttl).await
    }

    async fn retire_worker(&self, id: &str) -> catalog::Result<()> {
        self.catalog.retire_worker(id).await
    }

    async fn live_workers(&self) -> catalog::Result<Vec<Worker>> {
        self.catalog.live_workers().await
    }
}

/// Two processes on one store, as far as the store can tell.
struct Scene {
    clock: Arc<ManualClock>,
    freezer: Arc<Freezer>,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let catalog = Arc::new(MemoryCatalog::with_clock(clock.clone()));
        Scene {
            clock,
            freezer: Freezer::new(catalog),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    async fn open(&self) -> Arc<LanceStore> {
        let uri = self.folder.path().to_str().expect("a path");
        let config = LanceStoreConfig::new(uri, Some(model()));
        Arc::new(LanceStore::open(config).await.expect("it opens"))
    }

    /// A handle whose term begins once the last one is over.
    async fn next_owner(&self, name: &str) -> Arc<LanceStore> {
        self.clock.advance(2 * TTL);
        let lease = self.freezer.acquire("store", name, TTL).await;
        let lease = lease.expect("an answer").expect("it is free");
        let store = self.open().await;
        let term = Term::new(lease.fence(), self.freezer.clone());
        store.begin_term(term).await.expect("the term begins");
        store
    }
}

async fn store(store: &LanceStore, batch: Vec<IndexedMessage>) {
    store.apply(batch).await.expect("it is stored");
}

async fn text(store: &LanceStore, id: i64) -> String {
    let found = store.get(&key(1, id)).await.expect("an answer");
    found.expect("it is there").text
}

fn is_lost<T: std::fmt::Debug>(outcome: std::result::Result<T, Error>) {
    assert!(
        matches!(&outcome, Err(Error::LeaseLost { name }) if name == "store"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_writer_that_freezes_before_its_commit_changes_nothing_when_it_wakes() {
    let scene = Scene::new();
    let old = scene.next_owner("a").await;
    let first = message(1, 1, "first");
    store(&old, vec![plain(first.clone())]).await;

    // Checked, allowed, and frozen with the commit before it: an edit, and a message yet unknown.
    for late in [
        vec![plain(edited(&first, 30, 90, "late edit"))],
        vec![plain(message(1, 2, "late news"))],
    ] {
        let scene_before = old.stats().await.expect("an answer");
        scene.freezer.freeze_the_next();
        let frozen = tokio::spawn({
            let old = old.clone();
            async move { old.apply(late).await }
        });
        scene.freezer.frozen.notified().await;
        let new = scene.next_owner("b").await;
        let stats = new.stats().await.expect("an answer");
        assert_eq!(stats.n_messages, scene_before.n_messages);
        scene.freezer.thaw.add_permits(1);
        is_lost(frozen.await.expect("no panic"));
        let stats = new.stats().await.expect("an answer");
        assert_eq!(stats.n_messages, scene_before.n_messages, "no trace");
        assert_eq!(text(&new, 1).await, "first");
        // The next owner goes on with the same records.
        drop(new);
        let again = scene.next_owner("a").await;
        store(&again, vec![plain(first.clone())]).await;
        let lease = scene.freezer.held_leases().await.expect("an answer");
        let term = Term::new(lease[0].fence(), scene.freezer.clone());
        old.begin_term(term).await.expect("the term begins");
    }
}

#[tokio::test]
async fn nothing_is_written_under_a_lost_lease() {
    let scene = Scene::new();
    let old = scene.next_owner("a").await;
    let first = message(1, 1, "first");
    store(&old, vec![plain(first.clone())]).await;
    let new = scene.next_owner("b").await;
    let edit = edited(&first, 5, 9, "second");
    is_lost(old.apply(vec![plain(edit.clone())]).await);
    let label = VersionLabel {
        key: first.id,
        edit: first.edit,
        class: Some(Class::Noise),
        spam: None,
        decided: Offset(3),
    };
    is_lost(old.set_labels(&[label]).await);
    assert_eq!(text(&new, 1).await, "first");
    let stats = new.stats().await.expect("an answer");
    assert_eq!((stats.n_messages, stats.n_versions), (1, 0));
    store(&new, vec![plain(edit)]).await;
    assert_eq!(text(&old, 1).await, "second", "reading goes on");
    // It may come back.
    let again = scene.next_owner("a").await;
    store(&again, vec![plain(message(1, 2, "third"))]).await;
    is_lost(new.apply(vec![plain(message(1, 3, "late"))]).await);
}

#[tokio::test]
async fn the_next_owner_leaves_once_what_two_writers_left_twice() {
    let scene = Scene::new();
    let (one, other) = (scene.open().await, scene.open().await);
    let known = message(1, 1, "first");
    store(&one, vec![plain(known.clone())]).await;
    // Both read before either writes.
    let batch = |text| {
        vec![
            plain(edited(&known, 5, 9, text)),
            plain(edited(&message(1, 2, "x"), 0, 7, text)),
            plain(message(1, 3, "the same")),
        ]
    };
    let plans = {
        let (mut a, mut b) = (one.writer.lock().await, other.writer.lock().await);
        let mut newer = batch("newer");
        newer[1] = plain(edited(&message(1, 2, "x"), 8, 70, "newer"));
        let a = one.plan(&mut a, batch("older")).await.expect("a plan");
        let b = other.plan(&mut b, newer).await.expect("a plan");
        [(one.clone(), a), (other.clone(), b)]
    };
    for (store, (plan, _)) in plans {
        let mut writer = store.writer.lock().await;
        let now = SystemTime::now();
        let written = store.write_versions(&plan.superseded, now).await;
        written.expect("versions are written");
        let written = store.write_messages(&mut writer, plan, now).await;
        written.expect("messages are written");
    }
    let stats = one.stats().await.expect("an answer");
    assert_eq!((stats.n_messages, stats.n_versions), (5, 2), "rows twice");

    let next = scene.next_owner("c").await;
    let stats = next.stats().await.expect("an answer");
    assert_eq!((stats.n_messages, stats.n_versions), (3, 2));
    assert_eq!(text(&next, 2).await, "newer", "the newer version stays");
    assert_eq!(text(&next, 3).await, "the same");
    let history = next.history(&known.id).await.expect("an answer");
    assert_eq!(history, [known.clone()]);
    let again = next.apply(batch("older")).await.expect("it is stored");
    assert_eq!((again.n_new, again.n_older), (0, 0));
}

#[tokio::test]
async fn an_open_fence_asks_nobody_and_an_unknown_lease_is_none() {
    let scene = Scene::new();
    let alone = scene.open().await;
    let term = Term::new(Fence::open(), scene.freezer.clone());
    alone.begin_term(term).await.expect("nobody else is there");
    store(&alone, vec![plain(message(1, 1, "alone"))]).await;
    let unknown = Lease {
        name: "store".to_owned(),
        owner: "nobody".to_owned(),
        token: 7,
        since: telesift_schemas::Timestamp::UNIX_EPOCH,
    };
    let term = Term::new(unknown.fence(), scene.freezer.clone());
    is_lost(alone.begin_term(term).await);
    is_lost(alone.apply(vec![plain(message(1, 2, "late"))]).await);
}
