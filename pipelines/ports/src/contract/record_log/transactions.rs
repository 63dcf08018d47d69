//! Checks of state, guards and atomicity.

use super::*;

fn writing(key: &str, value: Option<Bytes>) -> Transaction {
    let key = key.to_owned();
    Transaction {
        appends: Vec::new(),
        guards: Vec::new(),
        fence: Fence::open(),
        finish: Box::new(move |_| vec![(key, value)]),
    }
}

fn guarded(append: (TopicPartition, NewRecord), key: &str, from: Option<Bytes>) -> Transaction {
    let written = (key.to_owned(), bytes("taken"));
    Transaction {
        appends: vec![append],
        guards: vec![(key.to_owned(), from)],
        fence: Fence::open(),
        finish: Box::new(move |_| vec![written]),
    }
}

/// State alone may be committed.
pub async fn an_empty_transaction_commits_state(h: Harness) {
    assert_eq!(ok(h.log.state("a").await), None);
    let outcomes = ok(h.log.commit(writing("a", bytes("1"))).await);
    assert!(outcomes.is_empty());
    assert_eq!(ok(h.log.state("a").await), bytes("1"));
}

/// Two owners of one stage: the one that lost it must not commit.
pub async fn guards_refuse_a_stale_owner_and_write_nothing(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    ok(h.log.commit(writing("owner", bytes("2"))).await);
    let stale = (p0.clone(), unique_record("stale", &["x"]));
    let error = err(h.log.commit(guarded(stale, "owner", bytes("1"))).await);
    assert!(
        matches!(&error, Error::GuardFailed { key } if key == "owner"),
        "{error}"
    );
    assert!(!error.is_ambiguous());
    assert!(h.values(&p0).await.is_empty());
    assert_eq!(ok(h.log.state("owner").await), bytes("2"));
    let fresh = (p0.clone(), unique_record("fresh", &["x"]));
    let outcomes = ok(h.log.commit(guarded(fresh, "owner", bytes("2"))).await);
    assert_eq!(offsets(&outcomes), [Some(0)]);
}

/// `None` guards a beginning.
pub async fn guards_of_absent_keys_hold_once(h: Harness) {
    let topic = h.topic().await;
    let append = || (at(&topic, 0), record("a"));
    ok(h.log.commit(guarded(append(), "begun", None)).await);
    let error = err(h.log.commit(guarded(append(), "begun", None)).await);
    assert!(matches!(error, Error::GuardFailed { .. }), "{error}");
    assert_eq!(h.values(&at(&topic, 0)).await.len(), 1);
}

/// Counters of a stage depend on what was new.
pub async fn finish_sees_the_outcomes_and_writes_state(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    let told = seen::<Vec<Option<u64>>>();
    let tell = told.clone();
    let transaction = Transaction {
        appends: vec![
            (p0.clone(), unique_record("a", &["x"])),
            (p0.clone(), unique_record("a", &["x"])),
            (p0.clone(), unique_record("b", &["y"])),
        ],
        guards: Vec::new(),
        fence: Fence::open(),
        finish: Box::new(move |outcomes| {
            let mut told = tell.lock().expect("no other user panicked");
            told.extend(offsets(outcomes));
            let n_new = told.iter().flatten().count();
            vec![("n_new".to_owned(), bytes(&n_new.to_string()))]
        }),
    };
    let outcomes = ok(h.log.commit(transaction).await);
    let told = told.lock().expect("no other user panicked").clone();
    assert_eq!(told, [Some(0), None, Some(1)], "called once, in order");
    assert_eq!(offsets(&outcomes), told);
    assert_eq!(ok(h.log.state("n_new").await), bytes("2"));
}

/// `None` removes.
pub async fn state_can_be_removed(h: Harness) {
    ok(h.log.commit(writing("a", bytes("1"))).await);
    ok(h.log.commit(writing("a", None)).await);
    assert_eq!(ok(h.log.state("a").await), None);
    assert!(ok(h.log.state_with_prefix("").await).is_empty());
}

/// Listings are by key, and a prefix is no pattern.
pub async fn state_is_listed_by_prefix_in_order(h: Harness) {
    for key in [
        "stage/b",
        "stage/a",
        "stage",
        "stagf/x",
        "other",
        "stage/a/0",
    ] {
        ok(h.log.commit(writing(key, bytes(key))).await);
    }
    let found = ok(h.log.state_with_prefix("stage/").await);
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["stage/a", "stage/a/0", "stage/b"]);
    assert!(found.iter().all(|(key, value)| key.as_bytes() == value));
}

/// All or nothing.
pub async fn a_bad_partition_fails_the_whole_transaction(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    let transaction = Transaction {
        appends: vec![
            (p0.clone(), unique_record("good", &["x"])),
            (at(&topic, 9), record("bad")),
        ],
        guards: Vec::new(),
        fence: Fence::open(),
        finish: Box::new(|_| vec![("a".to_owned(), bytes("1"))]),
    };
    let error = err(h.log.commit(transaction).await);
    assert!(matches!(error, Error::PartitionNotFound(_)), "{error}");
    assert!(h.values(&p0).await.is_empty());
    assert_eq!(ok(h.log.state("a").await), None);
    let again = h
        .append(vec![(p0.clone(), unique_record("good", &["x"]))])
        .await;
    assert_eq!(offsets(&again), [Some(0)]);
}

/// Compare and swap, raced.
pub async fn concurrent_guarded_commits_let_one_win(h: Harness) {
    let topic = h.topic().await;
    let mut racers = Vec::new();
    for n in 0..16 {
        let log = h.log.clone();
        let append = (at(&topic, 0), record(&n.to_string()));
        racers.push(tokio::spawn(async move {
            log.commit(guarded(append, "owner", None)).await
        }));
    }
    let mut n_won = 0;
    for racer in racers {
        match racer.await.expect("the racer runs through") {
            Ok(_) => n_won += 1,
            Err(Error::GuardFailed { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(n_won, 1);
    assert_eq!(h.values(&at(&topic, 0)).await.len(), 1);
}

/// Transactions that share a group commit do not share their fate.
pub async fn a_failing_transaction_leaves_its_neighbours_alone(h: Harness) {
    let topic = h.topic().await;
    let mut tasks = Vec::new();
    for n in 0..60 {
        let log = h.log.clone();
        let transaction = match n % 3 {
            0 => Transaction::appends(vec![(at(&topic, 0), record(&n.to_string()))]),
            1 => guarded((at(&topic, 0), record("never")), "absent", bytes("x")),
            _ => Transaction::appends(vec![(at(&topic, 7), record("never"))]),
        };
        tasks.push(tokio::spawn(async move {
            let result = log.commit(transaction).await;
            assert_eq!(result.is_ok(), n % 3 == 0, "{result:?}");
        }));
    }
    for task in tasks {
        task.await.expect("each result is as expected");
    }
    let values = h.values(&at(&topic, 0)).await;
    assert_eq!(values.len(), 20);
    assert!(!values.contains(&"never".to_owned()));
}
